"""Certificates from simulated votes: how often class or radius is wrong, with several classes near
the runner-up, at a fixed number of votes and for whoever stops at the worst of the interim looks.

A failure is a certificate of a class that does not lead, or a radius above the true one,
sigma/2 (Phi^-1(p_A) - Phi^-1(p_B)). At alpha = .1 failures are seen.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, binomtest, norm

from ddrs_core.smoothing import Bound
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.certificate import most_of_others, possible_radii, prove_radii
from ddrs_core.smoothing.confidence import upper_bound

ALPHA, TRIALS, SIGMA = 0.1, 4_000, 0.5
SHARES = {
    "two classes": [0.7, 0.3],
    "one near": [0.6, 0.39, 0.01],
    "three level": [0.4, 0.2, 0.2, 0.2],
    "nearly a tie": [0.34, 0.33, 0.33],
    "a tie": [0.4, 0.4, 0.2],
    "five level": [0.5, *[0.1] * 5],
    "many": [0.3, *[0.7 / 29] * 29],
    "sure": [0.99, *[0.0025] * 4],
}
FIXED, SCHEDULE = (400,), LookSchedule(2_000, first=64, growth=30)


def simulate(
    shares: list[float], looks: tuple[int, ...], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes [T] chosen from 20 votes, and the counts [T, L, K] of fresh ones at each look."""
    rng = np.random.default_rng(seed)
    p = np.array(shares) / sum(shares)
    candidates = rng.multinomial(20, p, TRIALS).argmax(axis=1)
    steps = np.diff((0, *looks))
    counts = np.stack([rng.multinomial(step, p, TRIALS) for step in steps], axis=1).cumsum(axis=1)
    return candidates, counts


def true_radius(shares: list[float], candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    p = np.array(shares) / sum(shares)
    rival = np.array([np.delete(p, c).max() for c in range(len(p))])
    radius = SIGMA / 2 * (norm.ppf(p) - norm.ppf(rival))
    return np.maximum(radius, 0.0)[candidates]


@pytest.mark.parametrize("looks", [FIXED, SCHEDULE.looks], ids=["fixed", "interim looks"])
@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
def test_at_most_a_share_alpha_of_certificates_fails(
    shares: list[float], looks: tuple[int, ...]
) -> None:
    candidates, counts = simulate(shares, looks, seed=len(shares))
    held, other = (
        np.take_along_axis(votes, candidates[:, None, None], axis=2)[..., 0]
        for votes in (counts, most_of_others(counts))
    )  # [T, L]
    spent = [ALPHA] if looks is FIXED else [SCHEDULE.spent(n, ALPHA) for n in looks]
    true = true_radius(shares, candidates)[:, None]
    for bound in Bound:  # each is a claim of its own about the same votes
        _, radii = prove_radii(held, other, looks, SIGMA, spent, bound)
        # Whoever stops at the worst look fails if any look does.
        failures = int((radii > true + 1e-12).any(axis=1).sum())
        assert binomtest(failures, TRIALS, ALPHA, alternative="greater").pvalue > 1e-3
        if bound is Bound.TWO_SIDED and len(shares) <= 3:  # the test is not empty
            assert failures > 0


@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
def test_the_bound_on_the_runner_up_needs_no_union_over_classes(shares: list[float]) -> None:
    """The upper bound grows with the count, so that of the most frequent class is above that of
    the most probable one: it fails with probability alpha/2 at most, however many are near."""
    _, counts = simulate(shares, FIXED, seed=1)
    p_b = max(shares[1:]) / sum(shares)
    high = upper_bound(counts[:, 0, 1:].max(axis=1), FIXED[0], ALPHA / 2)
    failures = int((high < p_b).sum())
    assert binomtest(failures, TRIALS, ALPHA / 2, alternative="greater").pvalue > 1e-3
    if len(shares) == 2:
        assert failures > TRIALS * ALPHA / 8


@pytest.mark.parametrize("bound", list(Bound))
def test_the_votes_leave_the_true_radius_possible(bound: Bound) -> None:
    shares = SHARES["two classes"]
    _, counts = simulate(shares, FIXED, seed=2)
    held, other = counts[:, 0].T
    most = possible_radii(held, other, FIXED[0], SIGMA, ALPHA, bound)
    failures = int((most < true_radius(shares, np.array([0]))).sum())
    assert binomtest(failures, TRIALS, ALPHA, alternative="greater").pvalue > 1e-3
    assert failures > TRIALS * ALPHA / 8


VOTES = st.lists(st.integers(0, 300), min_size=2, max_size=6).filter(lambda v: sum(v) > 0)


@given(VOTES, st.floats(1e-6, 0.2), st.floats(0.05, 2.0))
def test_the_two_sided_radius_is_that_of_the_theorem(
    votes: list[int], alpha: float, sigma: float
) -> None:
    """R = sigma/2 (Phi^-1(p_A) - Phi^-1(p_B)), with Clopper-Pearson bounds at alpha/2 each, p_B of
    the most frequent other class and at most 1 - p_A. It is never below sigma Phi^-1(p_A), which
    it equals for two classes: the price beside one-sided bounds is alpha/2 for alpha."""
    n, held, other = sum(votes), votes[0], max(votes[1:])
    p_a = beta.ppf(alpha / 2, held, n - held + 1) if held else 0.0
    p_b = beta.ppf(1 - alpha / 2, other + 1, n - other) if other < n else 1.0
    p_b = min(p_b, 1 - p_a)
    expected = sigma / 2 * (norm.ppf(p_a) - norm.ppf(p_b)) if p_a > p_b else 0.0
    (found,) = prove_radii([held], [other], n, sigma, alpha, Bound.TWO_SIDED)[1]
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    (one,) = prove_radii([held], [other], n, sigma, alpha / 2, Bound.ONE_SIDED)[1]
    assert found >= one * (1 - 1e-9)
    if len(votes) == 2:
        assert found == pytest.approx(one, rel=1e-6, abs=1e-9)
