"""``report`` says what stands in certification logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ddrs_core.cli import main

    path = tmp_path_factory.mktemp("logs") / "five.tsv"
    words = "certify --dataset digits --model digits-gaussian-0.50 --method fixed --limit 5"
    words += f" --n 200 --out {path}"
    assert main(words.split()) == 0
    return path


def rows(log: Path) -> list[dict[str, str]]:
    head, *lines = log.read_text().splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_figures_follow_from_the_rows(command: Command, log: Path) -> None:
    outcome = command("report", log, "--radii", "0,0.3", "--json")
    (found,) = json.loads(outcome.out)
    correct = [(float(r["radius"]), r["correct"] == "1") for r in rows(log)]
    assert found["images"] == 5
    assert found["certified_accuracy"]["0.3"] == sum(ok and r >= 0.3 for r, ok in correct) / 5
    assert found["average_certified_radius"] == pytest.approx(sum(r * ok for r, ok in correct) / 5)


def test_the_table_has_a_row_for_each_log(command: Command, log: Path) -> None:
    outcome = command("report", log, log)
    lines = outcome.out.splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert "five" in lines[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.tsv"], "cannot be read"),
        (["{log}", "--radii", "0,x"], "--radii takes numbers"),
        (["{log}", "--radii", "-1"], "--radii takes numbers"),
        (["{other}"], "not a certification log"),
    ],
)
def test_bad_input_is_answered_in_words(
    command: Command, log: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    other = tmp_path / "other.tsv"
    other.write_text("something else\n")
    outcome = command("report", *(w.format(log=log, other=other) for w in words))
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1
