"""Exact smoothing in the plane, against closed forms, Monte Carlo and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import ndtr, ndtri
from scipy.stats import ncx2

from ddrs_core.smoothing.confidence import interval
from ddrs_core.smoothing.plane import (
    GRID,
    SIGMAS,
    CellClassifier,
    PlaneProblem,
    PlaneWorld,
    as_images,
    build_world,
)

_LOW, _HIGH = -2.0, 3.0


def cells_of(inside: np.ndarray) -> CellClassifier:
    return CellClassifier(inside.astype(np.uint8), _LOW, _HIGH, 2)


def centres(n: int) -> np.ndarray:
    return _LOW + (_HIGH - _LOW) * (np.arange(n) + 0.5) / n


@pytest.fixture(scope="module")
def world() -> PlaneWorld:
    return build_world(PlaneProblem("moons"))


def test_half_planes_and_strips_are_exact() -> None:
    x = centres(500)
    points, sigmas = np.array([[0.1, 0.9], [0.62, 0.3]]), np.array([0.02, 0.2, 0.7])
    for a, b in ((-np.inf, 0.4), (0.35, 0.6)):
        found = cells_of(np.broadcast_to((x > a) & (x < b), (500, 500)))
        at = points[:, :1]
        known = ndtr((b - at) / sigmas) - ndtr((a - at) / sigmas)
        np.testing.assert_allclose(found.at_points(points, sigmas)[..., 1], known, atol=1e-9)


def test_a_disc_converges_with_the_size_of_the_cells() -> None:
    sigma, radius, at = 0.15, 0.3, np.array([0.55, 0.8])
    known = ncx2.cdf((radius / sigma) ** 2, 2, ((at - 0.5) ** 2).sum() / sigma**2)
    errors = []
    for n in (100, 400, 1600):
        x, y = np.meshgrid(centres(n), centres(n))
        disc = cells_of((x - 0.5) ** 2 + (y - 0.5) ** 2 < radius**2)
        errors.append(abs(disc.on_grid(at[:1], at[1:], sigma)[1, 0, 0] - known))
    assert errors[2] < errors[0] / 8
    assert errors[2] < 5e-4


def test_grids_and_points_agree_and_classes_share_all_mass(world: PlaneWorld) -> None:
    xs, ys = np.array([0.2, 0.7]), np.array([0.1, 0.5, 0.9])
    grid = world.cells.on_grid(xs, ys, 0.1)
    points = np.array([[x, y] for y in ys for x in xs])
    at = world.cells.at_points(points, np.array([0.1]))
    np.testing.assert_allclose(grid.reshape(2, 6).T, at[:, 0], atol=1e-12)
    np.testing.assert_allclose(grid.sum(axis=0), 1.0, atol=1e-12)


def test_votes_of_the_network_lie_around_the_exact_share(world: PlaneWorld) -> None:
    points, sigmas, n = (
        np.array([[0.5, 0.5], [0.35, 0.75], [0.8, 0.4]]),
        SIGMAS[[6, 14, 21]],
        40_000,
    )
    exact = world.cells.at_points(points, sigmas)[..., 0]
    noise = torch.randn((n, 1, 1, 2), generator=torch.Generator().manual_seed(3))
    for p, x in zip(exact, as_images(points), strict=True):
        for share, sigma in zip(p, sigmas.tolist(), strict=True):
            count = int((world.network(x + sigma * noise).argmax(dim=1) == 0).sum())
            low, high = interval(count, n, 1e-6)
            assert low - 1e-3 <= share <= high + 1e-3  # cells have a size


@pytest.mark.parametrize("level", [4, 12, 20])
def test_no_ball_holds_another_answer(world: PlaneWorld, level: int) -> None:
    sigma = SIGMAS[level]
    middle = (np.arange(GRID) + 0.5) / GRID
    x, y = (part.ravel() for part in np.meshgrid(middle, middle))
    p = world.cells.on_grid(middle, middle, sigma).reshape(2, -1).T
    radii, answers = sigma * ndtri(p.max(axis=1).clip(0, 1 - 1e-15)), p.argmax(axis=1)
    assert radii.max() > 2 * sigma
    for i in range(0, GRID**2, 37):
        near = np.hypot(x - x[i], y - y[i]) < radii[i] - 1e-9
        assert (answers[near] == answers[i]).all()


def test_the_probit_changes_by_at_most_distance_over_sigma(world: PlaneWorld) -> None:
    """What the theorem says of every two points, so of neighbours; tight near half-planes."""
    for axis in (2, 3):
        change = np.abs(np.diff(world.z, axis=axis)) * SIGMAS[:, None, None] * GRID
        rounded = np.abs(world.z) > 5  # p is within 3e-7 of 0 or 1
        seen = change[~(rounded.take(range(GRID - 1), axis) | rounded.take(range(1, GRID), axis))]
        assert 0.9 < seen.max() < 1 + 1e-6
