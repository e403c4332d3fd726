"""What sigmas are worth in the plane, where the probability that votes estimate is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import Bound
from ddrs_core.smoothing.confidence import Floats, lower_bound
from ddrs_core.smoothing.plane.points import PlanePoints
from ddrs_core.smoothing.plane.world import PlaneWorld, as_images
from ddrs_core.smoothing.sigma.ascent import AscentConfig
from ddrs_core.smoothing.sigma.base import StrategyConfig, choose_sigmas
from ddrs_core.smoothing.sigma.surface import SurfaceConfig

BUDGET = CertificationBudget(n=10_000, bound=Bound.ONE_SIDED)
BOUNDS = (0.015, 0.2)  # beyond, one class wins the whole window and its radius grows for ever
ASCENT = AscentConfig(lr=0.002, steps=100, samples=8, bounds=BOUNDS)
SURFACE = SurfaceConfig(votes=500, bounds=BOUNDS)
LEVELS = np.geomspace(*BOUNDS, 31)
_LOST = 0.02  # of the right answers, for a larger mean radius


@dataclass(frozen=True, eq=False)
class SigmaRow:
    """A way of choosing sigma, and what it is worth at some points.

    Args:
        passes: evaluations of the network for one input, before it is certified.
        sigmas: chosen, [P].
        radii: expected to be proved for the right class, 0 for another one; [P].
    """

    name: str
    passes: float
    sigmas: Floats
    radii: Floats


def provable_probit(z: Floats, budget: CertificationBudget = BUDGET) -> Floats:
    """Radius over sigma that the budget's one-sided certification is expected to prove for a class
    whose probability is Phi(z); 0 where it abstains.

    >>> provable_probit(np.array([-1.0, 9.0])).round(3)
    array([0.   , 3.199])
    """
    n = budget.n
    bound = lower_bound(n * ndtr(z), n, budget.spent(n))
    return np.maximum(ndtri(bound), 0.0)


def expected_radii(world: PlaneWorld, points: PlanePoints, sigmas: Floats) -> Floats:
    """The radii to be expected for the right class, each point under its own sigma; all [P]."""
    p = world.cells.at_pairs(points.x, sigmas)[np.arange(len(points.x)), points.labels]
    return sigmas * provable_probit(ndtri(p))


def radius_table(world: PlaneWorld, points: PlanePoints) -> Floats:
    """:func:`expected_radii` at each of :data:`LEVELS`, the same for all points; [levels, P]."""
    return np.stack([expected_radii(world, points, _same(points, s)) for s in LEVELS])


def tune_single_sigmas(world: PlaneWorld) -> tuple[float, float]:
    """The level with the largest mean radius on the training points, and the one with the largest
    among those that answer right nearly as often as the best level does."""
    table = radius_table(world, world.points)
    means, right = table.mean(axis=1), (table > 0).mean(axis=1)
    kept = np.where(right >= right.max() - _LOST, means, 0.0)
    return float(LEVELS[means.argmax()]), float(LEVELS[kept.argmax()])


def compare_strategies(world: PlaneWorld) -> Iterator[SigmaRow]:
    """Two tuned single sigmas, then Algorithm 1 and the surface, which both start at the second;
    all at fresh points."""
    fresh = world.fresh
    largest, careful = tune_single_sigmas(world)
    for name, sigma in (("largest", largest), ("careful", careful)):
        sigmas = _same(fresh, sigma)
        yield SigmaRow(name, 0, sigmas, expected_radii(world, fresh, sigmas))
    configs: tuple[StrategyConfig, ...] = (ASCENT, SURFACE)
    for config in configs:
        *_, last = choose_sigmas(
            world.network, as_images(fresh.x), sigmas.tolist(), config, budget=BUDGET
        )
        assert last.chosen is not None
        radii = expected_radii(world, fresh, last.chosen)
        yield SigmaRow(config.name, config.passes(), last.chosen, radii)


def _same(points: PlanePoints, sigma: float) -> Floats:
    return np.full(len(points.x), sigma)
