"""What to try for an image that is not certified: at most three steps, with their expected effect.

Each follows from the diagnosis and its evidence; none is a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddrs_core.errors import NamedEnum
from ddrs_core.runs.certify.config import Method
from ddrs_core.runs.diagnose.images import NOTABLE_REGRET, ImageDiagnosis
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.smoothing import ABSTAIN, round_down
from ddrs_core.smoothing.diagnosis import FailureKind

MOST = 3
_BY_SAMPLES = (FailureKind.CAPPED, FailureKind.TOO_FEW_SAMPLES)


class Remedy(NamedEnum, kind="remedy"):
    """What a suggestion does."""

    SAMPLES = "samples"
    SIGMA = "sigma"
    STRATEGY = "strategy"
    NETWORK = "network"
    MEMORY = "memory"
    FILE = "file"


@dataclass(frozen=True)
class Suggestion:
    """One step; ``n`` and ``sigma`` are what to certify with, where it says so."""

    remedy: Remedy
    text: str
    n: int | None = None
    sigma: float | None = None


def suggest(image: ImageDiagnosis, results: ResultSet) -> list[Suggestion]:
    """What would help an image, the most promising first.

    Args:
        image: with its review of noise levels, where that is known.
        results: those that it belongs to.

    Returns:
        At most three; none for an image that is certified.
    """
    if image.kind is FailureKind.CERTIFIED:
        return []
    if image.kind is FailureKind.DAMAGED:
        return [Suggestion(Remedy.FILE, "Replace the file of this image: it cannot be read.")]
    found = [*_samples(image), *_network(image), *_sigma(image, results), *_memory(image, results)]
    return found[:MOST]


def _samples(image: ImageDiagnosis) -> list[Suggestion]:
    needed = image.samples_needed
    if needed is None or image.kind not in _BY_SAMPLES:
        return []
    n = _round_up(needed)
    return [
        Suggestion(
            Remedy.SAMPLES,
            f"Certify with N = {n:,}, fixed in advance: votes with these shares would prove "
            f"r = {image.target:g}.",
            n=n,
            sigma=image.sigma,
        )
    ]


def _sigma(image: ImageDiagnosis, results: ResultSet) -> list[Suggestion]:
    review = image.review
    if review is None or not (review.apart and review.regret >= NOTABLE_REGRET):
        return []
    reaches = "which reaches" if review.best_radius >= image.target else "still below"
    effect = (
        f"fresh votes suggest a radius of about {round_down(review.best_radius)} there, {reaches} "
        f"r = {image.target:g}, and {round_down(review.radius)} at σ = {review.sigma:.3g}"
    )
    found = [
        Suggestion(
            Remedy.SIGMA,
            f"Certify it at σ = {review.best_sigma:.3g}: {effect}.",
            sigma=review.best_sigma,
        )
    ]
    if results.has_one_sigma:
        text = (
            "Let a strategy choose σ for each image: it finds such levels by itself; the radii are "
            "then conditional on σ_x, no longer unconditional."
        )
        found.append(Suggestion(Remedy.STRATEGY, text))
    elif image.sigma_mark == "stuck":
        text = (
            f"Try another strategy: this one stayed at σ = {review.sigma:.3g}, where it began or "
            f"had to end, and a better level lies at {review.best_sigma:.3g}."
        )
        found.append(Suggestion(Remedy.STRATEGY, text))
    return found


def _network(image: ImageDiagnosis) -> list[Suggestion]:
    review = image.review
    if review is None or review.best_radius >= image.target or image.kind in _BY_SAMPLES:
        return []
    low, high = (f"{s:.2g}" for s in (review.levels[0], review.levels[-1]))
    most = (
        f"promises more than {round_down(review.best_radius)}"
        if review.best_radius > 0
        else "promises any radius"
    )
    check = "Check its label, or use" if image.kind is FailureKind.WRONG_CLEAN else "Use"
    return [
        Suggestion(
            Remedy.NETWORK,
            f"{check} another network: no σ from {low} to {high} {most} with this one.",
        )
    ]


def _memory(image: ImageDiagnosis, results: ResultSet) -> list[Suggestion]:
    if image.kind is FailureKind.MEMORY:
        text = "Look it up in the memory: it shows which stored balls leave less than the votes."
    elif results.method == Method.DS_MEMORY and image.prediction == ABSTAIN:
        text = "Look it up in the memory: a ball that is stored later may contain and rescue it."
    else:
        return []
    return [Suggestion(Remedy.MEMORY, text)]


def _round_up(number: int) -> int:
    """Upwards to two digits, so that chance does not spoil it."""
    unit: int = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return -(-number // unit) * unit
