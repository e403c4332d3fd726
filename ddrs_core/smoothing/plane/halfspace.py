"""Why a vote proves a ball: among all classifiers with the same p_A, a half-space loses most of
its mass when the input moves (Cohen et al. 2019, Theorem 1, by the lemma of Neyman and Pearson)."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from ddrs_core.smoothing.confidence import Floats


def worst_case_mass(p_a: float, distance: float, sigma: float) -> float:
    """The least probability that a class with probability ``p_a`` at x can have at this distance:
    Phi(Phi^-1(p_a) - distance / sigma). It is 1/2 at the radius sigma Phi^-1(p_a).

    >>> worst_case_mass(0.8, 0.0, sigma=0.25)
    0.8
    >>> round(worst_case_mass(0.8, 0.25 * float(ndtri(0.8)), sigma=0.25), 12)
    0.5
    """
    return float(ndtr(ndtri(p_a) - distance / sigma))


def least_mass_in_cells(edges: Floats, p_a: float, distance: float, sigma: float) -> float:
    """The same minimum on a line that is cut into cells, a share of each belonging to the class.

    The cells with the smallest likelihood ratio of the moved noise to the noise at x come first,
    until they hold ``p_a`` at x: the lemma's own construction, which no half-space is built into.

    Args:
        edges: [n - 1] ascending; the first and the last cell extend to infinity.
    """
    here = np.diff(ndtr(edges / sigma), prepend=0.0, append=1.0)
    there = np.diff(ndtr((edges - distance) / sigma), prepend=0.0, append=1.0)
    order = np.argsort(there / np.maximum(here, 1e-300), kind="stable")
    taken = np.clip((p_a - (np.cumsum(here[order]) - here[order])) / here[order], 0.0, 1.0)
    return float(taken @ there[order])
