"""``diagnose`` says why images are not certified."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.results.references import reference_files
from ddrs_core.runs.worker import record_run, work_on
from ddrs_core.smoothing import CertificationBudget
from ddrs_core.store import open_store

Command = Callable[..., Any]
STUDY = reference_files()
FIXED = STUDY["reference.study.digits-gaussian-0.50-fixed-0.5"]
OWN = STUDY["reference.study.digits-gaussian-0.50-ds-0.5"]
NAMED = (
    *("index", "label", "prediction", "radius", "sigma", "kind", "reason", "samples_needed"),
    *("best_sigma", "regret", "attack_distance"),
)


def test_every_failure_is_listed_with_its_evidence(command: Command) -> None:
    words = ("--json", "--limit", 2, "--against", OWN, "--only", "too-close", "--device", "cpu")
    found = json.loads(command("diagnose", FIXED, *words).out)
    assert [row["index"] for row in found] == [1, 6]
    assert all(set(NAMED) <= set(row) for row in found)
    assert all(row["kind"] == "too-close" and row["radius"] < 0.5 for row in found)
    assert all(row["best_sigma"] < row["sigma"] and row["regret"] > 0.1 for row in found)
    assert found[0]["marks"] == ["sigma too large", "lost"]


def test_other_levels_can_be_left_out(command: Command) -> None:
    words = ("--json", "--limit", 1, "--no-levels", "--nearest", "--device", "cpu")
    (found,) = json.loads(command("diagnose", FIXED, *words).out)
    assert (found["regret"], found["clean"]) == (None, found["label"])
    assert 0 < found["nearest_of_label"] < found["nearest_other"]  # image 1


def test_the_votes_alone_are_enough_for_the_kinds(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "failures.json"
    outcome = command("diagnose", FIXED, "--votes-only", "--radius", "0.25", "--out", out)
    listed = json.loads(out.read_text())
    assert f"{500 - len(listed):6} (" in outcome.out.splitlines()[2]
    assert all(row["regret"] is None for row in listed)
    everything = command("diagnose", FIXED, "--votes-only", "--json", "--only", "certified")
    assert all(row["radius"] >= 0.5 for row in json.loads(everything.out))


def test_a_log_without_its_model_says_what_is_missing(command: Command, tmp_path: Path) -> None:
    log = tmp_path / "moved.tsv"
    log.write_text(FIXED.read_text().replace("dda7fcf0357fdd7a", "0123456789abcdef"))
    outcome = command("diagnose", log)
    assert "is not available here" in outcome.err
    assert "too-close" in outcome.out
    outcome = command("diagnose", log, "--attack")
    assert (outcome.code, outcome.out) == (2, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "There is no run"),
        ((FIXED, "--only", "sad"), "kind of failure"),
        ((FIXED, "--limit", "0"), "at least 1"),
        ((FIXED, "--radius", "-1"), "at least 0"),
        ((FIXED, "--votes-only", "--out", "failures.doc", "--limit", "1"), ".csv"),
    ],
)
def test_what_cannot_be_done_is_said(
    command: Command,
    words: tuple[object, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = command("diagnose", *words)
    assert outcome.code == 2
    assert said in outcome.err


def test_a_recorded_run_is_diagnosed_by_its_id(command: Command) -> None:
    store = open_store()
    config = CertifyConfig(
        "digits",
        "digits-gaussian-0.50",
        Method.FIXED,
        0.5,
        budget=CertificationBudget(n=200),
        limit=6,
        device="cpu",
    )
    run = record_run(store, [config])
    waiting = command("diagnose", run.id)
    assert (waiting.code, "no certificate yet" in waiting.err) == (2, True)
    for _ in work_on(store, run.id):
        pass
    found = json.loads(command("diagnose", run.id, "--votes-only", "--json").out)
    assert {1, 4} <= {row["index"] for row in found}
    assert all(row["clean"] is not None for row in found)  # these certificates record it
    assert command("diagnose", f"{run.id}.1", "--votes-only").code == 0
    assert "setting of run" in command("diagnose", f"{run.id}.2", "--votes-only").err
