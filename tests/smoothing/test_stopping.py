"""Votes until the answer is settled: alpha is spent once, and nothing but samples is saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import (
    ABSTAIN,
    Bound,
    Certificate,
    CertificationBudget,
    SmoothedClassifier,
    StopAtRadii,
    StopAtRelativeWidth,
    StopRule,
)
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.certificate import prove_radius
from ddrs_core.smoothing.confidence import lower_bound, radius_cap
from ddrs_core.smoothing.stopping import predict_final_radius
from ddrs_core.smoothing.voting import BatchProgress
from tests.conftest import Line

LOOKS = st.builds(
    LookSchedule,
    n_max=st.integers(1, 200_000),
    first=st.integers(1, 5000),
    growth=st.integers(1, 300),
    last=st.floats(0.01, 0.99),
)


@given(LOOKS)
def test_looks_ascend_to_the_most_samples_and_spend_alpha_once(looks: LookSchedule) -> None:
    places = looks.looks
    assert places[-1] == looks.n_max
    assert all(a < b for a, b in pairwise(places))
    assert sum(looks.spent(n, 0.001) for n in places) == pytest.approx(0.001, rel=1e-12)
    assert LookSchedule.from_text(looks.to_text()) == looks


@pytest.mark.parametrize("p", [0.5, 0.55, 0.7, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("looks", [LookSchedule(3000, 64, 15), LookSchedule(2000, 16, 5, last=0.2)])
def test_the_bound_holds_at_all_looks_together(p: float, looks: LookSchedule) -> None:
    """The exact probability that a lower bound ever exceeds p, for whoever stops at the worst."""
    alpha = 0.05
    alive, n = np.ones(1), 0  # probability of each count, among those that never exceeded
    for place in looks.looks:
        alive = np.convolve(alive, binom.pmf(np.arange(place - n + 1), place - n, p))
        n = place
        alive[lower_bound(np.arange(n + 1), n, looks.spent(n, alpha)) > p] = 0.0
    assert 1.0 - alive.sum() <= alpha + 1e-9


def test_looking_often_with_a_bound_for_one_look_would_not_hold() -> None:
    """What the schedule is for: the same looks at full alpha each."""
    alpha, p, looks = 0.05, 0.7, LookSchedule(3000, 64, 15)
    alive, n = np.ones(1), 0
    for place in looks.looks:
        alive = np.convolve(alive, binom.pmf(np.arange(place - n + 1), place - n, p))
        n = place
        alive[lower_bound(np.arange(n + 1), n, alpha) > p] = 0.0
    assert 1.0 - alive.sum() > 2 * alpha


@pytest.mark.parametrize("bound", list(Bound))
@pytest.mark.parametrize("p", [0.45, 0.6, 0.9, 0.995])
def test_the_last_look_rarely_exceeds_what_was_foretold(p: float, bound: Bound) -> None:
    rng = np.random.default_rng(3)
    n, n_max, doubt, trials = 1024, 20_000, 0.05, 400
    shares = [p, 0.8 * (1 - p), 0.2 * (1 - p)]
    exceeded = 0
    for _ in range(trials):
        early = rng.multinomial(n, shares)
        late = early + rng.multinomial(n_max - n, shares)
        foretold = predict_final_radius(early.tolist(), 0, 0.5, n_max, 0.001, bound, doubt)
        exceeded += prove_radius(late.tolist(), 0, 0.5, 0.001, bound).radius > foretold
    wrongs = 1 if bound is Bound.ONE_SIDED else 2
    assert exceeded / trials <= wrongs * doubt + 3 * (doubt / trials) ** 0.5


def test_radii_near_the_cap_are_not_waited_for() -> None:
    rule = StopAtRadii((0.0, 0.25, 0.5), max_cap_share=0.9)
    assert not rule.is_settled(0.2, 0.3, 1.0)
    assert rule.is_settled(0.26, 0.49, 1.0)
    assert rule.is_settled(0.26, 0.51, 0.52)
    assert not rule.is_settled(0.0, 0.1, 1.0)  # certified at all or not
    assert rule.is_settled(0.0, 0.0, 1.0)
    assert StopAtRelativeWidth(0.1).is_settled(0.9, 1.0, 5.0)
    assert not StopAtRelativeWidth(0.1).is_settled(0.89, 1.0, 5.0)


class Halves(nn.Module):
    """Class 1 where the first pixel exceeds its threshold; p_A is known in closed form."""

    def forward(self, x: Tensor) -> Tensor:
        score = x[:, 0, 0, 0] - 0.5
        return torch.stack([-score, score], dim=1)


def images(*margins: float) -> Tensor:
    x = torch.full((len(margins), 1, 2, 2), 0.5)
    x[:, 0, 0, 0] += torch.tensor(margins)
    return x


def certify(
    x: Tensor,
    n: int,
    stop: StopRule | None = None,
    sigma: float = 0.25,
    seed: int = 0,
    alpha: float = 0.001,
) -> list[Certificate]:
    g = SmoothedClassifier(Halves().eval(), 2)
    budget = CertificationBudget(n=n, stop=stop, seed=seed, alpha=alpha)
    *_, last = g.certify_batch(x, sigmas=[sigma] * len(x), budget=budget)
    assert sum(c.n + c.n0 for c in last.certificates) == last.votes
    return list(last.certificates)


MARGINS = (0.02, 0.1, 0.2, 0.26, 0.3, 0.35, 0.4, 0.45, 0.0, 0.25)


def test_fixed_samples_give_what_each_image_gives_alone() -> None:
    g = SmoothedClassifier(Halves().eval(), 2)
    x = images(*MARGINS)
    for c in certify(x, 2000, seed=4):
        alone = g.certify(x[c.index or 0], sigma=0.25, n=2000, seed=4, index=c.index)
        assert (c.counts, c.radius, c.candidate) == (alone.counts, alone.radius, alone.candidate)


def test_a_settled_answer_is_that_of_all_samples_at_a_fraction_of_them() -> None:
    n, radii = 50_000, (0.0, 0.25, 0.5)
    x = images(*MARGINS)
    full = certify(x, n)
    short = certify(x, n, StopAtRadii(radii))
    for a, b, margin in zip(short, full, MARGINS, strict=True):
        assert a.radius <= max(b.radius, margin) + 1e-12  # a linear classifier: R = margin
        if margin not in (0.0, 0.25):  # there the answer is a matter of chance
            assert [a.radius >= r for r in radii] == [b.radius >= r for r in radii]
        assert a.recompute_radius() == a.radius
        assert a.schedule
        assert a.n in LookSchedule(n).looks
        assert a.spent < 0.001
    easy = [c.n for c, margin in zip(short, MARGINS, strict=True) if margin in (0.1, 0.4, 0.35)]
    assert max(easy) < n / 10


def test_votes_of_a_short_run_are_the_first_of_a_long_one() -> None:
    x = images(0.4)
    (short,) = certify(x, 50_000, StopAtRadii((0.25,)), seed=8)
    assert short.n < 5000
    (same,) = certify(x, short.n, seed=8)
    assert short.counts == same.counts
    assert same.radius > short.radius  # it spent all of alpha at that look


def test_until_narrow_reaches_its_width() -> None:
    x = images(0.1, 0.2, 0.3)
    for c in certify(x, 100_000, StopAtRelativeWidth(0.1)):
        assert c.n < 100_000
        assert c.radius >= 0.8 * MARGINS[1 + (c.index or 0)]


@pytest.mark.slow
def test_radii_are_covered() -> None:
    """The radius exceeds the margin in at most alpha of the runs, stopping included."""
    alpha, margin, runs = 0.05, 0.26, 300
    x = images(margin)
    above = 0
    for seed in range(runs):
        (c,) = certify(x, 4000, StopAtRadii((0.25,)), seed=seed, alpha=alpha)
        above += c.radius > margin
    assert above / runs <= alpha + 3 * (alpha / runs) ** 0.5


def test_the_cap_is_that_of_the_look() -> None:
    (c,) = certify(images(0.5), 50_000, StopAtRadii((0.1,)), sigma=0.1)
    assert c.counts[1] == c.n == 512
    assert c.radius == c.radius_cap
    assert c.radius == pytest.approx(0.1 * norm.ppf((c.spent / c.bound.parts) ** (1 / c.n)))
    assert c.radius < radius_cap(0.1, c.n, c.alpha / c.bound.parts)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LookSchedule(0).check(),
        lambda: LookSchedule(1000, last=1.0).check(),
        lambda: LookSchedule.from_text("looks n_max=10"),
        lambda: LookSchedule.from_text("looks n_max=10 first=1 growth=15 last=1e-e"),
        lambda: LookSchedule(1000).spent(3, 0.001),
        lambda: StopAtRadii(()).check(),
        lambda: StopAtRadii((float("nan"),)).check(),
        lambda: StopAtRelativeWidth(0.0).check(),
        lambda: StopAtRadii(max_cap_share=1.1).check(),
        lambda: CertificationBudget(n=9).check(),
        lambda: CertificationBudget(stop=StopAtRelativeWidth(1.0)).check(),
    ],
)
def test_nonsense_is_refused_in_words(wrong: object) -> None:
    with pytest.raises(InvalidParameterError):
        wrong()  # type: ignore[operator]


@pytest.mark.parametrize("stop", [None, StopAtRadii((0.0, 0.5))], ids=["all", "adaptive"])
def test_images_whose_guess_is_not_their_label_cost_no_votes(
    line: Line, at_margin: Callable[[float], Tensor], stop: StopAtRadii | None
) -> None:
    x = torch.stack([at_margin(margin) for margin in (0.2, 0.4, 0.6)])  # of class 1
    budget = CertificationBudget(n=2_000, stop=stop)
    g = SmoothedClassifier(line, 2)

    def last(labels: list[int], *, skip_wrong: bool) -> BatchProgress:
        *_, step = g.certify_batch(
            x, sigmas=[0.25] * 3, budget=budget, labels=labels, skip_wrong=skip_wrong
        )
        found = tuple(replace(c, seconds=0.0) for c in step.certificates)
        return replace(step, certificates=found)

    plain, skipping = last([1, 0, 1], skip_wrong=False), last([1, 0, 1], skip_wrong=True)
    assert skipping.certificates[::2] == plain.certificates[::2]
    wrong = skipping.certificates[1]
    assert (wrong.prediction, wrong.radius, wrong.n, wrong.candidate) == (ABSTAIN, 0.0, 0, 1)
    assert skipping.votes == plain.votes - plain.certificates[1].n
    nothing = last([0, 0, 0], skip_wrong=True)
    assert [c.n for c in nothing.certificates] == [0, 0, 0]
    assert nothing.votes == 3 * budget.n0
