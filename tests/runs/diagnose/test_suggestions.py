"""What is suggested follows from the evidence: its effect is what was measured."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ddrs_core.runs.diagnose.images import ImageDiagnosis, with_review
from ddrs_core.runs.diagnose.suggestions import MOST, Remedy, suggest
from ddrs_core.smoothing.certificate import prove_radii
from ddrs_core.smoothing.diagnosis import FailureKind
from ddrs_core.smoothing.sigma.regret import LevelReview
from tests.runs.diagnose.study import images, results


def first(kind: FailureKind) -> ImageDiagnosis:
    return next(image for image in images() if image.kind is kind)


def reviewed(image: ImageDiagnosis, best: float, apart: bool = True) -> ImageDiagnosis:
    review = LevelReview(0.5, 0.2, 0.25, best, apart, (0.05, 0.25, 0.5), (0.1, best, 0.2))
    return with_review(image, review, None, (0.05, 1.1))


def test_the_n_that_is_suggested_proves_r() -> None:
    image = first(FailureKind.TOO_FEW_SAMPLES)
    (found,) = suggest(image, results())
    assert found.remedy is Remedy.SAMPLES
    assert found.n is not None
    c = next(row.certificate for row in results().rows if row.index == image.index)
    assert c is not None
    share = c.counts[c.candidate] / sum(c.counts) * found.n
    _, radius = prove_radii(share, 0, found.n, c.sigma, c.alpha, c.bound)
    assert radius >= 0.5
    assert re.search(rf"N = {found.n:,}", found.text)


@pytest.mark.parametrize(
    ("best", "remedies"),
    [
        (0.6, [Remedy.SIGMA, Remedy.STRATEGY]),
        (0.4, [Remedy.NETWORK, Remedy.SIGMA, Remedy.STRATEGY]),
    ],
)
def test_another_level_is_suggested_where_it_gains(best: float, remedies: list[Remedy]) -> None:
    found = suggest(reviewed(first(FailureKind.TOO_CLOSE), best), results())
    assert [s.remedy for s in found] == remedies
    level = next(s for s in found if s.remedy is Remedy.SIGMA)
    assert level.sigma == 0.25
    assert f"{best:.3f}" in level.text
    assert ("which reaches" in level.text) == (best >= 0.5)


def test_what_gains_nothing_is_not_suggested() -> None:
    close = first(FailureKind.TOO_CLOSE)
    assert suggest(close, results()) == []  # nothing is known yet
    assert suggest(first(FailureKind.CERTIFIED), results()) == []
    (only,) = suggest(reviewed(close, 0.4, apart=False), results())
    assert only.remedy is Remedy.NETWORK
    own = replace(results(), method="ds")
    remedies = [s.remedy for s in suggest(reviewed(close, 0.6), own)]
    assert remedies == [Remedy.SIGMA]
    assert all(len(suggest(reviewed(image, 0.4), results())) <= MOST for image in images())
