"""Certified accuracy as a function of the radius, how certain it is, and what makes two
sets of results incomparable.

Two kinds of chance are kept apart. The noise of a certification may make a certificate wrong (with
probability alpha each); the *high-probability bound* holds for the very images that were
certified. Other images would have given another share; the *interval over images* says how far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddrs_core.errors import InvalidParameterError, require_number
from ddrs_core.quantities import counted, listed
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.runs.results.summary import RADII, Summary, summarize_results
from ddrs_core.smoothing import confidence
from ddrs_core.smoothing.alpha_spending import LookSchedule

RHO = 0.001  # probability that the high-probability bound fails
LEVEL = 0.95  # of intervals over the choice of images
ENVELOPE_TITLE = "envelope (not a classifier)"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A step function: ``accuracy[i]`` holds for radii in (``radii[i-1]``, ``radii[i]``]; beyond
    the last radius it is 0. ``radii[0]`` is 0. ``lower`` is the high-probability bound."""

    radii: Floats  # [k], ascending
    accuracy: Floats  # [k]
    lower: Floats | None  # [k]


@dataclass(frozen=True)
class Figures:
    """A row of the comparison table; dictionaries by radius."""

    results: ResultSet
    summary: Summary
    lower: dict[float, float | None]  # high-probability bound for these images
    interval: dict[float, tuple[float, float] | None]  # over the choice of images


@dataclass(frozen=True)
class Envelope:
    """At each radius the best of several sets. No classifier does that: its user would have to
    know the radius before choosing."""

    title: str
    radii: Floats  # [k], ascending
    accuracy: Floats  # [k]
    best: NDArray[np.int64]  # [k], which set


def certified_accuracy(results: ResultSet, radii: ArrayLike) -> Floats:
    """Share of all images that is correct with a radius of at least r, for each r; NaN of none.
    Without any label it is the share that is certified, whatever the class."""
    held = np.sort(results.radii[results.counted])
    below = np.searchsorted(held, np.asarray(radii, dtype=np.float64), side="left")
    with np.errstate(invalid="ignore"):
        return (len(held) - below) / np.float64(len(results.rows))


def certified_curve(results: ResultSet, rho: float = RHO) -> Curve:
    """Certified accuracy at every radius where it changes, exactly."""
    held = results.radii[results.counted]
    radii = np.unique(np.concatenate([[0.0], held]))
    accuracy = certified_accuracy(results, radii) if results.rows else np.zeros(1)
    loss = high_probability_loss(results, rho)
    return Curve(radii, accuracy, None if loss is None else np.maximum(accuracy - loss, 0.0))


def high_probability_loss(results: ResultSet, rho: float = RHO) -> float | None:
    """What to take off a certified accuracy so that the rest holds with probability 1 - rho.

    At most q of the m certificates are wrong with probability 1 - rho, where q is the (1 - rho)
    quantile of Binomial(m, alpha), since their noise is independent; so acc - q/m bounds the
    accuracy of the smoothed classifier on these images, at all radii together.

    Returns:
        q/m; None where alpha is unknown, where there is no image or no label, or where a memory
        made answers depend on each other.
    """
    require_number("rho", rho, above=0.0, below=1.0)
    m = len(results.rows)
    if not m or results.alpha is None or results.method == "ds-memory" or not results.has_labels:
        return None
    return wrong_certificates(m, results.alpha, rho) / m


def wrong_certificates(m: int, alpha: float, rho: float) -> int:
    """At most so many of m independent certificates are wrong, with probability 1 - rho."""
    from scipy.stats import binom  # slow to import

    return int(binom.ppf(1.0 - rho, m, alpha))


def image_interval(count: int, m: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval for a share over the choice of images (Clopper and Pearson 1934), which holds it
    with a probability of at least ``level`` if the m images were drawn at random.

    Raises:
        InvalidParameterError: if there is no image or the level is not in (0, 1).
    """
    require_number("level", level, above=0.0, below=1.0)
    if not 0 <= count <= m or m == 0:
        raise InvalidParameterError(f"{count} of {counted(m, 'image')} is not a share.")
    low, high = confidence.interval(count, m, 1.0 - level)
    return float(low), float(high)


def figures_of(
    results: ResultSet, radii: Sequence[float] = RADII, *, rho: float = RHO, level: float = LEVEL
) -> Figures:
    """All figures of one set for a table."""
    m, loss = len(results.rows), high_probability_loss(results, rho)
    shares = certified_accuracy(results, radii)
    lower: dict[float, float | None] = {}
    interval: dict[float, tuple[float, float] | None] = {}
    for r, share in zip(radii, shares, strict=True):
        known = results.has_labels and (results.has_radii or r == 0)
        lower[r] = None if loss is None or not known else max(float(share) - loss, 0.0)
        interval[r] = image_interval(round(float(share) * m), m, level) if m and known else None
    return Figures(results, summarize_results(results, radii), lower, interval)


def envelope(sets: Sequence[ResultSet]) -> Envelope:
    """The best of those sets that have labels, at each radius where one of them changes.

    Raises:
        InvalidParameterError: if no set has a row with a label.
    """
    filled = [i for i, results in enumerate(sets) if results.labelled.any()]
    if not filled:
        raise InvalidParameterError("There are no results to take the best of.")
    radii = np.unique(np.concatenate([certified_curve(sets[i]).radii for i in filled]))
    table = np.stack([certified_accuracy(sets[i], radii) for i in filled])  # [sets, k]
    best = np.array(filled)[table.argmax(axis=0)]
    return Envelope(ENVELOPE_TITLE, radii, table.max(axis=0), best.astype(np.int64))


def radius_cap(results: ResultSet) -> float | None:
    """The largest radius that N samples could prove; None where sigma differs or is unknown."""
    slope = cap_over_sigma(results)
    if slope is None or results.sigma is None or not results.has_one_sigma:
        return None
    return slope * results.sigma


def cap_over_sigma(results: ResultSet) -> float | None:
    """The largest radius for sigma = 1; None where N or alpha is unknown."""
    if results.n is None or results.alpha is None:
        return None
    certificates = (row.certificate for row in results.rows if not row.failure)
    first = next((c for c in certificates if c is not None), None)
    alpha = results.alpha
    if first is not None:
        if first.schedule:
            alpha = LookSchedule.from_text(first.schedule).spent(results.n, alpha)
        alpha /= first.bound.parts
    return float(confidence.radius_cap(1.0, results.n, alpha))


def mismatches(sets: Sequence[ResultSet]) -> tuple[str, ...]:
    """What makes figures of several sets hard to compare, a sentence each."""
    found = [*_different_images(sets)]
    unrecorded = []
    for name, title in _COMPARED.items():
        values = [getattr(results, name) for results in sets]
        known = {value for value in values if value is not None}
        if len(known) > 1:
            said = ", ".join(_said(name, value) for value in dict.fromkeys(values))
            found.append(f"{title} differs: {said}.")
        elif name == "dataset" and None in values:
            found.append(
                "The data set is not recorded in every set, so equal numbers are taken for equal "
                "images. Are they? CIFAR-10-C has the numbers and labels of CIFAR-10."
            )
        elif known and None in values:
            unrecorded.append(title.removeprefix("The "))
    if unrecorded:
        found.append(f"Not recorded in every set: {', '.join(unrecorded)}.")
    for results in sets:
        unlabelled = len(results.rows) - int(results.labelled.sum())
        if not results.has_labels:
            found.append(
                f"{results.title} has no labels: its figures count radii of whatever class."
            )
        elif unlabelled:
            found.append(
                f"{results.title} has {counted(unlabelled, 'image')} without a label, counted as "
                "wrong."
            )
        if not results.has_radii:
            found.append(f"{results.title} holds predictions, which certify no radius.")
    if len({results.acr_is_floor for results in sets}) > 1:
        found.append("Some sets stopped sampling early: their ACR is a floor, that of others not.")
    return tuple(found)


def on_common_images(sets: Sequence[ResultSet]) -> list[ResultSet]:
    """The sets with only the rows of images that every one of them has."""
    common = _common_images(sets)
    return [
        replace(results, rows=tuple(row for row in results.rows if row.index in common))
        for results in sets
    ]


def missing_baseline(sets: Sequence[ResultSet]) -> tuple[str, ...]:
    """A sentence where a fixed sigma stands beside data-dependent ones of the same model, and a
    tuned one does not; otherwise none."""
    methods: dict[tuple[str, str | None], set[str]] = {}
    for results in sets:
        if results.model is not None:
            methods.setdefault((results.model, results.dataset), set()).add(results.method)
    lacking = [
        model
        for (model, _), there in methods.items()
        if "fixed" in there and there & {"ds", "ds-memory"} and "tuned" not in there
    ]
    if not lacking:
        return ()
    return (
        f"Part of the gain of data-dependent sigma ({listed(lacking)}) may be that of a better "
        "single sigma for all images: certify --method tuned (Tuned sigma on the page) makes the "
        "row to compare with.",
    )


_COMPARED = {
    "dataset": "The data set",
    "corruption": "The corruption of the images",
    "split": "The split",
    "n": "N",
    "alpha": "alpha",
    "bound": "The bound",
    "precision": "The precision",
}


def _different_images(sets: Sequence[ResultSet]) -> list[str]:
    images = [_images_of(results) for results in sets]
    if all(found == images[0] for found in images[1:]):
        return []
    sizes = ", ".join(f"{len(found):,}" for found in images)
    shared = len(_common_images(sets))
    return [f"The images differ: the sets have {sizes}, of which all share {shared:,}."]


def _images_of(results: ResultSet) -> set[int]:
    return set(results.indices[results.indices >= 0].tolist())


def _common_images(sets: Sequence[ResultSet]) -> set[int]:
    return set.intersection(*map(_images_of, sets)) if sets else set()


def _said(name: str, value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:,}" if name == "n" else str(value) or "none is known"
