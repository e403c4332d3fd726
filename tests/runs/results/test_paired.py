"""Paired differences: closed forms, and coverage in simulated pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from ddrs_core.errors import MismatchError
from ddrs_core.runs.results.paired import (
    acr_difference,
    bootstrap_interval,
    compare,
    mcnemar,
    pair,
    paired_interval,
)
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.runs.results.tables import paired_table


def results_of(rows: list[tuple[int, int | None, float, bool | None]], title: str) -> ResultSet:
    """Rows of image number, label, radius, and whether it is right."""
    return ResultSet(
        title,
        title,
        tuple(ResultRow(i, label, 0, radius, ok) for i, label, radius, ok in rows),
        n=1000,
        alpha=0.001,
    )


A = results_of([(0, 0, 0.5, True), (2, 0, 0.3, True), (4, 1, 0.9, False), (6, 0, 0.2, True)], "A")
B = results_of([(6, 0, 0.1, True), (4, 1, 0.4, True), (2, 0, 0.3, True), (8, 0, 0.2, True)], "B")


def test_pairs_are_the_shared_images_whatever_their_order() -> None:
    pairs = pair(A, B)
    assert pairs.indices.tolist() == [2, 4, 6]
    assert pairs.radii_a.tolist() == [0.3, 0.0, 0.2]  # wrong counts as 0
    assert pairs.radii_b.tolist() == [0.3, 0.4, 0.1]
    assert pairs.gained(0.2).tolist() == [6]
    assert pairs.lost(0.2).tolist() == [4]
    assert pairs.lost(0.0).tolist() == [4]


def test_a_comparison_counts_image_by_image() -> None:
    found = compare(A, B, [0.2])
    (at,) = found.radii
    assert (found.shared, at.gained, at.lost, at.difference) == (3, 1, 1, 0.0)
    assert (at.accuracy_a, at.accuracy_b) == pytest.approx((2 / 3, 2 / 3))
    assert found.acr is not None
    assert found.acr.difference == pytest.approx((0.5 - 0.8) / 3)
    assert found.acr.low is None  # three images say nothing
    assert "The images differ" in found.warnings[0]


def test_swapping_the_sets_changes_the_signs_only() -> None:
    rng = np.random.default_rng(0)
    a, b = (
        results_of([(i, 0, float(r), True) for i, r in enumerate(rng.random(300) * top)], "s")
        for top in (1.0, 0.8)
    )
    there, back = compare(a, b, [0.5]), compare(b, a, [0.5])
    assert there.radii[0].difference == -back.radii[0].difference
    assert there.radii[0].low == pytest.approx(-back.radii[0].high)
    assert there.radii[0].p_value == back.radii[0].p_value
    assert (there.radii[0].verdict, back.radii[0].verdict) == ("more", "less")
    assert there.acr is not None
    assert there.acr.verdict == "more"


def test_images_that_cannot_be_the_same_are_not_paired() -> None:
    other_label = results_of([(2, 7, 0.3, True)], "C")
    with pytest.raises(MismatchError, match="different labels"):
        pair(A, other_label)
    with pytest.raises(MismatchError, match="different data sets"):
        pair(replace(A, dataset="digits"), replace(B, dataset="cifar10"))
    with pytest.raises(MismatchError, match="different splits"):
        pair(replace(A, split="train"), replace(B, split="test"))


def test_unlabelled_images_are_not_counted_as_losses() -> None:
    unlabelled = results_of([(2, None, 0.3, None), (6, 0, 0.1, True)], "C")
    assert pair(A, unlabelled).indices.tolist() == [6]


def test_nothing_shared_is_said() -> None:
    found = compare(A, results_of([(1, 0, 0.3, True)], "C"))
    assert (found.shared, found.radii, found.acr) == (0, (), None)
    assert "share no labelled image" in found.warnings[-1]


def test_mcnemar_is_the_exact_binomial_test() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 0) == pytest.approx(2 / 2**5)
    assert mcnemar(8, 2) == pytest.approx(2 * binom.cdf(2, 10, 0.5))


def test_the_score_interval_where_it_has_a_closed_form() -> None:
    z2 = 1.959963984540054**2
    for m in (10, 100, 10_000):
        low, high = paired_interval(0, 0, m)
        assert (low, high) == pytest.approx((-z2 / (m + z2), z2 / (m + z2)), rel=1e-6)
    assert paired_interval(100, 0, 100)[1] == 1.0
    assert paired_interval(0, 100, 100)[0] == -1.0


@pytest.mark.parametrize("m", [50, 200, 1000])
@pytest.mark.parametrize(
    ("gain", "loss"),
    [(0.0, 0.0), (0.01, 0.0), (0.03, 0.0), (0.02, 0.02), (0.1, 0.02), (0.1, 0.1), (0.3, 0.1)],
)
def test_the_paired_interval_covers_as_often_as_it_says(m: int, gain: float, loss: float) -> None:
    runs = 1500
    rng = np.random.default_rng(m)
    drawn = rng.multinomial(m, [gain, loss, 1 - gain - loss], size=runs)[:, :2]
    distinct, times = np.unique(drawn, axis=0, return_counts=True)
    bounds = np.array([paired_interval(int(b), int(c), m) for b, c in distinct])
    held = (bounds[:, 0] <= gain - loss) & (gain - loss <= bounds[:, 1])
    error = np.sqrt(0.95 * 0.05 / runs)
    assert times @ held / runs >= 0.95 - 3 * error


@pytest.mark.parametrize("gain", [0.01, 0.05, 0.2])
def test_equal_classifiers_are_seldom_called_different(gain: float) -> None:
    m, runs = 200, 1500
    rng = np.random.default_rng(5)
    called = 0
    for b, c in rng.multinomial(m, [gain, gain, 1 - 2 * gain], size=runs)[:, :2].tolist():
        low, high = paired_interval(b, c, m)
        called += (low > 0 or high < 0) and mcnemar(b, c) < 0.05
    assert called / runs <= 0.05  # the exact test alone promises it


def test_the_bootstrap_covers_as_often_as_it_says() -> None:
    """Differences of radii as they are: mostly small, some images lost or won altogether."""
    m, runs = 150, 300
    rng = np.random.default_rng(7)
    truth = 0.05 * 0.5 + 0.1 * 0.8 - 0.05 * 0.6  # means of the three kinds below
    held = 0
    for seed in range(runs):
        small = rng.exponential(0.5, m) * 0.05
        jumps = rng.choice([0.8, -0.6, 0.0], size=m, p=[0.1, 0.05, 0.85])
        low, high = bootstrap_interval(small + jumps, seed=seed, resamples=1000)
        held += low <= truth <= high
    assert held / runs >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_the_bootstrap_is_repeatable_and_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(3).normal(0.1, 1.0, 4000)
    low, high = bootstrap_interval(values, seed=1)
    assert (low, high) == bootstrap_interval(values, seed=1)
    width = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - width, values.mean() + width), abs=0.003)


def test_equal_sets_differ_by_nothing() -> None:
    found = compare(A, A, [0.2])
    assert found.radii[0].difference == 0
    assert found.radii[0].low < 0 < found.radii[0].high
    assert found.radii[0].verdict == "within the noise"
    assert acr_difference(pair(A, A)).verdict == "within the noise"


def test_where_interval_and_test_disagree_the_one_that_decides_is_named() -> None:
    """Six gains in 200 and no loss: 95 % by Tango's interval, p = 1/32 by McNemar; five: 1/16."""
    for gained, decided_by, verdict in ((5, "McNemar's test", "within the noise"), (6, "", "more")):
        a, b = (
            results_of([(i, 0, r if i < gained else 0.1, True) for i in range(200)], "s")
            for r in (0.5, 0.1)
        )
        at = compare(a, b, [0.25]).radii[0]
        assert at.p_value == 2 * 0.5**gained
        assert at.low > 0
        assert (at.verdict, at.decided_by) == (verdict, decided_by)
        ((*_, said), *_) = paired_table([(a, compare(a, b, [0.25]))], b).rows
        assert said == (f"{verdict} (by {decided_by})" if decided_by else verdict)


def test_floors_give_a_difference_and_no_verdict() -> None:
    """Adaptive stopping lowers an average more at a large sigma: the better set may look worse."""
    rng = np.random.default_rng(1)
    low = [(i, 0, float(r), True) for i, r in enumerate(rng.uniform(0.4, 0.5, 60))]
    worse = results_of(low, "worse")
    floor = replace(
        results_of([(i, 0, r - 0.1, True) for i, _, r, _ in low], "floor"), acr_is_floor=True
    )
    assert compare(worse, worse).acr.verdict == "within the noise"  # type: ignore[union-attr]
    for a, b in ((worse, floor), (floor, worse)):
        found = compare(a, b).acr
        assert found is not None
        assert abs(found.difference) == pytest.approx(0.1)
        assert (found.low, found.high, found.verdict) == (None, None, "unknown: a floor")
        assert (found.a_is_floor, found.b_is_floor) == (a is floor, b is floor)
