"""Curves, bands and mismatches, by hand and by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from ddrs_core.errors import DDRSError
from ddrs_core.runs.results.comparison import (
    cap_over_sigma,
    certified_accuracy,
    certified_curve,
    envelope,
    figures_of,
    high_probability_loss,
    image_interval,
    mismatches,
    missing_baseline,
    radius_cap,
    wrong_certificates,
)
from ddrs_core.runs.results.results import ResultRow, ResultSet


def results_of(
    radii: list[float], correct: list[bool | None] | None = None, title: str = "A", **facts: object
) -> ResultSet:
    held = correct if correct is not None else [True] * len(radii)
    rows = tuple(
        ResultRow(i, None if ok is None else 0, 0 if ok else 1, r, ok, 2.0)
        for i, (r, ok) in enumerate(zip(radii, held, strict=True))
    )
    return ResultSet(title, title, rows, **{"alpha": 0.001, "n": 1000, **facts})  # type: ignore[arg-type]


MIXED = results_of([0.0, 0.5, 0.5, 0.9, 0.3], [True, True, True, False, True])


def test_certified_at_r_means_right_with_at_least_r() -> None:
    found = certified_accuracy(MIXED, [0.0, 0.3, 0.30001, 0.5, 0.50001, 0.9])
    assert found.tolist() == [0.8, 0.6, 0.4, 0.4, 0.0, 0.0]


def test_the_curve_is_exact_between_its_steps() -> None:
    rng = np.random.default_rng(1)
    results = results_of(rng.random(50).round(2).tolist(), (rng.random(50) < 0.7).tolist())
    curve = certified_curve(results)
    for r in rng.random(200):
        after = np.searchsorted(curve.radii, r, side="left")  # the first radius >= r
        by_steps = curve.accuracy[after] if after < len(curve.radii) else 0.0
        assert by_steps == certified_accuracy(results, r)
    assert (np.diff(curve.accuracy) <= 0).all()
    assert (np.diff(curve.radii) > 0).all()


def test_the_bound_takes_off_the_quantile_of_wrong_certificates() -> None:
    results = results_of([0.5] * 500, alpha=0.01)
    q = wrong_certificates(500, 0.01, 0.05)
    assert binom.cdf(q, 500, 0.01) >= 0.95 > binom.cdf(q - 1, 500, 0.01)
    assert high_probability_loss(results, 0.05) == q / 500
    curve = certified_curve(results, 0.05)
    assert curve.lower is not None
    np.testing.assert_allclose(curve.lower, curve.accuracy - q / 500)


def test_the_bound_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    m, alpha, rho, runs = 200, 0.02, 0.05, 20_000
    wrong = rng.binomial(m, alpha, size=runs)
    failed = (wrong > wrong_certificates(m, alpha, rho)).mean()
    assert failed <= rho + 3 * np.sqrt(rho * (1 - rho) / runs)


@pytest.mark.parametrize("facts", [{"alpha": None}, {"method": "ds-memory"}])
def test_no_bound_where_it_would_not_hold(facts: dict[str, object]) -> None:
    results = replace(MIXED, **facts)  # type: ignore[arg-type]
    assert high_probability_loss(results) is None
    assert certified_curve(results).lower is None


@pytest.mark.parametrize(("m", "share"), [(20, 0.03), (100, 0.5), (300, 0.98)])
def test_the_interval_over_images_holds_the_share(m: int, share: float) -> None:
    counts = np.arange(m + 1)
    held = [low <= share <= high for low, high in (image_interval(int(k), m) for k in counts)]
    assert binom.pmf(counts, m, share) @ held >= 0.95  # exact, no simulation needed


def test_a_share_of_nothing_is_refused() -> None:
    for count, m in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(DDRSError):
            image_interval(count, m)


def test_figures_of_no_rows_are_unknown() -> None:
    figures = figures_of(results_of([]), [0.0, 0.5])
    assert figures.summary.images == 0
    assert figures.summary.certified_accuracy == {0.0: None, 0.5: None}
    assert figures.summary.average_certified_radius is None
    assert figures.lower == figures.interval == {0.0: None, 0.5: None}
    assert certified_curve(results_of([])).accuracy.tolist() == [0.0]


def test_the_envelope_is_the_best_at_each_radius_and_says_what_it_is() -> None:
    a, b = results_of([0.2, 0.2, 0.2]), results_of([0.9, 0.1, 0.1], [True, False, False])
    best = envelope([a, b])
    for r, accuracy, winner in zip(best.radii, best.accuracy, best.best, strict=True):
        both = [float(certified_accuracy(s, r)) for s in (a, b)]
        assert accuracy == max(both) == both[winner]
    assert set(best.best.tolist()) == {0, 1}
    assert "not a classifier" in best.title
    with pytest.raises(DDRSError):
        envelope([results_of([])])


def test_the_cap_is_that_of_the_literature() -> None:
    results = results_of([0.1], n=100_000, method="fixed", sigma=0.5)
    assert radius_cap(results) == pytest.approx(0.5 * 3.811, abs=0.0005)
    assert cap_over_sigma(replace(results, n=100)) == pytest.approx(1.500, abs=0.0005)
    assert radius_cap(replace(results, method="ds")) is None
    assert cap_over_sigma(replace(results, n=None)) is None


def test_mismatches_are_said_in_words() -> None:
    known = replace(MIXED, dataset="digits")
    assert mismatches((known, known)) == ()
    other = replace(
        results_of([0.1, 0.2], [True, None]),
        n=100_000,
        alpha=0.01,
        dataset="cifar10",
        precision="bf16",
        split="test",
    )
    said = " ".join(mismatches((replace(MIXED, dataset="digits", precision="fp32"), other)))
    for words in (
        "the sets have 5, 2, of which all share 2",
        "N differs: 1,000, 100,000",
        "alpha differs: 0.001, 0.01",
        "The data set differs: digits, cifar10",
        "The precision differs",
        "Not recorded in every set: split",
        "1 image without a label",
    ):
        assert words in said


def test_a_gain_over_the_sigma_of_training_lacks_a_row() -> None:
    fixed, ds = (results_of([0.5], method=m, model="a", dataset="d") for m in ("fixed", "ds"))
    (said,) = missing_baseline([fixed, ds, replace(fixed, model="b")])
    assert "(a)" in said
    assert "certify --method tuned" in said
    assert missing_baseline([replace(ds, method="ds-memory"), fixed]) == (said,)
    complete = [fixed, ds, replace(fixed, method="tuned")]
    for sets in ([fixed], [ds], [fixed, replace(ds, model="b")], complete):
        assert missing_baseline(sets) == ()
