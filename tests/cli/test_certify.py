"""``certify``: the table, resuming, and the road of wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from ddrs_core.data import load_dataset
from ddrs_core.models import load_model
from ddrs_core.models.architectures import get_architecture
from ddrs_core.runs.certify import tuned
from ddrs_core.runs.logs.columns import COLUMNS, read_rows
from ddrs_core.runs.logs.writing import lock_of
from ddrs_core.smoothing import SmoothedClassifier
from ddrs_core.store.url import DATABASE_VARIABLE
from tests.data.layouts import digit_folders

FIXED = (
    "certify",
    "--dataset",
    "digits",
    "--model",
    "digits-gaussian-0.50",
    "--method",
    "fixed",
    "--sigma",
    0.5,
    "--n",
    200,
    "--device",
    "cpu",
)
DS = (
    "certify",
    "--dataset",
    "digits",
    "--model",
    "digits-gaussian-0.50",
    "--method",
    "ds",
    "--sigma",
    0.5,
    "--n",
    200,
    "--preset",
    "guarded",
    "--steps",
    3,
    "--samples",
    2,
    "--guard",
    20,
    "--device",
    "cpu",
)
TIME = COLUMNS.index("time")


def without_time(text: str) -> list[list[str]]:
    rows = [line.split("\t") for line in text.splitlines()]
    return [row[:TIME] + row[TIME + 1 :] for row in rows]


@pytest.mark.parametrize("base", [FIXED, DS], ids=["fixed", "ds"])
def test_same_command_same_table_but_for_the_time(command, tmp_path, base):
    a, b = tmp_path / "a.tsv", tmp_path / "b.tsv"
    assert command(*base, "--limit", 5, "--out", a).code == 0
    assert command(*base, "--limit", 5, "--out", b).code == 0
    assert without_time(a.read_text()) == without_time(b.read_text())
    assert a.read_text().splitlines()[0].startswith("idx\tlabel\tpredict\tradius\tcorrect\ttime")


@pytest.mark.parametrize("base", [FIXED, DS], ids=["fixed", "ds"])
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.3, 0.7, 0.99])
def test_a_cut_file_resumes_to_the_undisturbed_one(command, tmp_path, base, kept):
    whole, cut = tmp_path / "whole.tsv", tmp_path / "cut.tsv"
    selection = ("--skip", 7, "--limit", 4)
    assert command(*base, *selection, "--out", whole).code == 0
    data = whole.read_bytes()
    cut.write_bytes(data[: int(kept * len(data))])
    outcome = command(*base, *selection, "--out", cut, "--resume")
    assert outcome.code == 0, outcome.err
    assert without_time(cut.read_text()) == without_time(whole.read_text())


def test_resume_without_a_file_starts_afresh_and_a_finished_file_stays(command, tmp_path):
    out = tmp_path / "a.tsv"
    assert command(*FIXED, "--limit", 2, "--out", out, "--resume").code == 0
    before = out.read_bytes()
    outcome = command(*FIXED, "--limit", 2, "--out", out, "--resume")
    assert outcome.code == 0
    assert "2 images" in outcome.out
    assert out.read_bytes() == before


def test_a_log_goes_on_with_the_bound_that_it_was_begun_with(command, tmp_path):
    out = tmp_path / "a.tsv"
    assert command(*FIXED, "--limit", 1, "--bound", "one-sided", "--out", out).code == 0
    outcome = command(*FIXED, "--limit", 2, "--out", out, "--resume")
    assert outcome.code == 0
    assert "begun with one-sided bounds, and goes on so" in outcome.err
    assert "one-sided bounds" in outcome.out
    bounds = [row.certificate.bound for row in read_rows(out.read_text(), "a.tsv")]
    assert bounds == ["one-sided", "one-sided"]
    outcome = command(*FIXED, "--limit", 3, "--bound", "two-sided", "--out", out, "--resume")
    assert outcome.code == 2
    assert "its bound is 'one-sided', not 'two-sided'" in outcome.err
    assert command(*FIXED, "--limit", 1, "--out", out, "--overwrite").code == 0
    assert read_rows(out.read_text(), "a.tsv")[0].certificate.bound == "two-sided"


def test_the_radius_can_be_recomputed_from_a_row(command, tmp_path):
    out = tmp_path / "a.tsv"
    command(*FIXED, "--limit", 6, "--bound", "two-sided", "--out", out)
    rows = read_rows(out.read_text(), "a.tsv")
    assert len(rows) == 6
    for row in rows:
        c = row.certificate
        assert c.recompute_radius() == c.radius
        assert sum(c.counts) == c.n
        assert (c.prediction == -1) == (c.radius == 0)


def test_a_row_is_the_certificate_of_the_python_interface(command, tmp_path):
    out = tmp_path / "a.tsv"
    command(*FIXED, "--index", 11, 3, "--seed", 5, "--out", out)
    rows = read_rows(out.read_text(), "a.tsv")
    assert [row.certificate.index for row in rows] == [11, 3]
    g = SmoothedClassifier(load_model("digits-gaussian-0.50", "cpu"), 10)
    image, _ = load_dataset("digits")[3]
    c = g.certify(image, sigma=0.5, n=200, seed=5, index=3)
    assert rows[1].certificate.counts == c.counts
    assert rows[1].certificate.radius == c.radius


def test_without_a_file_the_table_is_on_stdout_and_the_summary_on_stderr(command):
    outcome = command(*FIXED, "--limit", 2)
    assert len(outcome.out.splitlines()) == 3
    assert "certified accuracy at 0:" in outcome.err
    assert "abstentions" in outcome.err


def test_json_holds_summary_and_certificates(command):
    data = json.loads(command(*DS, "--limit", 2, "--json").out)
    assert data["summary"]["images"] == len(data["certificates"]) == 2
    assert data["certificates"][0]["grade"] == "conditional on sigma_x"
    assert data["settings"]["strategy"].startswith("ds ascent")


def test_an_existing_file_is_neither_lost_nor_mixed(command, tmp_path):
    out = tmp_path / "a.tsv"
    command(*FIXED, "--limit", 2, "--out", out)
    before = out.read_bytes()
    cases = [
        ((), "--overwrite"),
        (("--resume", "--alpha", 0.01), "alpha"),
        (("--resume", "--seed", 1), "seed"),
        (("--resume", "--skip", 3), "other images"),
    ]
    for words, said in cases:
        outcome = command(*FIXED, "--limit", 2, "--out", out, *words)
        assert outcome.code == 2
        assert said in outcome.err
        assert out.read_bytes() == before
    assert command(*DS, "--limit", 2, "--out", out, "--resume").code == 2
    assert command(*FIXED, "--limit", 1, "--out", out, "--overwrite").code == 0
    assert len(out.read_text().splitlines()) == 2


def test_a_foreign_file_is_not_touched_by_resume(command, tmp_path):
    for content in (b"dear diary", b"a\tb\n1\t2\n", b"\xff\xfe\x00"):
        out = tmp_path / "diary.txt"
        out.write_bytes(content)
        outcome = command(*FIXED, "--limit", 1, "--out", out, "--resume")
        assert outcome.code == 2
        assert "not a certification log" in outcome.err
        assert out.read_bytes() == content


def test_a_damaged_row_is_named_by_its_line(command, tmp_path):
    out = tmp_path / "a.tsv"
    command(*FIXED, "--limit", 2, "--out", out)
    whole = out.read_text()
    for old, new in (("unconditional", "uncertain"), ("two-sided", "three-sided"), ("200", "many")):
        out.write_text(whole.replace(old, new))
        outcome = command(*FIXED, "--limit", 3, "--out", out, "--resume")
        assert outcome.code == 2
        assert "Line 2" in outcome.err
        assert out.read_text() == whole.replace(old, new)


def test_a_damaged_image_is_a_row_that_resume_passes_over_and_report_names(command, tmp_path):
    root = digit_folders(tmp_path / "mine", 1, ["3/0.png"])
    out = tmp_path / "a.tsv"
    base = ("certify", "--dataset", root, *FIXED[3:])
    outcome = command(*base, "--limit", 4, "--out", out)
    assert outcome.code == 0, outcome.err
    assert "4 images (1 of them not readable)" in outcome.out
    last = out.read_text().splitlines()[-1].split("\t")
    assert last[:4] == ["3", "3", "-1", "0.0"]
    assert last[COLUMNS.index("grade")].startswith("unreadable: The picture '3/0.png' is damaged")
    before = out.read_bytes()
    assert command(*base, "--limit", 6, "--out", out, "--resume").code == 0
    assert out.read_bytes().startswith(before)
    assert len(out.read_text().splitlines()) == 7
    outcome = command("report", out)
    assert "6 (1 not readable)" in outcome.out
    assert "1 of 6 images could not be read" in outcome.err
    assert "Image 3: The picture '3/0.png'" in outcome.err
    [data] = json.loads(command("report", out, "--json").out)
    assert (data["images"], data["unreadable"], data["abstention_rate"] < 1) == (6, 1, True)
    assert list(tmp_path.glob("a.tsv*")) == [out]


def test_a_run_that_goes_on_keeps_its_batch_size_or_says_that_it_differs(command, tmp_path):
    out = tmp_path / "a.tsv"
    words = (*FIXED, "--limit", 4, "--out", out)
    assert command(*words, "--batch-size", 64).code == 0
    whole = out.read_text()
    head, *rows = [line.split("\t") for line in whole.splitlines()]
    execution = rows[0][head.index("execution")]
    assert execution.startswith("batch=64 ")
    assert f"torch={torch.__version__}" in execution
    assert {row[head.index("execution")] for row in rows} == {execution}
    out.write_text("".join(whole.splitlines(keepends=True)[:3]))
    outcome = command(*words, "--resume")
    assert (outcome.code, outcome.err) == (0, "")
    assert without_time(out.read_text()) == without_time(whole)
    out.write_text("".join(whole.splitlines(keepends=True)[:3]))
    outcome = command(*words, "--resume", "--batch-size", 32)
    assert outcome.code == 0
    assert f"made with {execution}, those to come with batch=32 " in outcome.err
    said = command("report", out).err
    assert "not all made with the same batch size, software or device" in said


def test_two_runs_cannot_write_one_file(command, tmp_path):
    out = tmp_path / "a.tsv"
    with lock_of(out):
        outcome = command(*FIXED, "--limit", 1, "--out", out, "--resume")
    assert outcome.code == 2
    assert "another run" in outcome.err


def test_an_interrupt_says_how_to_go_on(command, tmp_path, monkeypatch):
    out = tmp_path / "a.tsv"
    words = (*FIXED, "--n", 3000, "--limit", 4, "--out", out)  # so many that each image is alone

    certify_batch = SmoothedClassifier.certify_batch

    def interrupted(smoothed, images, **options):
        if options["indices"] == [2]:
            raise KeyboardInterrupt
        return certify_batch(smoothed, images, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SmoothedClassifier, "certify_batch", interrupted)
        outcome = command(*words)
    assert outcome.code == 130
    assert "2 certificates" in outcome.err
    assert "--resume" in outcome.err
    assert command(*words, "--resume").code == 0
    assert len(out.read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dataset", "digit"), "'digits'"),
        (("--model", "digits-gaussian-0.51"), "'digits-gaussian-0.50'"),
        (("--method", "fixd"), "'fixed'"),
        (("--split", "tset"), "'test'"),
        (("--bound", "one-side"), "'one-sided'"),
        (("--index", 500), "images 0 to 499"),
        (("--start", -1), "images 0 to 499"),
        (("--index", 1, 1), "more than once"),
        (("--index", 1, "--limit", 3), "--limit"),
        (("--sigma", 0), "sigma"),
        (("--sigma", "nan"), "finite"),
        (("--sigma", "wide"), "--sigma"),
        (("--n", 5), "too small for alpha"),
        (("--n", 10, "--bound", "two-sided"), "alpha = 0.001, divided among 2 bounds"),
        (("--n", 10, "--bound", "two-sided"), "N >= 11"),
        (("--alpha", 0), "above 0"),
        (("--alpha", 1.5), "below 1"),
        (("--limit", 0), "limit"),
        (("--skip", 0), "skip"),
        (("--device", "tpu"), "cuda"),
        (("--device", "cuda:99"), "GPU"),
        (("--precision", "fp8"), "fp32"),
        (("--batch-size", 0), "batch size"),
        (("--preset", "fast"), "--method ds"),
        (("--method", "ds", "--preset", "fas"), "'fast'"),
        (("--method", "ds", "--strategy", "search", "--preset", "fast"), "ascent"),
        (("--method", "ds", "--ratio", 1.2), "--ratio"),
        (("--method", "ds", "--sigma-min", 3), "--sigma-min 3 is above --sigma"),
        (("--method", "ds", "--sigma-max", 0.01), "--sigma-max 0.01 is below --sigma"),
        (
            ("--method", "ds", "--lr", 0.1),
            "'surface', only to ascent",
        ),
        (("--method", "ds", "--strategy", "ascent", "--lr", -1), "lr"),
        (("--resume",), "--out"),
        (("--frobnicate",), "--frobnicate"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(command, words, said):
    outcome = command(*FIXED, *words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert len(outcome.err.splitlines()) == 1
    assert said.lower() in outcome.err.lower()


def test_an_unwritable_file_is_noticed_before_the_work(command, tmp_path):
    for out in (Path("/proc"), tmp_path / "missing" / "a.tsv", Path("/proc/a.tsv")):
        outcome = command(*FIXED, "--limit", 1, "--out", out)
        assert outcome.code == 2
        assert outcome.err.startswith("error: ")
        assert len(outcome.err.splitlines()) == 1


def test_several_methods_and_sigmas_fill_a_folder(command, tmp_path):
    out = tmp_path / "logs"
    both = ("--method", "fixed", "ds", "--sigma", 0.25, 0.5, "--limit", 2, "--out", out)
    words = (*DS, *both)
    assert command(*words).code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        f"digits-gaussian-0.50-{method}-{sigma}.tsv"
        for method in ("ds", "fixed")
        for sigma in ("0.25", "0.5")
    ]
    alone = tmp_path / "alone.tsv"
    assert command(*FIXED, "--limit", 2, "--out", alone).code == 0
    among_others = out / "digits-gaussian-0.50-fixed-0.5.tsv"
    assert without_time(among_others.read_text()) == without_time(alone.read_text())
    outcome = command(*words)
    assert outcome.code == 2
    assert "--resume" in outcome.err


def test_one_setting_joins_the_others_in_a_folder(command, tmp_path):
    words = (*FIXED, "--limit", 2, "--out", tmp_path)
    assert command(*words).code == 0
    (path,) = tmp_path.iterdir()
    assert path.name == "digits-gaussian-0.50-fixed-0.5.tsv"
    whole = path.read_text()
    assert command(*words).code == 2  # not over what is there
    path.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    assert command(*words, "--resume").code == 0
    assert without_time(path.read_text()) == without_time(whole)


def test_adaptive_rows_say_how_many_samples_gave_the_bound(command, tmp_path):
    out = tmp_path / "a.tsv"
    words = (*FIXED, "--n", 20_000, "--adaptive", "0,0.25", "--limit", 3, "--out", out)
    assert command(*words).code == 0
    certificates = [row.certificate for row in read_rows(out.read_text(), "a.tsv")]
    assert all(512 <= c.n < 20_000 for c in certificates)
    assert all(c.radius == c.recompute_radius() for c in certificates)
    assert command(*words, "--resume").code == 0
    other = command(*FIXED, "--n", 20_000, "--limit", 3, "--out", out, "--resume")
    assert other.code == 2
    assert "other settings" in other.err


def test_nothing_is_overwritten_unless_all_can_be(command, tmp_path):
    words = (*FIXED, "--sigma", 0.25, 0.5, "--limit", 2, "--out", tmp_path)
    assert command(*words).code == 0
    first, second = sorted(tmp_path.iterdir())
    before = first.read_text()
    with lock_of(second):
        outcome = command(*words, "--overwrite")
    assert (outcome.code, "written by another" in outcome.err) == (2, True)
    assert first.read_text() == before


def test_sigmas_that_look_alike_get_files_of_their_own(command, tmp_path):
    words = ("--sigma", 0.1234567, 0.1234568, "--limit", 1, "--out", tmp_path)
    assert command(*FIXED, *words).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"digits-gaussian-0.50-fixed-0.123456{last}.tsv" for last in (7, 8)
    ]


def test_a_bank_without_memory_is_refused(command):
    outcome = command(*DS, "--bank", "mine")
    assert (outcome.code, "ds-memory" in outcome.err) == (2, True)


def test_what_the_database_could_not_find_again_is_not_recorded(command, tmp_path, monkeypatch):
    monkeypatch.setenv(DATABASE_VARIABLE, f"sqlite:///{tmp_path}/runs.sqlite3")
    picture = tmp_path / "picture.png"
    Image.new("L", (8, 8), 99).save(picture)
    words = [w if w != "digits" else picture for w in FIXED]
    outcome = command(*words, "--record", "mine")
    assert (outcome.code, "datasets add" in outcome.err) == (2, True)


@pytest.fixture
def tuned_command(monkeypatch, tmp_path):
    """A short tuned run, which has not been tuned before."""
    monkeypatch.setattr(tuned, "TUNING_IMAGES", 6)
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    return (*FIXED[:6], "tuned", *FIXED[7:], "--limit", 6)


def test_a_tuned_log_names_its_sigma_and_goes_on_with_it(
    command, tuned_command, tmp_path, monkeypatch
):
    whole, cut = tmp_path / "whole.tsv", tmp_path / "cut.tsv"
    outcome = command(*tuned_command, "--out", whole)
    assert outcome.code == 0, outcome.err
    assert "12 levels from 0.15 to 1 on 6 training images" in outcome.err
    (sigma,) = {row.certificate.sigma for row in read_rows(whole.read_text(), "whole.tsv")}
    assert f"Tuned sigma: {sigma:.4g}" in outcome.err
    row = dict(zip(COLUMNS, whole.read_text().splitlines()[1].split("\t"), strict=True))
    assert (row["strategy"], row["grade"], row["sigma_0"]) == ("tuned", "unconditional", "0.5")
    assert "Tuning" not in command(*tuned_command, "--out", cut).err
    cut.write_text("".join(whole.read_text().splitlines(True)[:3]))
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "elsewhere"))  # where nothing is remembered
    outcome = command(*tuned_command, "--out", cut, "--resume")
    assert outcome.code == 0, outcome.err
    assert "Tun" not in outcome.err
    assert without_time(cut.read_text()) == without_time(whole.read_text())
    fixed = tmp_path / "fixed.tsv"
    assert command(*FIXED[:8], sigma, *FIXED[9:], "--limit", 6, "--out", fixed).code == 0
    votes = COLUMNS.index("counts")
    for a, b in zip(without_time(whole.read_text()), without_time(fixed.read_text()), strict=True):
        assert a[votes - 1] == b[votes - 1]
    outcome = command("report", whole, fixed)
    assert f"| whole (tuned sigma {sigma:.4g}) |" in outcome.out
    whole.write_text(whole.read_text().replace(repr(sigma), "0.25", 1))
    outcome = command(*tuned_command, "--out", whole, "--resume")
    assert "was changed after it was written" in outcome.err


def test_a_tuned_run_needs_labelled_training_images(command, tuned_command, tmp_path):
    root, out = digit_folders(tmp_path / "mine", 1), tmp_path / "a.tsv"
    out.write_text("mine")
    outcome = command("certify", "--dataset", root, *tuned_command[3:], "--out", out, "--overwrite")
    assert outcome.code == 2
    assert "no training images, so no sigma can be tuned" in outcome.err
    assert out.read_text() == "mine"


def test_a_tuned_run_takes_no_strategy_and_samples_adaptively(command, tuned_command, tmp_path):
    assert "--method ds only" in command(*tuned_command, "--preset", "qcrs").err
    out = tmp_path / "a.tsv"
    outcome = command(*tuned_command, "--adaptive", "--n", 1000, "--out", out)
    assert outcome.code == 0, outcome.err
    assert command("report", out, "--json").code == 0
    assert {row.certificate.sigma for row in read_rows(out.read_text(), "a.tsv")} != {0.5}
    assert min(row.certificate.n for row in read_rows(out.read_text(), "a.tsv")) < 1000


def test_a_dry_run_tells_the_cost_of_the_run_and_starts_nothing(command, monkeypatch, tmp_path):
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    log = tmp_path / "log.tsv"
    run = (*FIXED, "--limit", 4, "--out", log)
    told = json.loads(command(*run, "--dry-run", "--json").out)
    assert not list(tmp_path.iterdir())
    command(*run)
    rows = [
        dict(zip(COLUMNS, r.split("\t"), strict=True)) for r in log.read_text().splitlines()[1:]
    ]
    assert told["passes"] == told["at_most"] == sum(int(r["n0"]) + int(r["n"]) for r in rows)
    assert told["log_bytes"] == pytest.approx(
        sum(len("\t".join(r.values())) for r in rows), rel=0.15
    )
    assert told["seconds"] == pytest.approx(told["passes"] / told["passes_per_second"])
    again = command(*run, "--dry-run")
    assert (again.code, "is there already" in again.err) == (2, True)
    more = (
        *FIXED,
        "--n",
        9_000,
        "--method",
        "tuned",
        "ds",
        "--limit",
        4,
        "--adaptive",
        "--dry-run",
    )
    told = json.loads(command(*more, "--json").out)
    assert 0 < told["passes"] < told["at_most"]
    assert told["passes"] == told["choosing"] + told["tuning"] + told["certifying"]
    said = command(*more).out
    assert "4 images in 2 settings: about" in said
    assert "Nothing was started." in said
    assert not (tmp_path / "home").exists()


def test_a_thousand_classes_from_folder_and_checkpoint_to_log_report_and_memory(
    command, tmp_path, monkeypatch
):
    for c in range(1000):
        folder = tmp_path / "pictures" / f"class {c:04d}"
        folder.mkdir(parents=True)
        Image.new("L", (8, 8), c % 256).save(folder / "0.png")
    torch.manual_seed(0)
    network = get_architecture("digits_cnn").build(1000, 1)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    words = ("certify", "--dataset", tmp_path / "pictures", "--model", tmp_path / "net.pth")
    words += ("--arch", "digits_cnn", "--normalization", "none", "--method", "fixed")
    words += ("--sigma", 0.25, "--n", 300, "--limit", 3, "--device", "cpu")
    log = tmp_path / "log.tsv"
    outcome = command(*words, "--bound", "two-sided", "--out", log)
    assert outcome.code == 0, outcome.err
    found = [row.certificate for row in read_rows(log.read_text(), "log.tsv")]
    assert [(len(c.counts), sum(c.counts), c.label) for c in found] == [
        (1000, 300, label) for label in range(3)
    ]
    assert len(log.read_text()) < 3_000  # classes without votes take no room
    (told,) = json.loads(command("report", log, "--json").out)
    assert told["certified_share"]["0.0"] == sum(c.prediction >= 0 for c in found) / 3

    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DDRS_DATABASE_URL", raising=False)
    sure = network.eval()
    with torch.no_grad():
        list(sure.children())[-1][-1].bias[777] = 50.0
    torch.save(sure.state_dict(), tmp_path / "net.pth")
    kept = command("memory", "add", "--bank", "many", *words[1:])
    assert kept.code == 0, kept.err
    first = ("--index", 1, "--json")  # near the second picture, whose ball is in the bank
    looked = json.loads(command("memory", "lookup", "--bank", "many", *words[1:-4], *first).out)
    (settlement,) = looked["settlements"]
    assert {ball["prediction"] for ball in settlement["inside"]} == {777}
    assert settlement["prediction"] == 777
    assert command("memory", "check", "--bank", "many").code == 0
