"""Figures of the failures of a run are valid Plotly, and say what they show."""

from __future__ import annotations

import pytest

from ddrs_core.figures.failure_kinds import (
    KIND_COLOURS,
    KINDS,
    confusion_figure,
    failure_rates_figure,
    kinds_figure,
)
from ddrs_core.figures.palette import Figure
from ddrs_core.smoothing.diagnosis import FailureKind
from tests.figures.valid import validate

NAMES = {0: "cat", 1: "dog", -1: "abstained"}


@pytest.mark.parametrize(
    "figure",
    [
        kinds_figure([("a<b", {FailureKind.CERTIFIED: 3, FailureKind.CAPPED: 1}), ("c", {})]),
        confusion_figure({(0, 0): 5, (1, -1): 2}, [0, 1], [0, 1, -1], NAMES, 2),
        failure_rates_figure({0: (0, 5), 1: (2, 2)}, NAMES, 0.5),
    ],
)
def test_they_are_valid(figure: Figure) -> None:
    validate(figure)


def test_every_kind_has_a_colour_and_the_parts_of_a_bar_fill_it() -> None:
    assert set(KIND_COLOURS) == set(KINDS) == set(FailureKind)
    counts = {kind: 1 + place for place, kind in enumerate(KINDS)}
    parts = kinds_figure([("a", counts), ("b", {FailureKind.CAPPED: 7})])["data"]
    assert [sum(part["x"][row] for part in parts) for row in (0, 1)] == pytest.approx([1, 1])


def test_a_cell_names_its_label_and_answer() -> None:
    cells = confusion_figure({(0, 0): 5, (1, -1): 2, (1, 0): 1}, [0, 1], [0, 1, -1], NAMES, 2)
    found = {}
    for trace in cells["data"]:
        for cell, y, x in zip(trace["customdata"], trace["y"], trace["x"], strict=True):
            label, answer = divmod(cell, 3)
            assert (NAMES[label], NAMES[answer - 1]) == (y, x)
            found[label, answer - 1] = trace["name"]
    assert found == {(0, 0): "right", (1, -1): "wrong or abstained", (1, 0): "wrong or abstained"}
