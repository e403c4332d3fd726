"""Answers by label, and how often images of each label, noise level or confidence fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ddrs_core.runs.diagnose.images import ImageDiagnosis
from ddrs_core.smoothing import ABSTAIN
from ddrs_core.smoothing.diagnosis import FailureKind

_CONFIDENCES = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)


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


def failures_by_sigma(
    images: Sequence[ImageDiagnosis], groups: int
) -> list[tuple[float, float, int, int]]:
    """Images in groups of about equal size by their noise level: smallest and largest level,
    images that are not certified, and all; empty where all have the same level."""
    known = sorted((i for i in images if i.sigma is not None), key=lambda i: i.sigma or 0.0)
    levels = [image.sigma or 0.0 for image in known]
    if not levels or levels[0] == levels[-1]:
        return []
    found = []
    for part in np.array_split(np.arange(len(known)), min(groups, len(known))):
        failed = sum(known[k].kind is not FailureKind.CERTIFIED for k in part)
        found.append((levels[part[0]], levels[part[-1]], failed, len(part)))
    return found


def failures_by_confidence(
    images: Sequence[ImageDiagnosis],
) -> list[tuple[float, float, int, int]]:
    """Images by the network's confidence without noise: from and below which confidence, images
    that are not certified, and all; bins without an image are left out."""
    known = [image for image in images if image.confidence is not None]
    bins = np.digitize([image.confidence or 0.0 for image in known], _CONFIDENCES)
    failed = np.array([image.kind is not FailureKind.CERTIFIED for image in known], bool)
    edges = [0.0, *_CONFIDENCES, 1.0]
    return [
        (edges[k], edges[k + 1], int(failed[bins == k].sum()), int((bins == k).sum()))
        for k in np.unique(bins).tolist()
    ]


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
