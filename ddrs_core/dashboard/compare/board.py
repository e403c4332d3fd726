"""The live part of the comparison: the curve and the table, which grow image by image."""

from __future__ import annotations

from collections.abc import Sequence

from ddrs_core.dashboard.common.result_sources import find_sets
from ddrs_core.dashboard.compare.runs import compared_runs
from ddrs_core.dashboard.compare.texts import (
    cached_table,
    floor_note,
    guarantee_first,
    memory_html,
    sets_html,
    table_html,
    table_note,
    version_of,
    warnings_html,
)
from ddrs_core.dashboard.compare.view import VIEW
from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.shell.polling import draw_each_second
from ddrs_core.figures import certified_accuracy_figure
from ddrs_core.runs.results.comparison import envelope
from ddrs_core.runs.results.published import CAVEAT, PublishedResult, list_published
from ddrs_core.runs.results.results import ResultSet

_GROWTH = 1.25  # of the certificates, after which the parts that do not tick are drawn again
_BOARD = Board("compare/board.html")


def show_live_comparison(names: Sequence[str]) -> list[ResultSet]:
    """Draw curve and table now, and again while a compared run moves; no widgets in here.

    Returns:
        The sets as they stand now.
    """
    sets, _ = find_sets(names)
    before = _count(sets)

    def draw() -> bool:
        now, said = find_sets(names)
        _show(now, said)
        return _count(now) >= max(before + 1, _GROWTH * before)

    states = [run.state for run in compared_runs(names)]
    draw_each_second(
        draw,
        moving=any(state.is_moving for state in states),
        may_move=any(state.can_resume for state in states),
    )
    return sets


def published_for(sets: Sequence[ResultSet]) -> list[PublishedResult]:
    """Published figures for the data sets that are compared; those at the same noise level if
    there are such."""
    found = [
        p for name in dict.fromkeys(s.dataset for s in sets) if name for p in list_published(name)
    ]
    near = [p for p in found if p.sigma in {s.sigma for s in sets}]
    return near or found


def _show(sets: Sequence[ResultSet], sentences: Sequence[str]) -> None:
    filled = [s for s in sets if s.labelled.any()]
    published = published_for(sets) if VIEW.get("published") else []
    best = envelope(filled) if VIEW.get("envelope") and filled else None
    texts = {
        "warnings": warnings_html(sets, sentences),
        "floor": floor_note(sets),
        "published": _published_note(published),
    }
    if sets:
        table = cached_table(version_of(*sets), sets)
        texts |= {
            "table": table_html(guarantee_first(table), "Comparison table"),
            "note": table_note(table, sets),
            "memory": memory_html(sets),
            "sets": sets_html(sets),
        }
    _BOARD.show(
        key="compare_board",
        name="comparison",
        figures={"accuracy": certified_accuracy_figure(sets, envelope=best, references=published)},
        texts=texts,
    )


def _published_note(published: Sequence[PublishedResult]) -> str:
    if published:
        sources = "; ".join(dict.fromkeys(p.source for p in published))
        return f"{CAVEAT} Sources: {sources}."
    if VIEW.get("published"):
        return "There are no published figures for this data set."
    return ""


def _count(sets: Sequence[ResultSet]) -> int:
    return sum(len(s.rows) for s in sets)
