"""Tables to take along."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ddrs_core.errors import DDRSError
from ddrs_core.runs.logs.reading import parse_log, read_log
from ddrs_core.runs.results.comparison import certified_curve, figures_of
from ddrs_core.runs.results.paired import compare
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.runs.results.rows import RowFormat, rows_bytes
from ddrs_core.runs.results.tables import (
    TableFormat,
    clean_note,
    comparison_table,
    paired_table,
    render,
)

OURS = Path(__file__).resolve().parents[3] / "assets" / "results" / "first"
FIXED, DS = (
    OURS / f"cifar10-resnet20-gaussian-0.25-{method}-0.25.tsv" for method in ("fixed", "ds")
)


def results_of(radii: np.ndarray, title: str) -> ResultSet:
    rows = tuple(ResultRow(i, 0, 0, float(r), True, 1.0) for i, r in enumerate(radii))
    return ResultSet(title, title, rows, n=1000, alpha=0.001)


def test_radii_are_rounded_down() -> None:
    table = comparison_table([results_of(np.full(50, 0.299999), "a")], [0.0])
    assert table.rows[0][table.head.index("ACR")] == "0.2999"


def test_the_figure_of_the_literature_can_be_read_from_the_acr() -> None:
    """Zhai et al. print averages rounded to three digits: .660736 is their .661."""
    table = comparison_table([results_of(np.full(50, 0.660736), "a")], [0.0])
    assert f"{float(table.rows[0][table.head.index('ACR')]):.3f}" == "0.661"


def test_every_row_says_what_its_radii_are_worth() -> None:
    results = results_of(np.full(5, 0.3), "a")
    sets = [replace(results, method=method) for method in ("fixed", "ds", "ds-memory", "unknown")]
    table = comparison_table(sets, [0.0])
    assert [row[table.head.index("guarantee")] for row in table.rows] == [
        "unconditional",
        "conditional on sigma_x",
        "for queries after x",
        "not recorded",
    ]


def test_predictions_enter_no_zero_into_a_table() -> None:
    """They certify nothing beyond radius 0, and nobody knows how far."""
    predictions = replace(results_of(np.zeros(50), "a"), has_radii=False)
    table = comparison_table([predictions, results_of(np.full(50, 0.3), "b")], [0.0, 0.25])
    cells = dict(zip(table.head, table.rows[0], strict=True))
    assert (cells["r = 0"], cells["r = 0.25"], cells["ACR"]) == ("1.000", "–", "–")
    found = compare(predictions, results_of(np.full(50, 0.3), "b"), [0.0, 0.25])
    assert [d.radius for d in found.radii] == [0.0]
    assert found.acr is None
    assert "predictions" in " ".join(found.warnings)


def test_why_there_is_no_clean_accuracy_is_said() -> None:
    bare, empty = results_of(np.full(5, 0.3), "bare"), results_of(np.zeros(0), "empty")
    shipped = read_log(DS)
    said = clean_note([bare, empty, shipped])
    assert "Clean of bare: unknown: the rows hold neither" in said
    assert f"Clean of {shipped.title}: of most votes, under noise" in said
    assert "empty" not in said


def test_a_floor_is_marked() -> None:
    results = replace(results_of(np.full(50, 0.3), "a"), acr_is_floor=True)
    table = comparison_table([results], [0.0])
    assert table.rows[0][table.head.index("ACR")].startswith("≥ ")


def test_bold_is_only_what_differs_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(400)
    better, same = results_of(base + 0.2, "better"), results_of(base + 0.001, "same")
    table = comparison_table([results_of(base, "base"), same, better], [0.0, 0.5])
    at_half, at_zero = table.head.index("r = 0.5"), table.head.index("r = 0")
    acr = table.head.index("ACR")
    assert table.bold == {(2, at_half), (2, acr)}
    assert (2, at_zero) not in table.bold  # all are equal there
    text = render(table, TableFormat.LATEX)
    assert text.count(r"\textbf{") == 2
    small = [results_of(base[:12], "base"), results_of(base[:12] + 0.01, "a little better")]
    assert comparison_table(small, [0.5]).bold <= {(1, 4)}


def test_sets_of_other_images_never_stand_out() -> None:
    a, b = results_of(np.full(50, 0.9), "a"), results_of(np.full(50, 0.1), "b")
    table = comparison_table([replace(a, dataset="x"), replace(b, dataset="y")], [0.5])
    assert table.bold == frozenset()


@pytest.mark.parametrize("form", TableFormat)
def test_hostile_titles_stay_in_their_cell(form: TableFormat) -> None:
    title = '=cmd|"/c calc"!A1 \\input{x} & 100% $x_1$ #\nnew'
    text = render(comparison_table([results_of(np.full(5, 0.3), title)], [0.0]), form)
    lines = text.splitlines()
    if form is TableFormat.MARKDOWN:
        assert len(lines) == 3
        assert lines[2].replace("\\|", "").count("|") == lines[0].count("|")
    elif form is TableFormat.LATEX:
        assert r"\input" not in text.replace(r"\textbackslash{}input", "")
        assert text.count("&") - text.count(r"\&") == 2 * (text.splitlines()[2].count("&"))
    else:
        head, row = list(csv.reader(io.StringIO(text)))
        assert len(head) == len(row)
        assert row[0].startswith("'=")


@pytest.mark.parametrize(
    "title",
    [
        "a`code`",
        "<img src=x onerror=alert(1)>",
        "**bold**",
        "_em_ and __strong__",
        "~~gone~~",
        "[a](http://elsewhere)",
        "![x](http://elsewhere/x.png)",
        "&lt;b&gt;",
        "$a^2$",
        "see http://elsewhere and www.elsewhere.org",
        "a\\",
        "a\\|b",
    ],
)
def test_names_are_no_markup_in_markdown(title: str) -> None:
    """Whatever is markup in GitHub's Markdown follows a backslash, and the words stay."""
    text = render(
        comparison_table([results_of(np.full(5, 0.3), title)], [0.0]), TableFormat.MARKDOWN
    )
    cell = text.splitlines()[2].split(" | ")[0].removeprefix("| ")
    bare = re.sub(r"\\[\\`*_{}\[\]<>()#+\-.!|~$&:@]", "", cell)
    assert not re.search(r"[`*<>\[\]|~$&\\]|://|www\.|(?<![^\W_])_|_(?![^\W_])", bare)
    assert re.sub(r"\\([^\w\s]|_)", r"\1", cell) == title


def test_plain_names_stay_readable_in_markdown() -> None:
    for title in ("sigma_0.25", "digits-gaussian-0.50-ds-0.5", "my run (2)"):
        text = render(
            comparison_table([results_of(np.full(5, 0.3), title)], [0.0]), TableFormat.MARKDOWN
        )
        assert f"| {title} | 5 |" in text


def test_csv_is_read_by_others() -> None:
    sets = [replace(read_log(path), title=path.stem) for path in (FIXED, DS)]
    frame = pd.read_csv(io.StringIO(render(comparison_table(sets), TableFormat.CSV)))
    assert frame["N"].tolist() == [10_000, 10_000]
    assert frame["images"].tolist() == [100, 100]
    assert frame["r = 0.5"].between(0, 1).all()


def test_the_paired_table_has_a_row_for_each_radius_and_the_mean() -> None:
    fixed, ds = read_log(FIXED), read_log(DS)
    table = paired_table([(ds, compare(ds, fixed, [0.25, 0.5]))], fixed)
    assert [row[1] for row in table.rows] == ["r = 0.25", "r = 0.5", "ACR"]
    assert {len(row) for row in table.rows} == {len(table.head)}


@pytest.mark.parametrize("form", RowFormat)
def test_rows_come_back_at_full_precision(form: RowFormat) -> None:
    results = read_log(DS)
    data = rows_bytes([results, read_log(FIXED)], form)
    if form is RowFormat.PARQUET:
        frame = pd.read_parquet(io.BytesIO(data))
    else:
        frame = pd.read_csv(io.BytesIO(data), sep="\t" if form is RowFormat.TSV else ",")
    assert len(frame) == 200
    first = frame[frame["results"] == results.title]
    assert first["radius"].tolist() == results.radii.tolist()
    assert first["idx"].tolist() == results.indices.tolist()
    assert first["sigma"].tolist() == results.sigmas.tolist()


def test_exported_rows_are_a_log_again() -> None:
    results = read_log(DS)
    again = parse_log(rows_bytes([results], RowFormat.TSV), "again.tsv")
    assert again.radii.tolist() == results.radii.tolist()
    assert again.correct.tolist() == results.correct.tolist()


def test_exported_rows_of_images_that_could_not_be_read_stay_so() -> None:
    results = read_log(DS)
    first = results.rows[0]
    assert first.certificate is not None
    failed = replace(
        first.certificate,
        prediction=-1,
        radius=0.0,
        n=0,
        counts=(0, 0),
        failure="cut off",
    )
    row = replace(first, prediction=-1, radius=0.0, correct=False, certificate=failed)
    made = replace(results, rows=(row, *results.rows[1:]))
    again = parse_log(rows_bytes([made], RowFormat.TSV), "again.tsv")
    assert [row.failure for row in again.failed] == ["cut off"]
    assert not again.rows[0].abstained
    assert "could not be read" in " ".join(again.notes)


def test_rows_without_certificates_and_no_rows_can_be_exported() -> None:
    bare = ResultSet("a", "a", (ResultRow(3, None, -1, 0.0, None),))
    frame = pd.read_parquet(io.BytesIO(rows_bytes([bare], RowFormat.PARQUET)))
    assert frame["label"].isna().all()
    assert len(pd.read_parquet(io.BytesIO(rows_bytes([], RowFormat.PARQUET)))) == 0


def test_an_unknown_format_is_answered_in_words() -> None:
    for kind in (TableFormat, RowFormat):
        with pytest.raises(DDRSError, match="csv"):
            kind("cvs")


def test_table_curve_and_summary_of_a_random_log_agree() -> None:
    rng = np.random.default_rng(3)
    lines = ["idx\tlabel\tpredict\tradius\tcorrect\ttime"]
    for i in range(80):
        label, predict = int(rng.integers(3)), int(rng.integers(-1, 3))
        radius = float(rng.gamma(2, 0.2)) if predict >= 0 else 0.0
        lines.append(f"{i}\t{label}\t{predict}\t{radius!r}\t{int(label == predict)}\t0.1")
    results = parse_log(("\n".join(lines) + "\n").encode(), "random")
    radii = (0.0, 0.25, 0.5, 0.75)
    told, curve = figures_of(results, radii), certified_curve(results)
    table = comparison_table([results], radii)
    (cells,) = table.rows
    for r in radii:
        share = told.summary.certified_accuracy[r]
        assert share is not None
        assert cells[table.head.index(f"r = {r:g}")] == f"{share:.3f}"
        assert curve.accuracy[np.searchsorted(curve.radii, r)] == pytest.approx(share)
        low, high = told.interval[r] or (1.0, 0.0)
        assert low <= share <= high
    acr = told.summary.average_certified_radius
    assert acr == pytest.approx(float(np.diff(curve.radii) @ curve.accuracy[1:]))  # its area
    assert float(cells[table.head.index("ACR")]) == pytest.approx(acr, abs=1e-4)
