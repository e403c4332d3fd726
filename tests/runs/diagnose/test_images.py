"""Diagnoses of whole logs: every image has one kind, with and without votes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from ddrs_core.errors import InvalidParameterError
from ddrs_core.runs.diagnose.export import as_file
from ddrs_core.runs.diagnose.images import (
    FIELDS,
    CleanAnswer,
    count_kinds,
    diagnose_results,
    mark_against,
    only,
    with_review,
)
from ddrs_core.runs.logs.reading import parse_log
from ddrs_core.runs.results.references import reference_results
from ddrs_core.smoothing.diagnosis import FailureKind
from ddrs_core.smoothing.sigma.regret import LevelReview

FIXED = "reference.study.digits-gaussian-0.50-fixed-0.5"
OWN = "reference.study.digits-gaussian-0.50-ds-0.5"
FOREIGN = """idx label predict radius correct time
0 3 3 0.7 1 1.0
1 3 3 0.2 1 1.0
2 3 5 0.3 0 1.0
3 3 -1 0.0 0 1.0
"""


def test_every_image_of_the_study_has_one_kind() -> None:
    results = reference_results(FIXED)
    images = diagnose_results(results, 0.5)
    counts = count_kinds(images)
    assert sum(counts.values()) == len(results.rows) == 500
    certified = results.correct & (results.radii >= 0.5)
    assert counts[FailureKind.CERTIFIED] == certified.sum()
    assert len(only(images, [])) == 500 - certified.sum()
    close = only(images, [FailureKind.TOO_CLOSE])
    assert all(image.suggested is not None and image.suggested < 0.5 for image in close)


def test_a_class_without_noise_decides_between_the_kinds_of_wrong_answers() -> None:
    results = reference_results(FIXED)
    (wrong, *_) = [r for r in results.rows if r.correct is False and r.prediction >= 0]
    assert wrong.index is not None
    for clean, kind in (
        (wrong.prediction, FailureKind.WRONG_CLEAN),
        (wrong.label, FailureKind.WRONG_NOISY),
    ):
        images = diagnose_results(results, 0.5, {wrong.index: CleanAnswer(int(clean or 0), 0.9)})
        (found,) = [image for image in images if image.index == wrong.index]
        assert (found.kind, found.clean) == (kind, clean)


def test_lost_and_won_are_the_difference_of_the_two_sets() -> None:
    own, fixed = reference_results(OWN), reference_results(FIXED)
    images = mark_against(diagnose_results(own, 0.5), fixed)
    here, there = (s.correct & (s.radii >= 0.5) for s in (own, fixed))
    assert sum(i.against == "won" for i in images) == (here & ~there).sum()
    assert sum(i.against == "lost" for i in images) == (there & ~here).sum()
    assert images[0].other_radius == fixed.rows[0].radius
    swapped = mark_against(diagnose_results(fixed, 0.5), own)
    assert sum(i.against == "lost" for i in swapped) == (here & ~there).sum()


def test_a_log_without_votes_tells_what_it_can() -> None:
    results = parse_log(FOREIGN.replace(" ", "\t").encode(), "theirs.tsv")
    kinds = [image.kind for image in diagnose_results(results, 0.5)]
    assert kinds == [
        FailureKind.CERTIFIED,
        FailureKind.UNRECORDED,
        FailureKind.WRONG_NOISY,
        FailureKind.UNDECIDED,
    ]
    found = diagnose_results(results, 0.5, {2: CleanAnswer(5, 0.9)})[2]
    assert (found.kind, found.certified_but_wrong) == (FailureKind.WRONG_CLEAN, True)


@pytest.mark.parametrize(
    ("sigma", "best", "sigma_0", "mark"),
    [
        (0.3, 0.5, 0.25, "too small"),
        (0.5, 0.3, 0.25, "too large"),
        (0.25, 0.5, 0.25, "stuck"),
        (0.25, 0.5, None, "too small"),  # one sigma for all images has no strategy to be stuck
        (0.1, 0.5, 0.25, "stuck"),  # at the lower bound
    ],
)
def test_a_review_says_where_sigma_went_wrong(
    sigma: float, best: float, sigma_0: float | None, mark: str
) -> None:
    image = diagnose_results(reference_results(FIXED), 0.5)[1]
    review = LevelReview(sigma, 0.2, best, 0.5, apart=True)
    found = with_review(image, review, sigma_0, (0.1, 1.0))
    assert (found.sigma_mark, found.best_sigma) == (mark, best)
    assert found.regret == pytest.approx(0.6)
    assert f"sigma {mark}" in found.marks
    unsure = with_review(image, replace(review, apart=False), sigma_0, (0.1, 1.0))
    assert unsure.sigma_mark == ""


@pytest.mark.parametrize(
    ("suffix", "read"),
    [
        (".csv", lambda data: pd.read_csv(io.BytesIO(data))),
        (".tsv", lambda data: pd.read_csv(io.BytesIO(data), sep="\t")),
        (".json", lambda data: pd.DataFrame(json.loads(data))),
    ],
)
def test_a_file_holds_every_field(suffix: str, read: Callable[[bytes], pd.DataFrame]) -> None:
    images = only(diagnose_results(reference_results(FIXED), 0.5), [])
    frame = read(as_file(images, suffix))
    assert tuple(frame.columns) == FIELDS
    assert frame["index"].tolist() == [image.index for image in images]
    assert frame["radius"].tolist() == [image.radius for image in images]
    assert frame["kind"].tolist() == [image.kind.value for image in images]
    assert tuple(read(as_file(images[:0], suffix)).columns) in (FIELDS, ())


def test_another_file_format_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"\.csv"):
        as_file([], ".xlsx")
