"""Our own logs: the schedule column, and files from before it was there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ddrs_core.runs.logs.columns import COLUMNS, HEADER, OLDER_COLUMNS, SETTINGS, LogError, LogRow
from ddrs_core.runs.logs.reading import read_log
from ddrs_core.runs.logs.writing import LogFile, recorded_cells
from ddrs_core.smoothing import ABSTAIN, Bound, Certificate, Grade
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.certificate import prove_radius
from tests.disks import files_of_at_most

SETTINGS_TEXT = {
    "dataset": "digits",
    "split": "test",
    "model": "0123456789abcdef",
    "sigma_0": "0.5",
    "strategy": "fixed",
    "n0": "100",
    "n": "1000",
    "alpha": "0.001",
    "bound": "one-sided",
    "seed": "0",
    "precision": "fp32",
    "device": "cpu",
    "schedule": "",
}
LOOKS = LookSchedule(n_max=1000, first=128, growth=50)
ADAPTIVE = {**SETTINGS_TEXT, "schedule": f"{LOOKS.to_text()} radii=0,0.25 reach=0.9 doubt=0.01"}


def certificate(index: int, schedule: str = "", n: int = 1000) -> Certificate:
    alpha = LOOKS.spent(n, 0.001) if schedule else 0.001
    counts = (n - 20, 20)
    proof = prove_radius(counts, 0, 0.5, alpha, Bound.ONE_SIDED)
    return Certificate(
        "digits",
        index,
        0,
        0,
        proof.radius,
        0.5,
        Grade.UNCONDITIONAL,
        counts,
        100,
        n,
        0.001,
        Bound.ONE_SIDED,
        proof.p_lower,
        0,
        "fp32",
        "0123456789abcdef",
        1.5,
        0,
        schedule,
    )


def write_older(path: Path, count: int) -> str:
    """A file as it was written before the last column was there."""
    lines = ["\t".join(OLDER_COLUMNS)]
    lines += [LogRow(certificate(i), SETTINGS_TEXT).to_line(OLDER_COLUMNS) for i in range(count)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path.read_text()


def test_the_first_columns_are_those_that_everybody_reads() -> None:
    assert COLUMNS[:6] == ("idx", "label", "predict", "radius", "correct", "time")
    assert COLUMNS[-3:] == ("schedule", "execution", "clean")
    assert set(SETTINGS) <= set(COLUMNS)


@pytest.mark.parametrize("schedule", ["", LOOKS.to_text()])
def test_a_row_gives_back_its_certificate(schedule: str) -> None:
    n = LOOKS.looks[1] if schedule else 1000
    settings = ADAPTIVE if schedule else SETTINGS_TEXT
    row = LogRow.from_line(LogRow(certificate(3, schedule, n), settings).to_line())
    assert row.certificate == certificate(3, schedule, n)
    assert row.certificate.recompute_radius() == row.certificate.radius
    assert row.settings["schedule"] == settings["schedule"]


def test_a_row_keeps_the_clean_prediction_and_those_without_are_read() -> None:
    row = LogRow(replace(certificate(3), clean=1), SETTINGS_TEXT)
    cells = row.to_line().split("\t")
    assert cells[COLUMNS.index("clean")] == "1"
    assert LogRow.from_line(row.to_line()).certificate.clean == 1
    for columns in (OLDER_COLUMNS, COLUMNS[:-2], COLUMNS[:-1]):
        assert LogRow.from_line(row.to_line(columns), columns).certificate.clean is None
    for wrong in ("2", "-1", "x"):
        with pytest.raises(ValueError, match=r"class|invalid"):
            LogRow.from_line("\t".join([*cells[:-1], wrong]))


FAILURE = "The picture 'cat/3.png' is damaged\tor incomplete."


def unreadable(index: int) -> Certificate:
    return replace(
        certificate(index),
        prediction=ABSTAIN,
        radius=0.0,
        counts=(0, 0),
        n=0,
        p_lower=0.0,
        candidate=ABSTAIN,
        failure=FAILURE,
    )


def test_an_image_that_cannot_be_read_is_a_row_that_others_can_read(tmp_path: Path) -> None:
    line = LogRow(unreadable(3), SETTINGS_TEXT).to_line()
    assert line.split("\t")[:5] == ["3", "0", "-1", "0.0", "0"]
    assert LogRow.from_line(line).certificate == replace(
        unreadable(3), failure=" ".join(FAILURE.split())
    )
    path = tmp_path / "a.tsv"
    with LogFile.resume(path, SETTINGS_TEXT, [2, 3]) as log:
        log.append(LogRow(certificate(2), SETTINGS_TEXT))
        log.append(LogRow(unreadable(3), SETTINGS_TEXT))
    with LogFile.resume(path, SETTINGS_TEXT, [2, 3]) as log:
        assert len(log.rows) == 2
    results = read_log(path)
    assert [row.failure != "" for row in results.rows] == [False, True]
    assert results.abstained.tolist() == [False, False]
    assert results.n == 1000
    assert any("Image 3" in note and "cat/3.png" in note for note in results.notes)


@pytest.mark.parametrize(("column", "value"), [("predict", "0"), ("radius", "0.1"), ("n", "1000")])
def test_an_image_that_cannot_be_read_has_no_answer(column: str, value: str) -> None:
    cells = LogRow(unreadable(3), SETTINGS_TEXT).to_line().split("\t")
    cells[COLUMNS.index(column)] = value
    with pytest.raises(ValueError, match=r"cannot be read|these votes"):
        LogRow.from_line("\t".join(cells))


def test_other_images_of_the_same_name_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    write_older(path, 2)  # of label 0
    LogFile.resume(path, SETTINGS_TEXT, range(3), [0, 0, 1]).__exit__()
    before = path.read_text()
    with pytest.raises(LogError, match="image 1 had the label 0 there, and has 7 here"):
        LogFile.resume(path, SETTINGS_TEXT, range(3), [0, 7, 1])
    assert path.read_text() == before


def test_a_number_of_samples_without_a_look_is_damage() -> None:
    line = LogRow(certificate(3, LOOKS.to_text(), LOOKS.looks[1]), ADAPTIVE).to_line()
    cells = line.split("\t")
    cells[COLUMNS.index("n")], cells[COLUMNS.index("counts")] = "129", "109,20"
    with pytest.raises(ValueError, match="no look"):
        LogRow.from_line("\t".join(cells))


def test_an_older_file_goes_on_in_its_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "older.tsv"
    before = write_older(path, 2)
    with LogFile.resume(path, SETTINGS_TEXT, range(4)) as log:
        log.append(LogRow(certificate(2), SETTINGS_TEXT))
    text = path.read_text()
    assert text.startswith(before)
    assert len({line.count("\t") for line in text.splitlines()}) == 1
    results = read_log(path)
    assert [row.index for row in results.rows] == [0, 1, 2]
    assert results.notes == ()


def test_a_row_says_how_it_was_computed_and_older_ones_need_not(tmp_path: Path) -> None:
    execution = "batch=64 threads=2 torch=2.11.0 ddrs=0.1 on AMD EPYC"
    path = tmp_path / "a.tsv"
    assert recorded_cells(path) == {}
    with LogFile.create_all([path])[0] as log:
        log.append(LogRow(replace(certificate(0), execution=execution), SETTINGS_TEXT))
    (row,) = read_log(path).rows
    assert row.certificate is not None
    assert row.certificate.execution == recorded_cells(path)["execution"] == execution
    write_older(path, 2)
    assert "execution" not in recorded_cells(path)


def test_an_older_file_without_rows_gets_all_columns(tmp_path: Path) -> None:
    path = tmp_path / "older.tsv"
    write_older(path, 0)
    with LogFile.resume(path, ADAPTIVE, range(4)):
        pass
    assert path.read_text() == HEADER + "\n"


def test_a_fixed_number_of_samples_does_not_go_on_adaptively(tmp_path: Path) -> None:
    path = tmp_path / "older.tsv"
    before = write_older(path, 2)
    with pytest.raises(LogError, match="schedule"):
        LogFile.resume(path, ADAPTIVE, range(4))
    assert path.read_text() == before


def test_adaptive_rows_may_differ_in_n_but_not_in_the_schedule(tmp_path: Path) -> None:
    path = tmp_path / "adaptive.tsv"
    with LogFile.create_all([path])[0] as log:
        for index, n in enumerate(LOOKS.looks[:3]):
            log.append(LogRow(certificate(index, LOOKS.to_text(), n), ADAPTIVE))
    with LogFile.resume(path, ADAPTIVE, range(5)) as log:
        assert [row.certificate.n for row in log.rows] == list(LOOKS.looks[:3])
    other = {**ADAPTIVE, "schedule": replace(LOOKS, growth=40).to_text()}
    for settings in (other, SETTINGS_TEXT):
        with pytest.raises(LogError, match="schedule"):
            LogFile.resume(path, settings, range(5))
    results = read_log(path)
    assert results.n == 1000
    assert results.acr_is_floor


@pytest.mark.parametrize("end", ["\r\n", "\r"], ids=["CRLF", "CR"])
@pytest.mark.parametrize("schedule", ["", LOOKS.to_text()], ids=["fixed", "adaptive"])
def test_a_file_goes_on_with_its_own_line_ends(tmp_path: Path, end: str, schedule: str) -> None:
    """As an editor, or a copy through Windows, leaves it; a line that was cut off is repaired."""
    settings = ADAPTIVE if schedule else SETTINGS_TEXT
    rows = [LogRow(certificate(i, schedule, 1000), settings) for i in range(3)]
    lines = [HEADER, *(row.to_line() for row in rows)]
    whole = "".join(line + end for line in lines).encode()
    path = tmp_path / "a.tsv"
    for cut in (whole[: -len(end) - 5], whole[: -len(rows[2].to_line() + end)]):
        path.write_bytes(cut)
        with LogFile.resume(path, settings, range(3), [0, 0, 0]) as log:
            assert len(log.rows) == 2
            log.append(rows[2])
        assert path.read_bytes() == whole
    assert len(read_log(path).rows) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"radius": "0.9"},
        {"radius": "0.1"},
        {"radius": "0.9", "p_lower": "0.97"},
        {"p_lower": "0.99"},
        {"predict": "-1", "radius": "0.0"},
        {"predict": "1"},
        {"candidate": "1"},
        {"count": "999"},
        {"correct": "0"},
        {"counts": "990,10"},
        {"sigma": "0.6"},
        {"grade": "conditional on sigma_x"},
        {"radius": "10.3", "sigma": "5.0"},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_a_row_that_was_edited_stops_a_resumed_run(tmp_path: Path, changes: dict[str, str]) -> None:
    path = tmp_path / "a.tsv"
    lines = [HEADER, *(LogRow(certificate(i), SETTINGS_TEXT).to_line() for i in range(3))]
    cells = dict(zip(COLUMNS, lines[2].split("\t"), strict=True))
    lines[2] = "\t".join({**cells, **changes}.values())
    before = "\n".join([*lines, ""])
    path.write_text(before)
    with pytest.raises(LogError, match=r"Line 3 of .*a\.tsv \(image 1\) was changed"):
        LogFile.resume(path, SETTINGS_TEXT, range(5))
    assert path.read_text() == before


def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    rows = [LogRow(certificate(i), SETTINGS_TEXT) for i in range(2)]
    (log,) = LogFile.create_all([path])
    log.append(rows[0])
    kept = path.read_text()
    with files_of_at_most(len(kept) + 50), log:
        with pytest.raises(LogError, match=r"a\.tsv cannot be written: File too large"):
            log.append(rows[1])
        with pytest.raises(LogError, match=r"a\.tsv cannot be written"):
            log.__exit__()
    assert path.read_text().startswith(kept)
    with LogFile.resume(path, SETTINGS_TEXT, range(2)) as log:
        assert [row.certificate for row in log.rows] == [certificate(0)]


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_only_files_are_read_and_written_and_nothing_waits(tmp_path: Path, kind: str) -> None:
    path = Path("/dev/zero") if kind == "device" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    for use in (
        lambda: read_log(path),
        lambda: LogFile.resume(path, SETTINGS_TEXT, range(2)),
        lambda: LogFile.create_all([path]),
    ):
        with pytest.raises(LogError, match=f"is a (named )?{kind}, not a file"):
            use()


def test_of_several_files_all_are_started_or_none(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.tsv" for name in "abc"]
    paths[0].write_text("a log of before")
    with LogFile.create_all([paths[2]])[0]:
        with pytest.raises(LogError, match="being written"):
            LogFile.create_all(paths)
        assert paths[0].read_text() == "a log of before"
        assert not paths[1].exists()
    for log in LogFile.create_all(paths):
        log.__exit__()
    assert {path.read_text() for path in paths} == {HEADER + "\n"}


def test_votes_for_impossible_classes_are_damage() -> None:
    line = LogRow(certificate(0), SETTINGS_TEXT).to_line()
    for counts in ("200 classes,200:5", "200 classes,-1:5", "100000000 classes,0:5", "a,b"):
        cells = line.split("\t")
        cells[COLUMNS.index("counts")] = counts
        with pytest.raises(ValueError):  # noqa: PT011 (several kinds of damage)
            LogRow.from_line("\t".join(cells))
