"""The live part of the comparison: headline, curves and table, which grow image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from ddrs_core.dashboard.common.result_sources import find_sets
from ddrs_core.dashboard.common.run_progress import has_grown, runs_of
from ddrs_core.dashboard.compare.names import short_names
from ddrs_core.dashboard.compare.pair import chosen_pair, compared
from ddrs_core.dashboard.compare.texts import (
    cached_table,
    headline_html,
    legend_html,
    memory_html,
    sets_html,
    sets_table_html,
    single_html,
    table_note,
    version_of,
    warnings_html,
)
from ddrs_core.dashboard.compare.view import VIEW
from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.shell.polling import draw_each_second
from ddrs_core.errors import MismatchError
from ddrs_core.figures import certified_accuracy_figure
from ddrs_core.quantities import counted
from ddrs_core.runs.results.comparison import envelope, on_common_images
from ddrs_core.runs.results.published import CAVEAT, PublishedResult, list_published
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.store import RunState

_BOARD = Board("compare/board.html")


@dataclass(frozen=True)
class Compared:
    """What is compared, under short titles."""

    sets: list[ResultSet]  # of unfinished runs: with only the images that all sets have
    whole: list[ResultSet]  # with all of their rows and under their full titles
    problems: list[str]  # a sentence for each set that is not there
    common: str  # on which images they are compared, where those are not all

    @property
    def titles(self) -> dict[str, str]:
        """The full titles, by id."""
        return {s.id: s.title for s in self.whole}

    @property
    def certificates(self) -> int:
        """How many there are by now."""
        return sum(len(s.rows) for s in self.whole)


def load_compared(names: Sequence[str]) -> Compared:
    """The sets as they stand now."""
    whole, problems = find_sets(names)
    sets = [replace(s, title=t) for s, t in zip(whole, short_names(whole), strict=True)]
    if all(run.state is RunState.FINISHED for run in runs_of(names).values()):
        return Compared(sets, whole, problems, "")
    shared = on_common_images(sets)
    count = len(shared[0].rows) if shared else 0
    if not count or all(len(s.rows) == count for s in sets):
        said = "" if count or not sets else "The sets share no image yet."
        return Compared(sets, whole, problems, said)
    common = f"Compared on the {counted(count, 'image')} that all sets have so far."
    return Compared(shared, whole, problems, common)


def show_live_comparison(names: Sequence[str], before: Compared) -> None:
    """Draw headline, curves and table now, and again while a compared run moves; no widgets in
    here."""

    def draw() -> bool:
        now = load_compared(names)
        _show(now)
        return has_grown(now.certificates, before.certificates)

    states = [run.state for run in runs_of(names).values()]
    draw_each_second(
        draw,
        moving=any(state.is_moving for state in states),
        may_move=any(state.can_resume for state in states),
    )


def published_for(sets: Sequence[ResultSet]) -> list[PublishedResult]:
    """Published figures for the data sets that are compared; those at the same noise level if
    there are such."""
    found = [
        p for name in dict.fromkeys(s.dataset for s in sets) if name for p in list_published(name)
    ]
    near = [p for p in found if p.sigma in {s.sigma for s in sets}]
    return near or found


def _show(shown: Compared) -> None:
    sets, titles = shown.sets, shown.titles
    filled = [s for s in sets if s.labelled.any()]
    published = published_for(sets) if VIEW.get("published") else []
    best = envelope(filled) if VIEW.get("envelope") and filled else None
    pair = chosen_pair(sets) if len(sets) > 1 else None
    figure = certified_accuracy_figure(sets, envelope=best, references=published)
    texts = {
        "warnings": warnings_html(sets, shown.problems),
        "published": _published_note(published),
    }
    if sets:
        table = cached_table(version_of(*sets), sets)
        texts |= {
            "headline": _headline(sets[0], pair, shown.common),
            "legend": legend_html(sets, titles, [s.id for s in pair or ()], figure),
            "table": sets_table_html(table, sets, titles),
            "columns": render(
                "hinted.html",
                text="What the columns mean",
                hint_text=table_note(table, sets),
            ),
            "memory": memory_html(sets),
            "sets": sets_html(sets, titles),
        }
    _BOARD.show(
        key="compare_board",
        name="comparison",
        figures={"accuracy": figure},
        texts=texts,
    )


def _headline(first: ResultSet, pair: tuple[ResultSet, ResultSet] | None, common: str) -> Markup:
    if pair is None:
        return single_html(first)
    a, b = pair
    try:
        return headline_html(a, b, compared(version_of(a, b), a, b), common)
    except MismatchError as error:
        return render("compare/warnings.html", missing=(), baseline=(), mismatches=[str(error)])


def _published_note(published: Sequence[PublishedResult]) -> str:
    if published:
        sources = "; ".join(dict.fromkeys(p.source for p in published))
        return f"{CAVEAT} Sources: {sources}."
    if VIEW.get("published"):
        return "There are no published figures for this data set."
    return ""
