"""The response surface against classifiers whose radius curve is known."""

from __future__ import annotations

import dataclasses
import itertools
import pickle

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm
from torch import Tensor

from ddrs_core.data import Dataset
from ddrs_core.models import NoisyForward, load_model
from ddrs_core.smoothing import (
    Bound,
    CertificationBudget,
    SmoothedClassifier,
    choose_sigmas,
    get_preset,
)
from ddrs_core.smoothing.certificate import prove_radii
from ddrs_core.smoothing.confidence import lower_bound
from ddrs_core.smoothing.sigma.surface import SurfaceConfig, surface_sigma
from tests.conftest import Line
from tests.smoothing.sigma.test_strategies import GRID, ORIGIN, Inside, Pocket

BUDGET = CertificationBudget(n=10_000)


def proved(radius: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """What BUDGET proves where the smoothed classifier has this radius, votes as expected."""
    p, alpha = norm.cdf(radius / sigma), BUDGET.alpha / BUDGET.bound.parts
    bound = np.minimum(lower_bound(p * BUDGET.n, BUDGET.n, alpha), alpha ** (1 / BUDGET.n))
    return sigma * norm.ppf(bound)


class Walls(torch.nn.Module):
    """Class 0 where |s| < 1: R(sigma) = sigma Phi^-1(1 - 2 Phi(-1 / sigma))."""

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        s = x.flatten(1)[:, 0].abs()
        return torch.stack([1.0 - s, s - 1.0], dim=1)

    @staticmethod
    def radius(sigma: np.ndarray) -> np.ndarray:
        return sigma * norm.ppf(1 - 2 * norm.cdf(-1 / sigma))


@pytest.mark.parametrize("start", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("kind", [Walls, Pocket])
def test_it_comes_close_to_the_best_level_of_a_known_curve(
    kind: type[Walls] | type[Pocket], start: float
) -> None:
    """Within 3 % on average over ten seeds, with one hump and with two."""
    truth = proved(kind.radius(GRID), GRID)
    config = dataclasses.replace(SurfaceConfig(), bounds=(0.06, 1.5))
    images = ORIGIN.expand(10, 1, 1, 1)
    *_, last = choose_sigmas(kind(), images, [start] * 10, config, budget=BUDGET)
    assert last.chosen is not None
    found = proved(kind.radius(last.chosen), last.chosen)
    assert found.mean() > 0.97 * truth.max()


class Rivals(Walls):
    """As Walls, but what lies beyond them belongs to four classes, by the last digits of s."""

    def forward(self, x: Tensor) -> Tensor:
        s = x.flatten(1)[:, :1].abs()
        part = (s * 1e4).long() % 4
        return torch.cat([1.0 - s, (s - 1.0) * (part == torch.arange(4))], dim=1)

    @staticmethod
    def proved(sigma: np.ndarray, bound: Bound) -> np.ndarray:
        """What 10,000 votes prove, if they come as expected."""
        p = 1 - 2 * norm.cdf(-1 / sigma)
        held, other = p * BUDGET.n, (1 - p) / 4 * BUDGET.n
        return prove_radii(held, other, BUDGET.n, sigma, BUDGET.alpha, bound)[1]


@pytest.mark.parametrize("bound", Bound)
def test_the_level_is_best_for_the_bound_that_certifies(bound: Bound) -> None:
    """Where several classes share the rest, two-sided bounds want another level."""
    truth = Rivals.proved(GRID, bound)
    best = {b: GRID[Rivals.proved(GRID, b).argmax()] for b in Bound}
    assert best[Bound.TWO_SIDED] > 1.1 * best[Bound.ONE_SIDED]
    images, config = ORIGIN.expand(20, 1, 1, 1), SurfaceConfig(bounds=(0.06, 1.5))
    budget = dataclasses.replace(BUDGET, bound=bound)
    *_, last = choose_sigmas(Rivals(), images, [0.5] * 20, config, budget=budget)
    assert last.chosen is not None
    assert Rivals.proved(last.chosen, bound).mean() > 0.97 * truth.max()
    assert last.radius.mean() == pytest.approx(truth.max(), rel=0.1)


def test_a_plane_is_seen_from_far_enough_and_not_farther() -> None:
    """R is the same at every sigma; what is proved is cut by the cap at small ones, and by the
    bound at large ones."""
    line, x = Line(torch.tensor([1.0, 2.0]), -1.0), torch.tensor([[[0.6, 0.7]]])
    *_, last = surface_sigma(NoisyForward(line, 2), x, sigma_0=0.5, budget=BUDGET)
    assert last.chosen is not None
    truth = proved(np.full_like(GRID, line.margin(x)), GRID)
    found = proved(np.array([line.margin(x)]), np.array([last.chosen]))
    assert found[0] > 0.98 * truth.max()


def test_no_more_votes_are_drawn_than_it_says() -> None:
    forward = NoisyForward(Pocket(), 2)
    drawn = 0
    votes = forward.votes

    def counting(images: Tensor, sigmas: Tensor, n: int, generators: list[torch.Generator]):
        nonlocal drawn
        drawn += len(images) * n
        return votes(images, sigmas, n, generators)

    forward.votes = counting  # type: ignore[method-assign]
    for number in (500, 777, 1_400, 3_000):
        config = SurfaceConfig(votes=number, regret=0.0)
        drawn = 0
        list(choose_sigmas(forward, ORIGIN[None], [0.5], config))
        assert 0.8 * number <= drawn <= number == config.passes()
    drawn = 0
    list(choose_sigmas(forward, ORIGIN[None], [0.5], SurfaceConfig(votes=500, rounds=100)))
    assert drawn <= 500


def test_an_image_chooses_the_same_in_any_company(test_split: Dataset) -> None:
    images = torch.stack([test_split[i][0] for i in range(6)])
    forward = NoisyForward(load_model("digits-gaussian-0.50", "cpu"), 10, precision="fp32")
    config = get_preset("surface").at(0.5)

    def choose(rows: list[int], seed: int) -> np.ndarray:
        *_, last = choose_sigmas(
            forward, images[rows], [0.5] * len(rows), config, seed=seed, indices=rows
        )
        assert last.chosen is not None
        return last.chosen

    whole = choose([0, 1, 2, 3, 4, 5], 3)
    np.testing.assert_array_equal(whole, choose([0, 1, 2, 3, 4, 5], 3))
    np.testing.assert_allclose(whole[[4, 1]], choose([4, 1], 3), rtol=1e-6)
    assert (whole != choose([0, 1, 2, 3, 4, 5], 4)).any()
    assert 0.22 < whole[3] < 0.36  # where a dense grid with many votes has its best radius


def test_a_step_tells_what_is_known_and_where_votes_go_next() -> None:
    config = SurfaceConfig(bounds=(0.06, 1.5), regret=0.0)
    task = (Walls(), ORIGIN.expand(3, 1, 1, 1), [0.3, 0.5, 0.9], config)
    batches = list(choose_sigmas(*task, budget=BUDGET))
    assert len(batches) == config.steps
    for i, start in enumerate((0.3, 0.5, 0.9)):
        steps = [batch.one(i) for batch in batches]
        fits = [step.fit for step in steps if step.fit is not None]
        assert len(fits) == len(steps)
        for step, fit in zip(steps, fits, strict=True):
            assert {a.shape for a in vars(fit).values()} == {(41,), (2,)}
            assert fit.levels[[0, -1]] == pytest.approx((0.06, 1.5))
            assert start in fit.levels
            assert np.all((fit.held <= fit.n) & (fit.low <= fit.high))
            assert fit.best[0] <= fit.best[1]
            assert fit.radius.max() == step.radius
            assert fit.radius[np.abs(fit.levels - step.sigma).argmin()] > 0.99 * step.radius
        for now, later in itertools.pairwise(fits):
            assert now.planned.sum() > 0
            assert later.n.tolist() == (now.n + now.planned).tolist()
        assert not fits[-1].planned.any()
        truth = proved(Walls.radius(fits[-1].levels), fits[-1].levels)
        inside = (fits[-1].low - 1e-9 <= truth) & (truth <= fits[-1].high + 1e-9)
        assert inside.mean() > 0.5
        best = fits[-1].radius.argmax()  # where it has looked most
        first, last = ((fit.high - fit.low)[best] for fit in (fits[0], fits[-1]))
        assert last < first
        again = pickle.loads(pickle.dumps(steps[-1]))
        assert again.fit.radius.tolist() == fits[-1].radius.tolist()


def test_other_strategies_fit_no_curve() -> None:
    for name in ("guarded", "qcrs"):
        *_, last = choose_sigmas(Walls(), ORIGIN[None], [0.5], get_preset(name).at(0.5))
        assert last.fit is None
        assert last.one(0).fit is None


def test_voting_ends_early_where_the_best_level_is_clear() -> None:
    steps = list(choose_sigmas(Walls(), ORIGIN[None], [0.5], SurfaceConfig(regret=0.5)))
    assert len(steps) == 1
    assert steps[0].chosen is not None


def test_a_class_that_leads_nowhere_is_given_up_for_one_that_does() -> None:
    """At sigma 1.2 class 1 leads at the origin of ``Inside``; below, it is class 0."""
    *_, last = choose_sigmas(Inside(), ORIGIN[None], [1.2], SurfaceConfig(), budget=BUDGET)
    assert last.chosen is not None
    assert last.reasons[0]
    assert 0.05 <= last.chosen[0] <= 1.5


@pytest.mark.slow
def test_certificates_after_the_choice_keep_their_alpha() -> None:
    """The votes that chose sigma are not those that certify at it: of certificates at alpha = .1
    about a tenth may be wrong, and few are much below what is true."""
    m, alpha = 600, 0.1
    budget = CertificationBudget(n=200, alpha=alpha, seed=7)
    images, start = ORIGIN.expand(m, 1, 1, 1), [0.5] * m
    config = SurfaceConfig(votes=500, rounds=2)
    *_, last = choose_sigmas(Pocket(), images, start, config, seed=7, budget=budget)
    assert last.chosen is not None
    smoothed = SmoothedClassifier(NoisyForward(Pocket(), 2), 2)
    *_, end = smoothed.certify_batch(images, sigmas=last.chosen.tolist(), budget=budget)
    true = Pocket.radius(last.chosen)
    claimed = np.array([c.radius if c.prediction == 0 else 0.0 for c in end.certificates])
    wrong = int((claimed > true).sum())
    assert binom.ppf(0.001, m, alpha / 3) <= wrong <= binom.ppf(0.999, m, alpha)
    assert all(c.prediction != 1 or true[i] < 0 for i, c in enumerate(end.certificates))


@pytest.mark.parametrize("kind", [Walls, Pocket])
def test_the_interval_holds_the_best_level_most_of_the_time(
    kind: type[Walls] | type[Pocket],
) -> None:
    config = dataclasses.replace(SurfaceConfig(), bounds=(0.06, 1.5))
    *_, last = choose_sigmas(kind(), ORIGIN.expand(40, 1, 1, 1), [0.5] * 40, config, budget=BUDGET)
    assert last.fit is not None
    low, high = last.fit.best.T
    best = GRID[proved(kind.radius(GRID), GRID).argmax()]
    step = 1.04  # its ends are levels of a grid
    assert np.mean((low / step <= best) & (best <= high * step)) >= 0.8
    assert np.median(high / low) < 2.0
