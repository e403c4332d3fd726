"""The radius curve: its band holds the closed form, its cap is the formula, it refines."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import radius_curve, sigma_grid


def test_the_band_holds_the_margin(line: Any, at_margin: Callable[[float], Tensor]) -> None:
    grid = sigma_grid(0.15, 1.0, 7)
    x = at_margin(0.3)
    held = []
    for index in range(60):
        curve = list(radius_curve(line, x, grid, samples=300, seed=1, index=index))[-1]
        assert (curve.low <= curve.radius + 1e-12).all()
        assert (curve.radius <= curve.high + 1e-12).all()
        held += ((curve.low <= line.margin(x)) & (line.margin(x) <= curve.high)).tolist()
    assert np.mean(held) >= 0.94


def test_many_votes_give_the_margin(line: Any, at_margin: Callable[[float], Tensor]) -> None:
    curve = list(radius_curve(line, at_margin(0.3), [0.2, 0.4, 0.8], samples=20_000))[-1]
    assert curve.radius == pytest.approx(0.3, rel=0.05)
    assert curve.prediction.tolist() == [1, 1, 1]


def test_the_cap_is_the_formula(line: nn.Module, at_margin: Callable[[float], Tensor]) -> None:
    grid = sigma_grid(0.1, 1.0, 5)
    curve = next(iter(radius_curve(line, at_margin(0.3), grid, samples=50, n=1000, alpha=0.01)))
    assert curve.cap == pytest.approx(grid * norm.ppf(0.005 ** (1 / 1000)))


def test_it_refines_to_the_end(network: nn.Module, image: Tensor) -> None:
    curves = list(radius_curve(network, image, [0.1, 0.5], samples=430))
    seen = [c.n for c in curves]
    assert seen == sorted(seen)
    assert len(set(seen)) >= 4
    assert seen[-1] == curves[-1].target == 430
    assert (curves[-1].counts.sum(axis=1) == 430).all()
    for earlier, later in pairwise(curves):
        assert (later.counts >= earlier.counts).all()  # earlier snapshots are not overwritten
    assert curves[0].counts.sum() < curves[-1].counts.sum()


def test_the_same_seed_gives_the_same_curve(network: nn.Module, image: Tensor) -> None:
    def counts(seed: int) -> list[list[int]]:
        return list(radius_curve(network, image, [0.5, 1.0], samples=200, seed=seed))[
            -1
        ].counts.tolist()

    assert counts(1) == counts(1)
    assert counts(1) != counts(2)


def test_the_grid_is_logarithmic() -> None:
    grid = sigma_grid(0.1, 1.6, 5)
    assert grid == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])


@pytest.mark.parametrize("sigmas", [[], [0.0, 0.1], [0.1, math.nan], [-1.0]])
def test_grids_that_make_no_sense(network: nn.Module, image: Tensor, sigmas: list[float]) -> None:
    with pytest.raises(InvalidParameterError):
        radius_curve(network, image, sigmas)


def test_pixels_of_the_caller_stay(network: nn.Module, image: Tensor) -> None:
    kept, grid = image.clone(), np.array([0.1, 0.5])
    list(radius_curve(network, image, grid, samples=100))
    assert torch.equal(image, kept)
    assert grid.tolist() == [0.1, 0.5]
