"""The images of a run or log that are not certified at a radius, each with one kind of failure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ddrs_core.runs.diagnose.neighbours import Neighbours
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.smoothing import ABSTAIN, round_down
from ddrs_core.smoothing.attack import Attack
from ddrs_core.smoothing.diagnosis import Diagnosis, FailureKind, class_name, diagnose, vote_margin
from ddrs_core.smoothing.segment import SegmentVotes
from ddrs_core.smoothing.sigma.regret import LevelReview

NOTABLE_REGRET = 0.05  # of the best radius; less is not worth another run
FIELDS = (
    *("index", "label", "prediction", "radius", "sigma", "target", "kind", "reason"),
    *("samples_needed", "best_sigma", "regret", "attack_distance", "marks", "clean", "suggested"),
    *("certified_but_wrong", "best_radius", "attack_prediction", "attack_tries", "other_radius"),
    *("margin", "nearest_of_label", "nearest_other", "nearest_other_label"),
    "confidence",
)
_EVIDENCE = ("review", "sigma_mark", "attack", "segment", "neighbours")
_AT_BOUND = 0.01  # relative distance of a noise level from one that it did not leave


class CleanAnswer(NamedTuple):
    """What a network says of an image without noise."""

    prediction: int
    confidence: float  # the largest softmax output


@dataclass(frozen=True)
class ImageDiagnosis:
    """One image: its answer, why it is not certified at ``target``, and the evidence so far.

    ``best_sigma`` and ``regret`` come from fresh votes at other noise levels, ``attack`` from an
    attack at the image's own level; both are None until they are measured.
    """

    index: int | None
    label: int | None
    prediction: int
    radius: float
    sigma: float | None
    target: float
    kind: FailureKind
    reason: str
    certified_but_wrong: bool = False
    suggested: float | None = None
    samples_needed: int | None = None
    clean: int | None = None
    margin: float | None = None  # lead of the label in the votes, as a share of all; below 0: none
    other_radius: float | None = None  # in the run that this one is set against
    against: str = ""  # "lost" or "won" against it
    review: LevelReview | None = None
    sigma_mark: str = ""  # "too small", "too large" or "stuck": what the review says
    attack: Attack | None = None
    segment: SegmentVotes | None = None  # from the image to what the attack found
    neighbours: Neighbours | None = None  # among the training images
    confidence: float | None = None  # of the network without noise: its largest softmax output

    @property
    def best_sigma(self) -> float | None:
        """The noise level with the largest expected radius among those reviewed."""
        return None if self.review is None else self.review.best_sigma

    @property
    def best_radius(self) -> float | None:
        """The radius that is expected there; nothing proves it."""
        return None if self.review is None else self.review.best_radius

    @property
    def regret(self) -> float | None:
        """The share of the best radius that is lost at the image's own noise level."""
        return None if self.review is None else self.review.regret

    @property
    def attack_distance(self) -> float | None:
        """The distance of the nearest image with another class that is known."""
        return None if self.attack is None else self.attack.distance

    def with_evidence(self, other: ImageDiagnosis | None) -> ImageDiagnosis:
        """The same with evidence that another diagnosis of the image has and this one lacks."""
        if other is None:
            return self
        return replace(self, **{n: getattr(self, n) or getattr(other, n) for n in _EVIDENCE})

    @property
    def marks(self) -> tuple[str, ...]:
        """What is remarkable beside the kind."""
        found = ["certified but wrong"] if self.certified_but_wrong else []
        found += [f"sigma {self.sigma_mark}"] if self.sigma_mark else []
        found += [self.against] if self.against else []
        if self.attack_distance is not None and self.attack_distance <= self.target:
            found.append("adversarial image within r")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain data, for JSON and tables; infinite radii become None."""
        own = {name: getattr(self, name) for name in FIELDS if hasattr(self, name)}
        attack, near = self.attack, self.neighbours
        of_label = None if near is None else near.of(self.label)
        other = None if near is None else near.other_than(self.label)
        measured = {
            "attack_prediction": getattr(attack, "prediction", None),
            "attack_tries": getattr(attack, "tries", None),
            "nearest_of_label": getattr(of_label, "distance", None),
            "nearest_other": getattr(other, "distance", None),
            "nearest_other_label": getattr(other, "label", None),
        }
        plain = {**own, **measured, "kind": self.kind.value, "marks": list(self.marks)}
        return {name: _finite(plain[name]) for name in FIELDS}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def diagnose_results(
    results: ResultSet,
    radius: float,
    clean: Mapping[int, CleanAnswer] | None = None,
    names: Sequence[str] = (),
) -> list[ImageDiagnosis]:
    """All images of a set, in its order; those that are certified as well.

    Args:
        results: of a run or log.
        radius: r at which an image should be certified, l2 in units of pixels in [0, 1].
        clean: what the network says without noise, by image number; a class that a row records
            goes before.
        names: of the classes.

    Raises:
        InvalidParameterError: if the radius makes no sense.
    """
    known = clean or {}
    return [
        diagnose_row(row, radius, None if row.index is None else known.get(row.index), names)
        for row in results.rows
    ]


def mark_against(images: Sequence[ImageDiagnosis], other: ResultSet | None) -> list[ImageDiagnosis]:
    """The images, with marks on those that only one of the two sets certifies."""
    rows: dict[int | None, ResultRow] = {}
    if other is not None:
        rows = {r.index: r for r in other.rows if r.index is not None}
    return [_with_other(image, rows.get(image.index)) for image in images]


def diagnose_row(
    row: ResultRow, radius: float, answer: CleanAnswer | None = None, names: Sequence[str] = ()
) -> ImageDiagnosis:
    """One image, with what the network says of it without noise."""
    c = row.certificate
    clean = None if answer is None else answer.prediction
    clean = clean if c is None or c.clean is None else c.clean
    if c is None:
        found = _without_votes(row, radius, clean, names)
    else:
        found = diagnose(c, radius, clean, names)
    return ImageDiagnosis(
        row.index,
        row.label,
        row.prediction,
        row.radius,
        row.sigma,
        found.target,
        found.kind,
        found.reason,
        found.certified_but_wrong,
        found.suggested,
        found.samples_needed,
        clean,
        None if c is None or not sum(c.counts) else vote_margin(c),
        confidence=None if answer is None else answer.confidence,
    )


def with_review(
    image: ImageDiagnosis, review: LevelReview, sigma_0: float | None, bounds: tuple[float, float]
) -> ImageDiagnosis:
    """The image with what other noise levels would give it.

    Args:
        review: of its own class.
        sigma_0: where the strategy began; None for a fixed sigma.
        bounds: smallest and largest level that it might have chosen.
    """
    mark = ""
    if review.apart and review.regret >= NOTABLE_REGRET:
        unmoved = [*bounds, *([] if sigma_0 is None else [sigma_0])]
        stuck = any(abs(review.sigma / level - 1) < _AT_BOUND for level in unmoved)
        mark = "too small" if review.best_sigma > review.sigma else "too large"
        mark = "stuck" if stuck and sigma_0 is not None else mark
    return replace(image, review=review, sigma_mark=mark)


def only(images: Iterable[ImageDiagnosis], kinds: Sequence[FailureKind]) -> list[ImageDiagnosis]:
    """Those of some kinds; with none named, all that are not certified."""
    return [
        image
        for image in images
        if (image.kind in kinds if kinds else image.kind is not FailureKind.CERTIFIED)
    ]


def count_kinds(images: Sequence[ImageDiagnosis]) -> dict[FailureKind, int]:
    """How many images there are of each kind that occurs, in the order of the rules."""
    counts = {kind: sum(image.kind is kind for image in images) for kind in FailureKind}
    return {kind: count for kind, count in counts.items() if count}


def _with_other(image: ImageDiagnosis, other: ResultRow | None) -> ImageDiagnosis:
    if other is None:
        return image
    there = other.correct is not False and other.prediction != ABSTAIN
    there = there and other.radius >= image.target
    here = image.kind is FailureKind.CERTIFIED
    against = "" if there == here else ("won" if here else "lost")
    return replace(image, other_radius=other.radius, against=against)


def _without_votes(
    row: ResultRow, radius: float, clean: int | None, names: Sequence[str]
) -> Diagnosis:
    """What can be said of a row of a log that does not record its votes."""
    wrong = row.correct is False and row.prediction != ABSTAIN
    name = class_name(row.prediction, names)
    said = f"Certified as {name} within {round_down(row.radius)}."
    if row.prediction == ABSTAIN:
        return Diagnosis(FailureKind.UNDECIDED, "It abstained; its votes are not recorded.", radius)
    if wrong and row.label is not None and clean not in (None, row.label):
        answer, label = class_name(clean or 0, names), class_name(row.label, names)
        said = f"Without noise the network answers {answer}, not {label}. {said}"
        return Diagnosis(FailureKind.WRONG_CLEAN, said, radius, True)
    if wrong:
        return Diagnosis(FailureKind.WRONG_NOISY, f"{said} That is wrong.", radius, True)
    kind = FailureKind.CERTIFIED if row.radius >= radius else FailureKind.UNRECORDED
    return Diagnosis(kind, said, radius)
