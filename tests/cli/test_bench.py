"""``bench sigma`` on the command line: what is printed, and the road of wrong input."""

from __future__ import annotations

import json

import pytest

from ddrs_core.bench import sigma_choices
from ddrs_core.runs.certify import tuned

SIGMA = ("bench", "sigma", "--n", 1000, "--limit", 1, "--presets", "surface", "--device", "cpu")


def test_one_image_is_measured_and_reported_again(command, tmp_path, monkeypatch):
    monkeypatch.setattr(sigma_choices, "ORACLE_VOTES", 40)
    monkeypatch.setattr(tuned, "TUNING_IMAGES", 2)
    out = tmp_path / "a.jsonl"
    printed = command(*SIGMA, "--out", out)
    assert printed.code == 0, printed.err
    for said in (
        "fixed ",
        "tuned ",
        "surface ",
        "oracle ",
        "regret",
        "1 image of digits",
        "r=0.25",
    ):
        assert said in printed.out
    assert "no method" in printed.out
    assert command("bench", "sigma", "--report", out).out == printed.out
    assert command(*SIGMA, "--out", out, "--resume").out == printed.out
    data = json.loads(command("bench", "sigma", "--report", out, out, "--json").out)
    assert data["networks"] == 1
    assert data["mean_regret"]["oracle"] == 0
    (result, _) = data["results"]
    assert (result["model"], result["n"], result["images"]) == ("digits-gaussian-0.50", 1000, 1)
    assert (
        "mean regret over 2 files of 1 network: fixed"
        in command("bench", "sigma", "--report", out, out).out
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--presets", "surfac"), "'surface'"),
        (("--presets", "qcrs,qcrs"), "more than once"),
        (("--presets", "surface,"), "no preset ''"),
        (("--n", 5), "too small"),
        (("--limit", 0), "at least 1"),
        (("--skip", 0), "at least 1"),
        (("--sigma", -1), "above 0"),
        (("--model", "digits-gausian-0.50"), "digits-gaussian-0.50"),
        (("--dataset", "digit"), "digits"),
        (("--resume",), "--out FILE"),
        (("--out", "no/such/folder/a.jsonl"), "folder"),
        (("--out", "."), "folder"),
        (("--report", "missing.jsonl"), "missing.jsonl cannot be read"),
        (("--report", "."), "a folder"),
    ],
)
def test_bad_values_are_one_line_and_leave_no_file(command, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    outcome = command(*SIGMA, *options)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_bench_names_the_near_one(command):
    outcome = command("bench", "sigmas")
    assert outcome.code == 2
    assert "'sigma'" in outcome.err
