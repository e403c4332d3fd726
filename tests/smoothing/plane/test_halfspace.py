"""The worst case is a half-space: against linear programs that know no half-space."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import ndtr

from ddrs_core.smoothing.plane import least_mass_in_cells, worst_case_mass


def masses(edges: np.ndarray, centre: float, sigma: float) -> np.ndarray:
    return np.diff(ndtr((edges - centre) / sigma), prepend=0.0, append=1.0)


def least_by_program(here: np.ndarray, there: np.ndarray, p_a: float) -> float:
    found = linprog(there, A_eq=here[None], b_eq=[p_a], bounds=(0, 1), method="highs")
    assert found.status == 0
    return float(found.fun)


@pytest.mark.parametrize(
    ("p_a", "distance", "sigma"), [(0.8, 0.1, 0.25), (0.99, 0.5, 0.25), (0.6, 0.3, 1.0)]
)
def test_no_set_on_a_line_loses_more(p_a: float, distance: float, sigma: float) -> None:
    known = worst_case_mass(p_a, distance, sigma)
    gaps = []
    for cells in (20, 80, 320):
        edges = np.linspace(-5 * sigma, 5 * sigma, cells - 1)
        found = least_mass_in_cells(edges, p_a, distance, sigma)
        here, there = masses(edges, 0.0, sigma), masses(edges, distance, sigma)
        assert found == pytest.approx(least_by_program(here, there, p_a), abs=1e-7)
        gaps.append(found - known)
    assert min(gaps) > -1e-9
    assert gaps[2] < 1e-3
    assert gaps[2] < gaps[0]


def test_nor_does_one_in_the_plane() -> None:
    """The input moves along the diagonal, to which the cells are not aligned."""
    p_a, distance, sigma = 0.85, 0.3, 0.25
    edges = np.linspace(-4 * sigma, 4 * sigma, 59)
    along = masses(edges, distance / np.sqrt(2), sigma)
    here, there = np.outer(*[masses(edges, 0.0, sigma)] * 2).ravel(), np.outer(along, along).ravel()
    gap = least_by_program(here, there, p_a) - worst_case_mass(p_a, distance, sigma)
    assert 0 < gap < 5e-3
