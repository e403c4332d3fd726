"""How answers are spread over the labels, and how often the images of each label fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ddrs_core.runs.diagnose.images import ImageDiagnosis
from ddrs_core.smoothing import ABSTAIN
from ddrs_core.smoothing.diagnosis import FailureKind


def confusion(images: Sequence[ImageDiagnosis]) -> dict[tuple[int, int], int]:
    """How many images there are of each label and answer; ``ABSTAIN`` is an answer. Damaged images
    and those without a label are left out."""
    return Counter(
        (image.label, image.prediction)
        for image in images
        if image.label is not None and image.kind is not FailureKind.DAMAGED
    )


def failures_by_class(images: Sequence[ImageDiagnosis]) -> dict[int, tuple[int, int]]:
    """The images of each label that are not certified, and all of them."""
    failed, total = Counter[int](), Counter[int]()
    for image in images:
        if image.label is not None:
            total[image.label] += 1
            failed[image.label] += image.kind is not FailureKind.CERTIFIED
    return {label: (failed[label], total[label]) for label in sorted(total)}


def classes_to_show(images: Sequence[ImageDiagnosis], most: int) -> tuple[list[int], list[int]]:
    """The labels with the most failures and the answers that occur most, ``ABSTAIN`` last; at most
    so many of each, in the order of their numbers."""
    failed = {label: count for label, (count, _) in failures_by_class(images).items()}
    labels = sorted(sorted(failed, key=lambda k: (-failed[k], k))[:most])
    answers = Counter[int]()
    for (label, answer), count in confusion(images).items():
        if label in labels and answer != ABSTAIN:
            answers[answer] += count
    usual = sorted(dict(answers.most_common(most)))
    return labels, [*usual, ABSTAIN]
