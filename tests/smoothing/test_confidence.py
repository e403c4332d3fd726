"""Bounds against exact values, and the radii that follow from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing.confidence import (
    binomial_p_value,
    check_alpha,
    check_budget,
    check_sigma,
    interval,
    lower_bound,
    radius_cap,
    radius_one_sided,
    radius_two_sided,
    upper_bound,
)

ALPHAS = [0.2, 0.05, 0.001, 1e-6]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("n", [1, 7, 100])
def test_bounds_are_those_of_scipy(n: int, alpha: float) -> None:
    for k in range(n + 1):
        greater = binomtest(k, n, alternative="greater").proportion_ci(1 - alpha, "exact")
        less = binomtest(k, n, alternative="less").proportion_ci(1 - alpha, "exact")
        assert lower_bound(k, n, alpha) == pytest.approx(greater.low, abs=1e-9)
        assert upper_bound(k, n, alpha) == pytest.approx(less.high, abs=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("n", [1, 10, 100_000])
def test_closed_forms_at_the_ends(n: int, alpha: float) -> None:
    assert lower_bound(0, n, alpha) == 0.0
    assert upper_bound(n, n, alpha) == 1.0
    assert lower_bound(n, n, alpha) == pytest.approx(alpha ** (1 / n), rel=1e-14)
    assert upper_bound(0, n, alpha) == pytest.approx(-math.expm1(math.log(alpha) / n), rel=1e-9)


@pytest.mark.parametrize(("k", "n"), [(3, 10), (60, 100), (99_000, 100_000)])
def test_the_bound_is_where_the_tail_has_mass_alpha(k: int, n: int) -> None:
    alpha = 0.001
    assert binom.sf(k - 1, n, lower_bound(k, n, alpha)) == pytest.approx(alpha, rel=1e-6)
    assert binom.cdf(k, n, upper_bound(k, n, alpha)) == pytest.approx(alpha, rel=1e-6)


def test_bounds_grow_with_the_count_and_hold_the_share() -> None:
    k = np.arange(501)
    low, high = interval(k, 500, 0.01)
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) > 0).all()
    assert (low <= k / 500).all()
    assert (k / 500 <= high).all()


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(1e-6, 0.5))
@settings(max_examples=200)
def test_the_upper_bound_mirrors_the_lower_one(n: int, share: float, alpha: float) -> None:
    k = round(share * n)
    assert upper_bound(k, n, alpha) == pytest.approx(1 - lower_bound(n - k, n, alpha), abs=1e-9)


@pytest.mark.parametrize("p", [0.5, 0.83, 0.99])
@pytest.mark.parametrize("n", [10, 77])
def test_the_exact_coverage_is_at_least_nominal(n: int, p: float) -> None:
    alpha = 0.05
    k = np.arange(n + 1)
    weight = binom.pmf(k, n, p)
    assert weight[lower_bound(k, n, alpha) > p].sum() <= alpha
    assert weight[upper_bound(k, n, alpha) < p].sum() <= alpha


@pytest.mark.parametrize(
    ("n", "cap"), [(100, 1.500), (1_000, 2.463), (10_000, 3.199), (100_000, 3.811)]
)
def test_published_caps(n: int, cap: float) -> None:
    assert radius_cap(1.0, n, 0.001) == pytest.approx(cap, abs=6e-4)
    assert radius_cap(0.25, n, 0.001) == pytest.approx(cap / 4, abs=2e-4)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5])
def test_no_majority_no_radius(p: float) -> None:
    assert radius_one_sided(0.5, p) == 0.0


def test_radii_by_the_formula() -> None:
    assert radius_one_sided(0.5, 0.9) == pytest.approx(0.5 * norm.ppf(0.9))
    expected = 0.25 * (norm.ppf(0.6) - norm.ppf(0.1))
    assert radius_two_sided(0.5, 0.6, 0.1) == pytest.approx(expected)
    assert radius_two_sided(0.5, 0.4, 0.1) > 0  # no majority is needed
    assert radius_two_sided(0.5, 0.1, 0.4) == 0.0


def test_two_classes_give_the_same_radius_both_ways() -> None:
    for p in (0.6, 0.9, 0.999):
        assert radius_two_sided(1.0, p, 1.0) == pytest.approx(radius_one_sided(1.0, p))


def test_p_value() -> None:
    assert binomial_p_value(0, 0) == 1.0
    assert binomial_p_value(5, 5) == 1.0
    assert binomial_p_value(10, 0) == pytest.approx(2 / 2**10)


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.125, 0.25, 1e-9, 0.4])
def test_the_named_sample_count_is_the_smallest_that_works(alpha: float) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        check_budget(1, 1, alpha)
    needed = int(str(caught.value).split("N >= ")[1].split()[0])
    check_budget(1, needed, alpha)
    assert radius_cap(1.0, needed, alpha) > 0
    with pytest.raises(InvalidParameterError):
        check_budget(1, needed - 1, alpha)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.5, math.nan, math.inf])
def test_alpha_outside_the_unit_interval(alpha: float) -> None:
    with pytest.raises(InvalidParameterError, match="alpha"):
        check_alpha(alpha)


@pytest.mark.parametrize("sigma", [0.0, -0.25, math.nan, math.inf, 1e9])
def test_sigma_that_makes_no_sense(sigma: float) -> None:
    with pytest.raises(InvalidParameterError, match="sigma"):
        check_sigma(sigma)


@pytest.mark.parametrize(("n0", "n"), [(0, 100), (100, 0), (-1, 100), (10, 10.5), (10, 10**12)])
def test_counts_that_make_no_sense(n0: int, n: int) -> None:
    with pytest.raises(InvalidParameterError):
        check_budget(n0, n, 0.001)


@pytest.mark.parametrize("n", [2, 100, 10**6, 10**9])
@pytest.mark.parametrize("alpha", [1e-3, 1e-20, 1e-99])
def test_bounds_hold_their_level_for_tiny_alpha_and_many_samples(n: int, alpha: float) -> None:
    for k in {1, n // 2, n - 1}:
        low, high = float(lower_bound(k, n, alpha)), float(upper_bound(k, n, alpha))
        assert 0 < low <= k / n <= high <= 1
        assert binom.sf(k - 1, n, low) == pytest.approx(alpha, rel=1e-4)
        assert high == pytest.approx(1 - lower_bound(n - k, n, alpha), rel=1e-12)


@pytest.mark.parametrize("alpha", [5e-324, 1e-300])
def test_alpha_beyond_double_precision_is_refused_in_words(alpha: float) -> None:
    for parts in (1, 2):
        with pytest.raises(InvalidParameterError, match="1e-100"):
            check_budget(100, 1000, alpha, parts=parts)
