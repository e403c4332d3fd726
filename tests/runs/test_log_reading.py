"""Logs of every known dialect, damaged ones, and files that are no logs."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ddrs_core.runs.comparison import certified_accuracy
from ddrs_core.runs.log import HEADER, LogError
from ddrs_core.runs.log_reading import parse_log, read_log
from ddrs_core.runs.summary import summarize_results

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT.parent / "shared" / "data" / "logs"
OURS = sorted((ROOT / "assets" / "results").glob("*/*.tsv"))
COHEN = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"


def rows_of(text: str) -> list[tuple[object, ...]]:
    return [
        (r.index, r.label, r.prediction, r.radius, r.correct, r.seconds, r.sigma)
        for r in parse_log(text.encode(), "some.tsv").rows
    ]


def notes_of(text: str) -> str:
    return " ".join(parse_log(text.encode(), "some.tsv").notes)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published logs are not here")
@pytest.mark.parametrize(
    ("training", "acr", "abstained", "accuracy"),
    [
        ("cohen", 0.5242, 1498, (0.670, 0.554, 0.428, 0.314, 0.220, 0.139, 0.081)),
        ("smoothadv", 0.6821, 503, (0.508, 0.470, 0.431, 0.390, 0.351, 0.316, 0.272)),
    ],
)
def test_published_logs_give_their_published_figures(training, acr, abstained, accuracy) -> None:
    results = read_log(PUBLISHED / f"cifar10_{training}_resnet20_noise_0.50.tsv")
    summary = summarize_results(results)
    assert summary.images == 10_000
    assert round(summary.average_certified_radius, 4) == acr
    assert results.abstained.sum() == abstained
    found = certified_accuracy(results, np.arange(7) / 4)
    np.testing.assert_allclose(found, accuracy, atol=0.00051)
    assert results.dialect == "cohen"
    assert results.notes == ()


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published logs are not here")
def test_a_published_log_without_rows_is_no_error() -> None:
    results = read_log(PUBLISHED / "imagenet_header_only.tsv")
    assert results.rows == ()
    assert "no row" in " ".join(results.notes)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_logs_keep_their_certificates(path: Path) -> None:
    results = read_log(path)
    model, method, sigma = path.stem.rsplit("-", 2)
    adaptive = path.parent.name == "study"
    assert len(results.rows) >= 100
    assert results.notes == ()
    assert (results.method, results.sigma) == (method, float(sigma))
    assert f"-{results.training}-" in model
    assert (results.n, results.alpha) == (100_000 if adaptive else 10_000, 0.001)
    assert results.acr_is_floor == adaptive
    assert results.data_dependent_training == ("ds2" in model)
    for row in results.rows:
        assert row.certificate is not None
        assert row.certificate.recompute_radius() == pytest.approx(row.radius, abs=1e-9)


@pytest.mark.parametrize("cell", ["radius", "p_lower"])
def test_a_radius_that_its_own_votes_do_not_prove_is_lowered(cell: str) -> None:
    lines = next(path for path in OURS if "-ds-" in path.name).read_text().splitlines()
    cells = dict(zip(lines[0].split("\t"), lines[1].split("\t"), strict=True))
    proved = float(cells["radius"])
    cells["radius"] = repr(proved + 0.01)
    if cell == "p_lower":  # changed to go with it
        cells[cell] = "0.9999"
    text = "\n".join([lines[0], "\t".join(cells.values()), *lines[2:9], ""])
    results = parse_log(text.encode(), "some.tsv")
    assert results.rows[0].radius == pytest.approx(proved, abs=1e-9)
    assert results.rows[0].certificate is not None
    assert results.rows[0].certificate.radius == results.rows[0].radius
    assert "lowered to that: line 2." in " ".join(results.notes)


@pytest.mark.parametrize(
    ("header", "row", "dialect", "expected"),
    [
        (
            "idx label predict radius correct time", "4 6 6 0.339 1 0:00:14.2",
            "cohen", (4, 6, 6, 0.339, True, 14.2, None),
        ),
        (
            "idx label predict radius correct sigma time", "4 6 2 7.11e-05 0 0.31 0:00:15",
            "ddrs-authors", (4, 6, 2, 7.11e-05, False, 15.0, 0.31),
        ),
        (
            "idx label predict correct time", "4 6 6 1 15.4",
            "predict", (4, 6, 6, 0.0, True, 15.4, None),
        ),
        (
            "idx label predict basePredict correct time", "4 6 -1 6 0 0:01:00",
            "base-predict", (4, 6, -1, 0.0, False, 60.0, None),
        ),
        (
            "idx label predict radius radius_proxy correct min_sigma time",
            "4 6 6 0.5 0.8 1 0.12 1:00:00.5",
            "ancer", (4, 6, 6, 0.5, True, 3600.5, 0.12),
        ),
        (
            "original_idx label predict radius correct time", "4999 6 6 1.2 1 3",
            "original-idx", (4999, 6, 6, 1.2, True, 3.0, None),
        ),
        (
            "idx label predict radius good correct time", "4 6 6 0.1 1 1 2",
            "relative", (4, 6, 6, 0.1, True, 2.0, None),
        ),
        ("idx predict radius correct", "4 6 .1 1", "relative", (4, None, 6, 0.1, True, None, None)),
        ("idx label predict radius", "4 6 6 0.1", "relative", (4, 6, 6, 0.1, True, None, None)),
    ],
)  # fmt: skip
def test_dialects(header: str, row: str, dialect: str, expected: tuple[object, ...]) -> None:
    text = f"{header}\n{row}\n".replace(" ", "\t")
    assert rows_of(text) == [expected]
    assert parse_log(text.encode(), "x.tsv").dialect == dialect


def test_what_columns_mean_is_said() -> None:
    assert "radius is 0" in notes_of("idx\tlabel\tpredict\tcorrect\ttime\n1\t2\t2\t1\t3\n")
    assert "ellipsoid" in notes_of("idx\tlabel\tpredict\tradius\tradius_proxy\n1\t2\t2\t1\t3\n")
    assert "good" in notes_of("idx\tlabel\tpredict\tradius\tgood\n1\t2\t2\t1\t3\n")


def test_a_sigma_that_differs_means_a_data_dependent_method() -> None:
    head = "idx\tlabel\tpredict\tradius\tcorrect\tsigma\ttime\n"
    same = parse_log(f"{head}0\t1\t1\t.3\t1\t.25\t1\n1\t1\t1\t.3\t1\t.25\t1\n".encode(), "x")
    assert (same.method, same.sigma) == ("fixed", 0.25)
    other = parse_log(f"{head}0\t1\t1\t.3\t1\t.25\t1\n1\t1\t1\t.3\t1\t.5\t1\n".encode(), "x")
    assert (other.method, other.sigma) == ("ds", None)


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        ("idx \t label\tpredict\t radius \tcorrect\ttime\n3\t1\t1\t0.5\t1\t2\n", 0.5, "padded"),
        ("\ufeff" + COHEN + "3\t1\t1\t0.5\t1\t2\n", 0.5, "byte order mark"),
        (COHEN.replace("\n", "\r\n") + "3\t1\t1\t0.5\t1\t2\r\n", 0.5, "Windows"),
        (COHEN + "3\t1\t1\t0.5\t1\t2\n\n", 0.5, "Empty lines"),
        (COHEN + "3\t1\t1\t0.5\t1\t2\n4\t1\t1\t0.", 0.5, "line 3) is cut off"),
        (COHEN + "3\t1\t1\t0.5\t1\t2", 0.5, "has no end"),
        (COHEN + "3\t1\t-1\t-0.3\t0\t2\n", 0.0, "Negative radii"),
        (COHEN + "3\t1\t1\t-0.3\t1\t2\n", 0.0, "Negative radii"),
        (COHEN + "3\t1\t-1\tnan\t0\t2\n", 0.0, "no number"),
        (COHEN + "3\t1\t-1\t0.5\t0\t2\n", 0.0, "Abstentions with a radius"),
        (COHEN + "3\t1\t1\t0.5\t0\t2\n", 0.5, "correct contradicts"),
        (COHEN + "3\t1\t1\t0.5\t1\t2\n3\t1\t1\t0.5\t1\t9\n", 0.5, "stand twice"),
        (COHEN + "3\t1\t1\t0.5\t1\t2\n" + COHEN, 0.5, "header stands again"),
        (COHEN + "3\t\t1\t0.5\t0\t2\n", 0.5, "have no label"),
    ],
)
def test_nothing_is_repaired_silently(text: str, expected: float, said: str) -> None:
    (row,) = rows_of(text)
    assert row[3] == expected
    assert said in notes_of(text)


def test_a_negative_radius_certifies_nothing() -> None:
    results = parse_log((COHEN + "3\t1\t1\t-0.3\t1\t2\n").encode(), "x")
    assert results.abstained.all()
    assert certified_accuracy(results, [0.0]) == [0.0]


def test_notes_name_the_first_line_and_count() -> None:
    rows = "".join(f"{i}\t1\t-1\t-0.1\t0\t2\n" for i in range(12))
    assert "12 lines (the first is line 2)" in notes_of(COHEN + rows)


@pytest.mark.parametrize("path", OURS[:1], ids=lambda path: path.stem)
def test_a_file_cut_anywhere_keeps_its_whole_lines(path: Path) -> None:
    data = path.read_bytes()
    whole = read_log(path).rows
    for size in range(len(HEADER), len(data), 1009):
        found = parse_log(data[:size], "cut.tsv").rows
        assert found == whole[: max(0, data[:size].count(b"\n") - 1)]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("3\t1\t1\t0.5\t1\n", 2),
        ("3\t1\t1\t0.5\t1\t2\t7\n", 2),
        ("3\t1\t1\tnan\t1\t2\n", 2),
        ("3\t1\t1\tinf\t1\t2\n", 2),
        ("3\t1\t1\t1e300\t1\t2\n", 2),
        ("3\t1\t1\t0.5\t7\t2\n", 2),
        ("3\t1\t-2\t0.5\t0\t2\n", 2),
        ("-3\t1\t1\t0.5\t1\t2\n", 2),
        ("3\t1.5\t1\t0.5\t1\t2\n", 2),
        ("3\t1\t1\t0.5\t1\t-2\n", 2),
        ("3\t1\t1\t0.5\t1\tsoon\n", 2),
        ("3\t1\t1\t0.5\t1\t2\n" + "9" * 5000 + "\t1\t1\t0.5\t1\t2\n", 3),
        ("3\t1\t1\t0.5\t1\t2\n3\t1\t1\t0.7\t1\t2\n", 3),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(rows: str, line: int) -> None:
    with pytest.raises(LogError, match=f"Line {line} of some.tsv") as error:
        rows_of(COHEN + rows)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"something else\n", "not a certification log"),
        (b"a\tb\n1\t2\n", "not a certification log"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a certification log"),
        (b"\xff\xfei\x00d\x00x\x00", "not a certification log"),
        (b"\xe9t\xe9\n", "not a certification log"),
        (b"idx\tidx\tlabel\tpredict\n", "twice"),
        (b"idx\toriginal_idx\tlabel\tpredict\n", "twice"),
        (b"x" * 300_000, "too long"),
        (b"\n" * 300_000, "too many"),
        (COHEN.encode() + b"\t" * 200_001, "too long"),
        (b"x" * (64 * 2**20 + 1), "larger than 64 MB"),
        (b"idx\tlabel\tpredict\r0\t1\t1\r", "not a certification log"),
    ],
)
def test_what_is_no_log_is_refused_in_words(data: bytes, said: str) -> None:
    started = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(LogError, match=said) as error:
        parse_log(data, "x.tsv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(str(error.value)) < 400
    assert peak < 16 * 2**20 + 4 * len(data)
    assert time.perf_counter() - started < 20


def test_votes_of_very_many_classes_do_not_fill_the_memory() -> None:
    line = next(line for line in OURS[0].read_text().splitlines()[1:])
    cells = line.split("\t")
    cells[HEADER.split("\t").index("counts")] = "100000 classes,3:10000"
    head = OURS[0].read_text().splitlines()[0]
    rows = ["\t".join([str(i), *cells[1:]]) for i in range(3000)]
    tracemalloc.start()
    with pytest.raises(LogError, match="too many vote counts"):
        parse_log("\n".join([head, *rows, ""]).encode(), "x.tsv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 700 * 2**20


@pytest.mark.parametrize("path", ["nowhere.tsv", "."])
def test_a_file_that_is_not_there(tmp_path: Path, path: str) -> None:
    with pytest.raises(LogError, match="cannot be read"):
        read_log(tmp_path / path)


def test_random_damage_is_read_or_refused_in_words() -> None:
    rng = np.random.default_rng(0)
    good = (COHEN + "".join(f"{i}\t1\t1\t0.5\t1\t0:00:01\n" for i in range(20))).encode()
    for _ in range(500):
        data = bytearray(good)
        for at in rng.integers(0, len(data), size=3):
            data[at] = rng.integers(0, 256)
        try:
            results = parse_log(bytes(data), "x.tsv")
        except LogError:
            continue
        assert np.isfinite(results.radii).all()
        assert (results.radii >= 0).all()
