"""Figures of failures are valid Plotly, and say what they show."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from ddrs_core.figures.failures import (
    KIND_COLOURS,
    KINDS,
    bounds_figure,
    confusion_figure,
    empty_figure,
    failure_rates_figure,
    kinds_figure,
    levels_figure,
    samples_figure,
    segment_figure,
)
from ddrs_core.figures.palette import Figure, encode_figure
from ddrs_core.smoothing.diagnosis import FailureKind
from ddrs_core.smoothing.segment import SegmentVotes
from ddrs_core.smoothing.sigma.regret import LevelReview

REVIEW = LevelReview(0.5, 0.3, 0.25, 0.6, True, (0.1, 0.25, 0.5), (0.2, 0.6, 0.3))
NAMES = {0: "cat", 1: "dog", -1: "abstained"}


def named(figure: Figure) -> dict[str, Figure]:
    return {trace["name"]: trace for trace in figure["data"] if trace.get("name")}


@pytest.mark.parametrize(
    "figure",
    [
        kinds_figure([("a<b", {FailureKind.CERTIFIED: 3, FailureKind.CAPPED: 1}), ("c", {})]),
        levels_figure(REVIEW, 0.5),
        samples_figure(np.array([1e2, 1e4]), np.array([0.1, 0.4]), 1_000, 0.2, 0.5),
        bounds_figure(0.2, 0.7, None, 0.5, proved=True),
        bounds_figure(0.0, None, 0.9, 0.5, proved=False),
        segment_figure(SegmentVotes((0.0, 1.0), ((9, 1), (4, 6)), 2), 0.7, ["cat", "dog"]),
        confusion_figure({(0, 0): 5, (1, -1): 2}, [0, 1], [0, 1, -1], NAMES, 2),
        failure_rates_figure({0: (0, 5), 1: (2, 2)}, NAMES, 0.5),
        empty_figure("nothing"),
    ],
)
def test_they_are_valid(figure: Figure) -> None:
    text = encode_figure(figure).replace('"@text"', '"#000"').replace('"@muted"', '"#888"')
    assert "@" not in text
    go.Figure(json.loads(text))


def test_every_kind_has_a_colour_and_the_parts_of_a_bar_fill_it() -> None:
    assert set(KIND_COLOURS) == set(KINDS) == set(FailureKind)
    counts = {kind: 1 + place for place, kind in enumerate(KINDS)}
    parts = kinds_figure([("a", counts), ("b", {FailureKind.CAPPED: 7})])["data"]
    assert [sum(part["x"][row] for part in parts) for row in (0, 1)] == pytest.approx([1, 1])


def test_an_attack_ends_the_interval_and_without_one_it_is_open() -> None:
    closed = named(bounds_figure(0.2, 0.7, None, 0.5, proved=True))
    assert closed["certified"]["x"] == [0, 0.2]
    assert closed["not known"]["x"] == [0.2, 0.7]
    assert closed["an image of another class"]["x"] == [0.7]
    wrong = named(bounds_figure(0.1, None, 0.9, 0.5, proved=False))
    assert set(wrong) == {"certified, for a wrong class", "not known; no attack succeeded"}


def test_a_cell_names_its_label_and_answer() -> None:
    cells = confusion_figure({(0, 0): 5, (1, -1): 2, (1, 0): 1}, [0, 1], [0, 1, -1], NAMES, 2)
    found = {}
    for trace in cells["data"]:
        for cell, y, x in zip(trace["customdata"], trace["y"], trace["x"], strict=True):
            label, answer = divmod(cell, 3)
            assert (NAMES[label], NAMES[answer - 1]) == (y, x)
            found[label, answer - 1] = trace["name"]
    assert found == {(0, 0): "right", (1, -1): "wrong or abstained", (1, 0): "wrong or abstained"}
