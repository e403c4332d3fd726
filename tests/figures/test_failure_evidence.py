"""Figures of one image's evidence are valid Plotly, and say what they show."""

from __future__ import annotations

import numpy as np
import pytest

from ddrs_core.figures.failure_evidence import (
    bounds_figure,
    empty_figure,
    levels_figure,
    samples_figure,
    segment_figure,
)
from ddrs_core.figures.palette import Figure
from ddrs_core.smoothing.segment import SegmentVotes
from ddrs_core.smoothing.sigma.regret import LevelReview
from tests.figures.valid import named, validate

REVIEW = LevelReview(0.5, 0.3, 0.25, 0.6, True, (0.1, 0.25, 0.5), (0.2, 0.6, 0.3))


@pytest.mark.parametrize(
    "figure",
    [
        levels_figure(REVIEW, 0.5),
        samples_figure(np.array([1e2, 1e4]), np.array([0.1, 0.4]), 1_000, 0.2, 0.5),
        bounds_figure(0.2, 0.7, None, 0.5, proved=True),
        bounds_figure(0.0, None, 0.9, 0.5, proved=False),
        segment_figure(SegmentVotes((0.0, 1.0), ((9, 1), (4, 6)), 2), 0.7, ["cat", "dog"]),
        empty_figure("nothing"),
    ],
)
def test_they_are_valid(figure: Figure) -> None:
    validate(figure)


def test_an_attack_ends_the_interval_and_without_one_it_is_open() -> None:
    closed = named(bounds_figure(0.2, 0.7, None, 0.5, proved=True))
    assert closed["proved"]["x"] == [0, 0.2]
    assert closed["not known"]["x"] == [0.2, 0.7]
    assert closed["an image of another class"]["x"] == [0.7]
    wrong = named(bounds_figure(0.1, None, 0.9, 0.5, proved=False))
    assert set(wrong) == {"proved, for a wrong class", "not known; no attack succeeded"}
