"""``certify --record`` and ``runs``: a run of the database from the command line."""

from __future__ import annotations

import json

import pytest

from ddrs_core.runs.logs.columns import COLUMNS
from ddrs_core.runs.logs.reading import read_log

RECORD = (
    "certify",
    "--dataset",
    "digits",
    "--model",
    "digits-gaussian-0.50",
    "--method",
    "fixed",
    "--n",
    200,
    "--limit",
    5,
    "--device",
    "cpu",
    "--record",
)


@pytest.fixture(autouse=True)
def database(tmp_path, monkeypatch):
    monkeypatch.setenv("DDRS_DATABASE_URL", f"sqlite:///{tmp_path}/runs.sqlite3")


def listed(command):
    return json.loads(command("runs", "--json").out)


def test_a_recorded_run_is_listed_and_exported_as_the_log_of_the_same_command(command, tmp_path):
    assert "No runs yet" in command("runs").out
    outcome = command(*RECORD, "Five digits")
    assert outcome.code == 0
    (run,) = listed(command)
    assert (run["title"], run["state"], run["stored"]) == ("Five digits", "finished", 5)
    assert run["id"] in outcome.err
    assert "Five digits" in command("runs").out
    out, again = tmp_path / "exported.tsv", tmp_path / "direct.tsv"
    assert command("runs", "export", run["id"], "--out", out).code == 0
    assert command(*RECORD[:-1], "--out", again).code == 0
    time = COLUMNS.index("time")

    def rows(path):
        cells = [line.split("\t") for line in path.read_text().splitlines()]
        return [row[:time] + row[time + 1 :] for row in cells]

    assert rows(out) == rows(again)
    assert read_log(out).method == "fixed"
    assert "--overwrite" in command("runs", "export", run["id"], "--out", out).err
    full = command("runs", "export", run["id"], "--out", "/dev/full", "--overwrite")
    assert (full.code, "/dev/full cannot be written: No space left" in full.err) == (2, True)
    assert command("runs", "delete", run["id"]).code == 0
    assert listed(command) == []


def test_an_interrupted_run_says_how_to_go_on_and_does(command, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ddrs_core.smoothing.SmoothedClassifier.certify_batch", interrupted)
        outcome = command(*RECORD)
    (run,) = listed(command)
    assert outcome.code == 130
    assert f"certify --run {run['id']}" in outcome.err
    assert run["state"] == "paused"
    cancelled = json.loads(command("runs", "cancel", run["id"], "--json").out)
    assert cancelled["state"] == "cancelled"
    outcome = command("certify", "--run", run["id"])
    assert outcome.code == 0
    assert "5 images" in outcome.out
    assert listed(command)[0]["state"] == "finished"
    outcome = command("runs", "resume", run["id"])
    assert outcome.code == 2
    assert "nothing to resume" in outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runs", "pause", "nothing"), "no run 'nothing'"),
        (("runs", "export", "nothing", "--out", "x.tsv"), "no run 'nothing'"),
        (("certify", "--run", "nothing"), "no run 'nothing'"),
        ((*RECORD, "", "--out", "x.tsv"), "runs export"),
        (("certify", "--dataset", "digits"), "--model"),
        (("certify", "--method", "fixed"), "--dataset"),
        ((*RECORD[:-1], "--adaptive", "wide"), "--adaptive takes"),
        ((*RECORD[:-1], "--adaptive", "width=2"), "relative width"),
        ((*RECORD[:-1], "--sigma", 0.5, 0.5), "twice"),
        ((*RECORD[:-1], "--cluster", "auto"), "--record"),
        ((*RECORD[:5], "--method", "ds-memory"), "--bank"),
        ((*RECORD[:5], "--method", "ds-memory", "--bank", "b"), "--record"),
        ((*RECORD, "", "--cluster", "no where"), "cluster"),
        (("bench", "everything"), "bench"),
        (("bench", "adaptive", "--model", "nothing"), "no model"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(command, words, said):
    outcome = command(*words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert said in outcome.err


def test_a_damaged_database_is_a_sentence(command, tmp_path, monkeypatch):
    path = tmp_path / "broken.sqlite3"
    path.write_bytes(b"no database at all" * 100)
    monkeypatch.setenv("DDRS_DATABASE_URL", f"sqlite:///{path}")
    outcome = command("runs")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert "damaged" in outcome.err
    assert path.read_bytes() == b"no database at all" * 100


def test_bench_adaptive_compares_with_fixed_samples(command):
    words = ("bench", "adaptive", "--skip", 100, "--n", 6000, "--json", "--device", "cpu")
    (result,) = json.loads(command(*words).out)["results"]
    assert result["images"] == 5
    assert result["drawn"] == 1.0
    assert 0 < result["share_adaptive"] <= 1
    assert result["acr_adaptive"] <= result["acr_fixed"] + 1e-12
    for fixed, adaptive in zip(result["table_fixed"], result["table_adaptive"], strict=True):
        assert 0 <= adaptive <= 1
        assert result["worst_adaptive"] >= 100 * abs(fixed - adaptive) - 1e-9
    (sure,) = json.loads(command(*words, "--sure", 1e-6).out)["results"]
    assert sure["drawn"] < 1
    assert sure["table_fixed"] == result["table_fixed"]
    assert sure["share_adaptive"] == result["share_adaptive"]


def test_a_recorded_training_run_is_listed_steered_and_finished(command, tmp_path, monkeypatch):
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    short = ("--epochs", 1, "--batch-size", 432, "--device", "cpu", "--record", "Mine")
    outcome = command(
        "train", "--dataset", "digits", "--method", "gaussian", "--sigma", 0.5, *short
    )
    assert outcome.code == 0, outcome.err
    (run,) = listed(command)
    assert (run["kind"], run["title"], run["state"]) == ("train", "Mine", "finished")
    assert (run["stored"], run["total"]) == (1, 1)
    model = tmp_path / "home" / "training" / run["id"] / "digits-gaussian-0.50.safetensors"
    assert f"Saved {model}" in outcome.out
    assert "train " in command("runs").out
    assert "nothing left to do" in command("train", "--run", run["id"]).err
    assert "not a run that `certify`" in command("certify", "--run", run["id"]).err
    exported = command("runs", "export", run["id"], "--out", tmp_path / "x.tsv")
    assert (exported.code, "training run" in exported.err) == (2, True)
    assert command("runs", "delete", run["id"]).code == 0
    assert listed(command) == []
    assert not model.exists()
