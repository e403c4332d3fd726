"""The worst case for a neighbour with another noise level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from ddrs_core.smoothing.varying_sigma import sigma_room, worst_case_probability


def mass_of_ball(radius: float, centre: float, sigma: float, dimension: int) -> float:
    """P(|X - c| < r) for X ~ N(0, sigma^2 I), by integration along the line to the centre."""

    def slice_at(t: float) -> float:
        rest = (radius**2 - (sigma * t - centre) ** 2) / sigma**2
        across = chi2.cdf(rest, dimension - 1) if dimension > 1 else float(rest > 0)
        return float(norm.pdf(t) * across)

    ends = [(centre - radius) / sigma, (centre + radius) / sigma]
    low, high = max(-12.0, ends[0]), min(12.0, ends[1])
    if low >= high:
        return 0.0
    return float(quad(slice_at, low, high, limit=500, epsabs=1e-11)[0])


def integrated(p_a: float, ratio: float, distance: float, dimension: int) -> float:
    """The same without the noncentral chi-square distribution; sigma_0 is 1, x0 the origin."""
    centre = distance / (1 - ratio**2)  # of the level sets of both densities' ratio, as seen from 0
    inside = p_a if ratio > 1 else 1 - p_a
    most = abs(centre) + 3 * np.sqrt(dimension) + 12
    radius = brentq(lambda r: mass_of_ball(r, centre, 1.0, dimension) - inside, 1e-9, most)
    mass = mass_of_ball(radius, centre - distance, ratio, dimension)
    return mass if ratio > 1 else 1 - mass


@pytest.mark.parametrize(
    ("ratio", "distance", "dimension"),
    [(1.3, 1.0, 1), (0.7, 0.2, 2), (0.97, 0.5, 64), (1.02, 0.5, 3_072), (0.98, 0.5, 3_072)],
)
def test_it_agrees_with_direct_integration(ratio: float, distance: float, dimension: int) -> None:
    found = float(worst_case_probability(0.99, ratio, distance, dimension))
    assert found == pytest.approx(integrated(0.99, ratio, distance, dimension), abs=1e-6)


def test_no_set_of_the_same_mass_does_worse() -> None:
    """Half-spaces, slabs and other balls of mass p_A in the plane have more at the neighbour."""
    p_a, ratio, distance = 0.9, 1.4, 0.8
    least = float(worst_case_probability(p_a, ratio, distance, 2))
    rng = np.random.default_rng(0)
    here = rng.normal(size=(50_000, 2))
    there = np.array([distance, 0.0]) + ratio * here
    for _ in range(15):
        centre = rng.normal(size=2) * 3
        direction = rng.normal(size=2)
        for score in (
            lambda x, c=centre: np.linalg.norm(x - c, axis=1),
            lambda x, d=direction: x @ d,
            lambda x, d=direction: np.abs(x @ d),
        ):
            edge = np.quantile(score(here), p_a)
            assert (score(there) <= edge).mean() >= least - 0.01


def test_with_equal_noise_it_is_the_half_space_and_nothing_jumps_there() -> None:
    distances = np.linspace(0, 2.3, 8)
    equal = worst_case_probability(0.99, 1.0, distances, 3_072)
    np.testing.assert_allclose(equal, norm.cdf(norm.ppf(0.99) - distances), rtol=1e-12)
    for ratio in (1 - 1e-4, 1 + 1e-4):
        near = worst_case_probability(0.99, ratio, distances, 3_072)
        np.testing.assert_allclose(near, equal, atol=2e-3)


def test_the_room_is_where_one_half_is_reached() -> None:
    """At no distance it follows from central quantiles; on CIFAR-10 about 3 % (Súkeník et al.)."""
    low, high = sigma_room(0.99, 0.0, 3_072)
    assert float(high) == pytest.approx(np.sqrt(chi2.ppf(0.99, 3_072) / chi2.median(3_072)))
    assert float(low) == pytest.approx(np.sqrt(chi2.ppf(0.01, 3_072) / chi2.median(3_072)))
    assert round(100 * (float(high) - 1)) == round(100 * (1 - float(low))) == 3
    lows, highs = sigma_room(0.99, np.array([0.5, 2.0, norm.ppf(0.99), 3.0]), 64)
    for ends in (lows, highs):
        np.testing.assert_allclose(
            worst_case_probability(0.99, ends[:2], np.array([0.5, 2.0]), 64), 0.5, atol=1e-9
        )
        assert ends[2:].tolist() == [1.0, 1.0]
