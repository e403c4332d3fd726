"""``report`` says what stands in certification logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from ddrs_core.data import load_dataset
from ddrs_core.models import load_model

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
    tuning = found["tuning"]  # of the same network; it comes with the program
    best = max(tuning["scores"], key=lambda score: (score["n"], score["acr"]))
    assert (tuning["images"], tuning["tuned"]) == (200, best["sigma"])


def test_the_clean_accuracy_is_that_of_the_network_and_otherwise_said(
    command: Command, log: Path, tmp_path: Path
) -> None:
    model, digits = load_model("digits-gaussian-0.50"), load_dataset("digits")
    images = torch.stack([digits[int(r["idx"])][0] for r in rows(log)])
    with torch.no_grad():
        classes = model(images).argmax(1).tolist()
    assert [int(r["clean"]) for r in rows(log)] == classes
    (found,) = json.loads(command("report", log, "--json").out)
    right = [c == int(r["label"]) for c, r in zip(classes, rows(log), strict=True)]
    assert found["clean_accuracy"] == sum(right) / 5
    assert (command("report", log).err, found["clean_source"][:14]) == ("", "of the network")
    theirs = tmp_path / "sigma_0.25"
    theirs.write_text("idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t3\t3\t.4\t1\t15.4\n")
    assert "Clean of sigma_0.25: unknown" in command("report", theirs, log).err


def test_the_table_has_a_row_for_each_log(command: Command, log: Path) -> None:
    outcome = command("report", log, log)
    lines = outcome.out.splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert "five" in lines[2]


def test_a_row_under_the_other_bound_is_what_a_run_with_it_gives(
    command: Command, log: Path, foreign: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.tsv"
    base = ("certify", "--dataset", "digits", "--model", "digits-gaussian-0.50")
    limits = ("--method", "fixed", "--limit", 5, "--n", 200, "--bound", "one-sided")
    assert command(*base, *limits, "--out", other).code == 0
    two, one = json.loads(command("report", log, "--bound", "one-sided", "--json").out)
    (run,) = json.loads(command("report", other, "--json").out)
    assert (two["bound"], one["bound"]) == ("two-sided", "one-sided")
    for name in ("certified_accuracy", "average_certified_radius", "abstention_rate", "interval"):
        assert one[name] == run[name]
    assert one["average_certified_radius"] != two["average_certified_radius"]
    (same,) = json.loads(command("report", other, "--bound", "one-sided", "--json").out)
    assert same["certified_accuracy"] == run["certified_accuracy"]
    table = command("report", log, other, "--bound", "one-sided", "--against", other).out
    assert "| five, one-sided |" in table
    assert table.count("minus other") == 1  # each row under its own bound
    outcome = command("report", foreign, "--bound", "two-sided")
    assert "foreign does not hold the votes of all classes" in outcome.err


COHEN = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "foreign.tsv"
    rows = "".join(f"{i}\t{i % 3}\t{i % 3}\t0.{i}\t1\t0:00:02\n" for i in range(1, 9))
    path.write_text(COHEN + rows + "9\t1\t1\t0.")
    return path


def test_a_foreign_log_is_reported_and_what_was_met_is_said(
    command: Command, foreign: Path
) -> None:
    outcome = command("report", foreign, "--radii", "0.5", "--json")
    (found,) = json.loads(outcome.out)
    assert found["images"] == 8
    assert found["certified_accuracy"] == {"0.5": 0.5}
    assert found["average_certified_radius"] == pytest.approx(0.45)
    assert (found["n"], found["clean_accuracy"], found["dialect"]) == (None, None, "cohen")
    assert "cut off" in found["notes"][0]
    assert "foreign.tsv" in outcome.err
    assert "cut off" in outcome.err
    assert command("report", foreign).out.splitlines()[2].startswith("| foreign | 8 |")


def test_our_own_log_needs_no_comment(command: Command, log: Path) -> None:
    assert command("report", log).err == ""


def test_a_header_alone_is_a_row_of_no_images(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "header.tsv"
    path.write_text(COHEN)
    outcome = command("report", path)
    assert outcome.code == 0
    assert outcome.out.splitlines()[2].startswith("| header | 0 |")
    assert "no row yet" in outcome.err
    (found,) = json.loads(command("report", path, "--json").out)
    assert (found["images"], found["average_certified_radius"]) == (0, None)


def test_differences_to_another_log(command: Command, foreign: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tsv"
    other.write_text(foreign.read_text().replace("\t0.7\t", "\t0.1\t"))
    outcome = command("report", other, "--against", foreign, "--radii", "0.5", "--json")
    (found,) = json.loads(outcome.out)
    against = found["against"]
    assert (against["shared"], against["radii"][0]["lost"]) == (8, 1)
    assert against["radii"][0]["difference"] == pytest.approx(-1 / 8)
    assert against["radii"][0]["verdict"] == "within the noise"
    table = command("report", other, "--against", foreign, "--radii", "0.5").out
    assert "minus foreign" in table
    assert "within the noise" in table


def test_logs_of_the_same_name_are_told_apart_by_their_folders(
    command: Command, tmp_path: Path
) -> None:
    """As Cohen et al. lay them out; a dot in a name is no suffix."""
    paths = []
    for noise in ("0.25", "0.50"):
        path = tmp_path / f"noise_{noise}" / "test" / "sigma_0.25"
        path.parent.mkdir(parents=True)
        path.write_text(COHEN + "0\t3\t3\t0.378\t1\t15.4\n20\t7\t-1\t0.0\t0\t15.6\n")
        paths.append(path)
    alone = command("report", paths[0]).out.splitlines()
    assert alone[2].startswith("| sigma_0.25 | 2 |")
    lines = command("report", paths[0], "--against", paths[1]).out.splitlines()
    assert lines[2].startswith("| noise_0.25/test/sigma_0.25 | 2 |")
    assert "minus noise_0.50/test/sigma_0.25" in lines[4]


def test_a_log_that_claims_too_much_is_lowered_and_said(command: Command, log: Path) -> None:
    forged = log.with_name("forged.tsv")
    head, first, *rest = log.read_text().splitlines()
    cells = dict(zip(head.split("\t"), first.split("\t"), strict=True))
    proved = float(cells["radius"])
    changed = {**cells, "radius": repr(proved + 0.2), "p_lower": "0.9999999"}
    forged.write_text("\n".join([head, "\t".join(changed.values()), *rest, ""]))
    outcome = command("report", forged, "--json")
    (found,) = json.loads(outcome.out)
    (honest,) = json.loads(command("report", log, "--json").out)
    assert found["average_certified_radius"] == pytest.approx(honest["average_certified_radius"])
    assert "1 of 5 rows claims more than its own votes prove" in outcome.err


@pytest.mark.parametrize(("form", "said"), [("latex", "\\toprule"), ("csv", "log,images,N,")])
def test_other_formats(command: Command, log: Path, form: str, said: str) -> None:
    outcome = command("report", log, "--format", form, "--against", log)
    assert outcome.code == 0
    assert outcome.out.count(said.split(",")[0]) >= 2 or form == "csv"
    assert said in outcome.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.tsv"], "cannot be read"),
        (["{log}", "--radii", "0,x"], "--radii takes numbers"),
        (["{log}", "--radii", "-1"], "--radii takes numbers"),
        (["{other}"], "not a certification log"),
        (["{log}", "--against", "{other}"], "not a certification log"),
        (["{log}", "--format", "latx"], "'latex'"),
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


def test_logs_that_do_not_go_together_are_named(
    command: Command, log: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.tsv"
    words = "certify --dataset digits --model digits-gaussian-0.50 --method fixed --limit 3"
    assert command(*words.split(), "--n", 300, "--start", 9, "--out", other).code == 0
    outcome = command("report", log, other)
    assert outcome.code == 0
    assert "these logs: " in outcome.err
    assert "The images differ" in outcome.err
    assert command("report", log, log).err == ""


@pytest.mark.parametrize("cell", ["alpha=5", "alpha=nan", "n=0", f"n={10**400}", "counts=-5,205"])
def test_a_log_with_impossible_numbers_is_refused_in_words(
    command: Command, log: Path, tmp_path: Path, cell: str
) -> None:
    name, value = cell.split("=")
    head, first, *rest = log.read_text().splitlines()
    cells = first.split("\t")
    cells[head.split("\t").index(name)] = value
    damaged = tmp_path / "damaged.tsv"
    damaged.write_text("\n".join([head, "\t".join(cells), *rest, ""]))
    outcome = command("report", damaged)
    assert outcome.code == 2
    assert "Line 2" in outcome.err


def test_a_file_of_a_byte_order_mark_alone_is_empty(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mark.tsv").write_bytes(b"\xef\xbb\xbf")
    outcome = command("report", tmp_path / "mark.tsv")
    assert (outcome.code, "is empty" in outcome.err) == (2, True)


def test_without_labels_no_accuracy_is_told_but_what_is_certified(
    command: Command, tmp_path: Path
) -> None:
    pixels = load_dataset("digits")
    for number in range(3):
        picture = (pixels[number][0][0] * 255).round().byte().numpy()
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "photos" / f"{number}.png")
    log = tmp_path / "log.tsv"
    words = ("--dataset", tmp_path / "photos", "--model", "digits-gaussian-0.50", "--n", 200)
    made = command("certify", *words, "--method", "fixed", "--out", log)
    assert "3 images without labels" in made.out
    assert "average radius, whatever the class" in made.out
    (found,) = json.loads(command("report", log, "--json").out)
    radii = [float(row["radius"]) for row in rows(log)]
    assert found["certified_share"]["0.25"] == sum(r >= 0.25 for r in radii) / 3
    assert found["average_radius"] == pytest.approx(sum(radii) / 3)
    unknown = ("certified_accuracy", "high_probability_accuracy", "interval")
    assert all(value is None for name in unknown for value in found[name].values())
    assert found["average_certified_radius"] is None
    assert found["clean_accuracy"] is None
    said = command("report", log)
    assert "log (any class)" in said.out
    assert "None of 3 images has a label" in said.err
    assert "wrong" not in said.err
