"""Differences between two sets of results on the images that they share.

Each image is its own control, so far smaller differences can be told from chance than between two
shares. What decides at one radius are the images that only one of the two certifies there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ddrs_core.errors import MismatchError, require_count, require_number
from ddrs_core.quantities import counted
from ddrs_core.runs.results.comparison import LEVEL, mismatches
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.runs.results.summary import RADII
from ddrs_core.smoothing.confidence import binomial_p_value

Verdict = Literal["more", "less", "within the noise", "unknown: a floor"]
RESAMPLES = 4000
_FEWEST = 10  # images that must differ before a bootstrap means anything
_CHUNK = 2**22  # numbers drawn at once
_EDGE = 1e-9


@dataclass(frozen=True)
class RadiusDifference:
    """Certified accuracy of a minus that of b at one radius, on the shared images."""

    radius: float
    accuracy_a: float
    accuracy_b: float
    gained: int  # images that a certifies and b does not
    lost: int  # images that b certifies and a does not
    difference: float
    low: float
    high: float
    p_value: float  # exact McNemar test
    verdict: Verdict  # a certifies more or less than b
    decided_by: str = ""  # the one of interval and test that sees no difference, if the other does


@dataclass(frozen=True)
class AcrDifference:
    """Average certified radius of a minus that of b on the shared images.

    There is no interval where fewer than ten images differ: resampling so few says nothing. Nor is
    there one where an average is a floor: how far it lies below the truth depends on sigma, so the
    better set may have the lower floor.
    """

    acr_a: float
    acr_b: float
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict
    a_is_floor: bool = False
    b_is_floor: bool = False


@dataclass(frozen=True)
class PairedComparison:
    """All differences between two sets, at a confidence level that holds for each alone."""

    shared: int  # images
    level: float
    radii: tuple[RadiusDifference, ...]
    acr: AcrDifference | None  # None without a shared image, or without radii
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Pairs:
    """The labelled images that two sets share; arrays [k], in the order of ``indices``."""

    indices: NDArray[np.int64]
    radii_a: NDArray[np.float64]  # 0 where wrong
    radii_b: NDArray[np.float64]
    correct_a: NDArray[np.bool_]
    correct_b: NDArray[np.bool_]

    def certified(self, radius: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which images a and b certify at a radius."""
        return (
            self.correct_a & (self.radii_a >= radius),
            self.correct_b & (self.radii_b >= radius),
        )

    def gained(self, radius: float) -> NDArray[np.int64]:
        """Numbers of the images that a certifies at a radius and b does not."""
        a, b = self.certified(radius)
        return self.indices[a & ~b]

    def lost(self, radius: float) -> NDArray[np.int64]:
        """Numbers of the images that b certifies at a radius and a does not."""
        a, b = self.certified(radius)
        return self.indices[b & ~a]


def pair(a: ResultSet, b: ResultSet) -> Pairs:
    """Match two sets image by image.

    Raises:
        MismatchError: if the numbers mean different images: another data set, another split,
            another corruption, or another label for the same number.
    """
    for name, title in (("dataset", "data sets"), ("split", "splits")):
        ours, theirs = getattr(a, name), getattr(b, name)
        if None not in (ours, theirs) and ours != theirs:
            raise MismatchError(
                f"{a.title} and {b.title} cannot be compared image by image: they come from "
                f"different {title}, {ours} and {theirs}."
            )
    if a.corruption != b.corruption:
        said = [f"those of {r.title} are {r.corruption}" for r in (a, b) if r.corruption]
        raise MismatchError(
            f"{a.title} and {b.title} cannot be compared image by image: they are of different "
            f"images, though number and label may be the same ({'; '.join(said)}). Rename the "
            "file if its name means something else."
        )
    usable_a = np.flatnonzero(a.labelled & (a.indices >= 0))
    usable_b = np.flatnonzero(b.labelled & (b.indices >= 0))
    indices, at_a, at_b = np.intersect1d(
        a.indices[usable_a], b.indices[usable_b], return_indices=True
    )
    at_a, at_b = usable_a[at_a], usable_b[at_b]
    differing = (a.labels[at_a] != b.labels[at_b]) & (a.labels[at_a] >= 0) & (b.labels[at_b] >= 0)
    if differing.any():
        raise MismatchError(
            f"{a.title} and {b.title} cannot be compared image by image: {int(differing.sum()):,} "
            f"of {counted(len(indices), 'image')} with the same number have different labels, the "
            f"first of them image {int(indices[differing][0])}."
        )
    correct_a, correct_b = a.correct[at_a], b.correct[at_b]
    return Pairs(
        indices, a.radii[at_a] * correct_a, b.radii[at_b] * correct_b, correct_a, correct_b
    )


def compare(
    a: ResultSet,
    b: ResultSet,
    radii: Sequence[float] = RADII,
    *,
    level: float = LEVEL,
    seed: int = 0,
) -> PairedComparison:
    """All differences between two sets on the images that they share.

    Args:
        a, b: the sets; differences are a minus b.
        radii: where certified accuracy is compared.
        level: of each interval; several radii are not corrected for each other.
        seed: of the bootstrap.

    Raises:
        MismatchError: if their images cannot be matched.
        InvalidParameterError: if the level is not in (0, 1).

    >>> from ddrs_core.runs.results.references import reference_results
    >>> ds, fixed = (
    ...     reference_results(f"reference.study.digits-gaussian-0.50-{name}-0.5")
    ...     for name in ("ds", "fixed")
    ... )
    >>> found = compare(ds, fixed, radii=(0.5,)).radii[0]
    >>> round(found.difference, 3), found.verdict
    (0.26, 'more')
    """
    require_number("level", level, above=0.0, below=1.0)
    pairs = pair(a, b)
    m = len(pairs.indices)
    warnings = list(mismatches((a, b)))
    if not m:
        warnings.append("The sets share no labelled image, so nothing can be compared.")
        return PairedComparison(0, level, (), None, tuple(warnings))
    have_radii = a.has_radii and b.has_radii
    return PairedComparison(
        m,
        level,
        tuple(radius_difference(pairs, r, level) for r in radii if have_radii or r == 0),
        acr_difference(pairs, level, seed=seed, floors=(a.acr_is_floor, b.acr_is_floor))
        if have_radii
        else None,
        tuple(warnings),
    )


def radius_difference(pairs: Pairs, radius: float, level: float = LEVEL) -> RadiusDifference:
    """The difference at one radius; "more" and "less" need both the interval and the exact test
    to exclude 0; where only one of them does, ``decided_by`` names the other. Needs at least one
    pair."""
    a, b = pairs.certified(radius)
    m, gained, lost = len(a), int((a & ~b).sum()), int((b & ~a).sum())
    low, high = paired_interval(gained, lost, m, level)
    p_value = mcnemar(gained, lost)
    seen, verdict = p_value < 1 - level, _verdict(low, high)
    decided_by = ""
    if seen != (verdict != "within the noise"):
        decided_by, verdict = "the interval" if seen else "McNemar's test", "within the noise"
    return RadiusDifference(
        radius,
        float(a.mean()),
        float(b.mean()),
        gained,
        lost,
        (gained - lost) / m,
        low,
        high,
        p_value,
        verdict,
        decided_by,
    )


def acr_difference(
    pairs: Pairs,
    level: float = LEVEL,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    floors: tuple[bool, bool] = (False, False),
) -> AcrDifference:
    """The difference of the average certified radius, with a BCa bootstrap interval over images.
    Needs at least one pair; ``floors`` says whose average is a floor."""
    values = pairs.radii_a - pairs.radii_b
    low = high = None
    verdict: Verdict = "within the noise"
    if any(floors):
        verdict = "unknown: a floor"
    elif np.count_nonzero(values) >= _FEWEST:
        low, high = bootstrap_interval(values, level, seed=seed, resamples=resamples)
        verdict = _verdict(low, high)
    return AcrDifference(
        float(pairs.radii_a.mean()),
        float(pairs.radii_b.mean()),
        float(values.mean()),
        low,
        high,
        verdict,
        *floors,
    )


def mcnemar(gained: int, lost: int) -> float:
    """Exact two-sided p-value of "gains and losses are equally likely" (McNemar 1947).

    >>> round(mcnemar(13, 3), 3)
    0.021
    """
    return binomial_p_value(gained, lost)


def paired_interval(gained: int, lost: int, m: int, level: float = LEVEL) -> tuple[float, float]:
    """Score interval for the difference of two paired shares (Tango 1998, "Equivalence test and
    confidence interval for the difference in proportions for the paired-sample design").

    Only the images that differ count, and none differing gives an interval of positive width.

    >>> low, high = paired_interval(13, 3, m=500)
    >>> round(low, 4), round(high, 4)
    (0.0049, 0.0387)
    """
    require_count("number of images", m)
    z = float(-ndtri((1 - level) / 2))
    estimate = (gained - lost) / m

    def score(delta: float) -> float:
        """Standardised distance of the estimate from ``delta``, decreasing in it."""
        b = -gained - lost + (2 * m - gained + lost) * delta
        root = max(0.0, b * b + 8 * m * lost * delta * (1 - delta))
        share = (np.sqrt(root) - b) / (4 * m)  # of losses, the likeliest if delta is true
        variance = m * (2 * share + delta * (1 - delta))
        gap = m * (estimate - delta)
        return float(gap / np.sqrt(variance)) if variance > 0 else float(np.sign(gap)) * 1e9

    low = -1.0 if estimate <= -1 else _root(lambda d: score(d) - z, -1 + _EDGE, estimate)
    high = 1.0 if estimate >= 1 else _root(lambda d: score(d) + z, estimate, 1 - _EDGE)
    return low, high


def bootstrap_interval(
    values: NDArray[np.float64], level: float = LEVEL, *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """BCa bootstrap interval for the mean of ``values`` [m] (Efron 1987)."""
    m, mean = len(values), float(values.mean())
    generator = np.random.Generator(np.random.PCG64(seed))
    size = max(1, _CHUNK // m)
    parts = [
        values[generator.integers(0, m, size=(min(size, resamples - at), m))].mean(axis=1)
        for at in range(0, resamples, size)
    ]
    means = np.concatenate(parts)
    below = (np.count_nonzero(means < mean) + 0.5 * np.count_nonzero(means == mean)) / resamples
    bias = float(ndtri(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples)))
    gaps = values - mean
    spread = float((gaps**2).sum())
    skew = float((gaps**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    tails = ndtri([(1 - level) / 2, (1 + level) / 2]) + bias
    low, high = np.quantile(means, ndtr(bias + tails / (1 - skew * tails)))
    return float(low), float(high)


def _root(f: Any, low: float, high: float) -> float:
    """Where f changes its sign; the nearer end where it does not."""
    if f(low) * f(high) > 0:
        return low if abs(f(low)) < abs(f(high)) else high
    from scipy.optimize import brentq  # slow to import

    return float(brentq(f, low, high, xtol=1e-12))


def _verdict(low: float, high: float) -> Verdict:
    if low > 0:
        return "more"
    return "less" if high < 0 else "within the noise"
