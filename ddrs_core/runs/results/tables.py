"""Tables to take along: figures of several sets as Markdown, LaTeX or CSV.

Radii and average radii are rounded down, so that what is printed is proved as well.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ddrs_core.errors import MismatchError, NamedEnum
from ddrs_core.runs.results.comparison import Figures, figures_of
from ddrs_core.runs.results.paired import (
    AcrDifference,
    PairedComparison,
    Pairs,
    RadiusDifference,
    Verdict,
    acr_difference,
    pair,
    radius_difference,
)
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.runs.results.summary import RADII, CleanSource, average_text, clean_source

UNKNOWN_CELL = "–"
_THOUSANDS = re.compile(r"(≤ )?[0-9]{1,3}(,[0-9]{3})+")
# Underscores inside a word are no markup; elsewhere, and all else that Markdown or HTML reads, are.
_MARKUP = re.compile(r"[\\`*\[\]<>|~$&@]|:(?=//)|(?<=www)\.|(?<![^\W_])_|_(?![^\W_])")
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "–": "--",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


class TableFormat(NamedEnum, kind="table format"):
    """How a table is written."""

    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"


@dataclass(frozen=True)
class Table:
    """Cells as text; ``bold`` holds (row, column) of those that stand out."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()


def comparison_table(sets: Sequence[ResultSet], radii: Sequence[float] = RADII) -> Table:
    """A row a set. The best certified accuracy at a radius, and the best ACR, stand out where the
    paired interval to the second best excludes 0."""
    figures = [figures_of(results, radii) for results in sets]
    head = (
        "log",
        "images",
        "N",
        *(f"r = {r:g}" for r in radii),
        "ACR",
        "clean",
        "abstained",
        "s/image",
        "guarantee",
        "bound",
    )
    bold = set()
    for column, r in enumerate(radii, start=3):
        values = [f.summary.certified_accuracy[r] for f in figures]
        best = _outstanding(sets, values, partial(_verdict_at, radius=r))
        bold |= set() if best is None else {(best, column)}
    values = [f.summary.average_certified_radius for f in figures]
    if not any(results.acr_is_floor for results in sets):
        best = _outstanding(sets, values, lambda pairs: acr_difference(pairs).verdict)
        bold |= set() if best is None else {(best, 3 + len(radii))}
    return Table(head, tuple(_cells(f, radii) for f in figures), frozenset(bold))


def clean_note(sets: Sequence[ResultSet]) -> str:
    """Whose clean accuracy is unknown or not that of the network, and why; empty if nobody's."""
    by_source: dict[CleanSource, list[str]] = {}
    for results in sets:
        if results.rows and results.has_labels:
            by_source.setdefault(clean_source(results), []).append(results.title)
    by_source.pop(CleanSource.PREDICTION, None)
    return " ".join(f"Clean of {', '.join(t)}: {source}." for source, t in by_source.items())


def paired_table(others: Sequence[tuple[ResultSet, PairedComparison]], against: ResultSet) -> Table:
    """A row a set and radius: its difference to ``against`` on the shared images."""
    head = (
        "log",
        f"minus {against.title}",
        "images",
        "this",
        "that",
        "difference",
        "interval",
        "gained",
        "lost",
        "McNemar p",
        "certifies",
    )
    rows: list[tuple[str, ...]] = []
    for results, comparison in others:
        shared = f"{comparison.shared:,}"
        rows += [(results.title, *_radius_cells(d, shared)) for d in comparison.radii]
        if comparison.acr is not None:
            rows.append((results.title, *_acr_cells(comparison.acr, shared)))
    return Table(head, tuple(rows))


def render(table: Table, form: TableFormat) -> str:
    """The table as text."""
    return _WRITERS[form](table)


def _outstanding(
    sets: Sequence[ResultSet], values: Sequence[float | None], verdict: Callable[[Pairs], Verdict]
) -> int | None:
    """The best set, if it is better than the second best beyond chance."""
    order = sorted(
        (i for i, value in enumerate(values) if value is not None),
        key=lambda i: -(values[i] or 0.0),
    )
    if len(order) < 2:
        return None
    try:
        pairs = pair(sets[order[0]], sets[order[1]])
    except MismatchError:
        return None
    return order[0] if len(pairs.indices) and verdict(pairs) == "more" else None


def _verdict_at(pairs: Pairs, radius: float) -> Verdict:
    return radius_difference(pairs, radius).verdict


def _cells(figures: Figures, radii: Sequence[float]) -> tuple[str, ...]:
    s = figures.summary
    n = UNKNOWN_CELL if s.n is None else f"{s.n:,}"
    if s.n is not None and s.n_mean is not None and s.n_mean < s.n:
        n = f"≤ {n}"
    acr = UNKNOWN_CELL
    judged = figures.results.has_labels
    average = s.average_certified_radius if judged else s.average_radius
    if average is not None:
        acr = _average(average, s.average_is_floor)
    shares = s.certified_accuracy if judged else s.certified_share
    return (
        figures.results.shown_title,
        f"{s.images} ({s.unreadable} not readable)" if s.unreadable else str(s.images),
        n,
        *(_fraction(shares[r]) for r in radii),
        acr,
        _fraction(s.clean_accuracy),
        _fraction(s.abstention_rate),
        UNKNOWN_CELL if s.seconds_per_image is None else f"{s.seconds_per_image:.3g}",
        figures.results.guarantee,
        figures.results.bound or UNKNOWN_CELL,
    )


def _radius_cells(d: RadiusDifference, shared: str) -> tuple[str, ...]:
    return (
        f"r = {d.radius:g}",
        shared,
        f"{d.accuracy_a:.3f}",
        f"{d.accuracy_b:.3f}",
        f"{d.difference:+.4f}",
        _interval(d.low, d.high),
        str(d.gained),
        str(d.lost),
        f"{d.p_value:.2g}",
        _verdict(d),
    )


def _verdict(d: RadiusDifference) -> str:
    """Where interval and test disagree the one that sees nothing decides, and is named."""
    return f"{d.verdict} (by {d.decided_by})" if d.decided_by else d.verdict


def _acr_cells(d: AcrDifference, shared: str) -> tuple[str, ...]:
    return (
        "ACR",
        shared,
        _average(d.acr_a, d.a_is_floor),
        _average(d.acr_b, d.b_is_floor),
        f"{d.difference:+.4f}",
        _interval(d.low, d.high),
        UNKNOWN_CELL,
        UNKNOWN_CELL,
        UNKNOWN_CELL,
        d.verdict,
    )


def _average(radius: float, is_floor: bool) -> str:
    return ("≥ " if is_floor else "") + average_text(radius)


def _interval(low: float | None, high: float | None) -> str:
    return UNKNOWN_CELL if low is None or high is None else f"{low:+.4f} to {high:+.4f}"


def _fraction(value: float | None) -> str:
    return UNKNOWN_CELL if value is None else f"{value:.3f}"


def _markdown(table: Table) -> str:
    lines = [table.head, ("---",) * len(table.head), *table.rows]
    return "\n".join(
        "| " + " | ".join(_in_one_cell(cell) for cell in line) + " |" for line in lines
    )


def _in_one_cell(text: str) -> str:
    """Text that Markdown shows as it is, in one line: names may hold anything."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def _latex(table: Table) -> str:
    """For the package booktabs."""
    lines = [
        r"\begin{tabular}{l" + "r" * (len(table.head) - 1) + "}",
        r"\toprule",
        " & ".join(_escape(cell) for cell in table.head) + r" \\",
        r"\midrule",
    ]
    for i, row in enumerate(table.rows):
        cells = [
            rf"\textbf{{{_escape(cell)}}}" if (i, j) in table.bold else _escape(cell)
            for j, cell in enumerate(row)
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _escape(text: str) -> str:
    return "".join(_ESCAPED.get(c, c) for c in " ".join(text.split()))


def _csv(table: Table) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in (table.head, *table.rows):
        cells = ["" if cell == UNKNOWN_CELL else _plain(cell) for cell in row]
        writer.writerow([harmless(cells[0]), *cells[1:]])
    return buffer.getvalue().rstrip("\n")


def _plain(cell: str) -> str:
    """A number without separators between thousands."""
    return cell.replace(",", "") if _THOUSANDS.fullmatch(cell) else cell


def harmless(text: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


_WRITERS: dict[TableFormat, Callable[[Table], str]] = {
    TableFormat.MARKDOWN: _markdown,
    TableFormat.LATEX: _latex,
    TableFormat.CSV: _csv,
}
