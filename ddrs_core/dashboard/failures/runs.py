"""Runs that are diagnosed while they go on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st
from markupsafe import Markup

from ddrs_core.dashboard.common.result_sources import RUN
from ddrs_core.dashboard.common.run_progress import has_grown, run_progress_html, runs_of
from ddrs_core.dashboard.components.board import PROGRESS_BOARD
from ddrs_core.dashboard.failures.view import FORM, FailuresView
from ddrs_core.dashboard.navigation import compare_page
from ddrs_core.dashboard.shell.polling import draw_each_second
from ddrs_core.runs.diagnose.images import ImageDiagnosis
from ddrs_core.store import RunRecord


def follow_runs(view: FailuresView) -> list[RunRecord]:
    """Say where the runs stand whose results are shown, and draw the page again as they grow.

    Returns:
        The runs, before their results are read.
    """
    names = (view.results, view.against)
    before = runs_of(names)

    def draw() -> bool:
        now = runs_of(names)
        _show(now.values())
        return any(
            now[name].state is not run.state or has_grown(now[name].stored, run.stored)
            for name, run in before.items()
            if name in now
        )

    if before:
        states = [run.state for run in before.values()]
        draw_each_second(
            draw,
            moving=any(state.is_moving for state in states),
            may_move=any(state.can_resume for state in states),
        )
    return list(before.values())


def link_to_resume(runs: Sequence[RunRecord]) -> None:
    """The way to where runs go on that have stopped before their end."""
    for run in runs:
        if run.state.can_resume:
            st.page_link(
                compare_page(),
                label="Resume it on Certify & compare",
                icon=":material/play_circle:",
                query_params={"show": f"{RUN}{run.id}.0"},
            )


def hold_image(image: ImageDiagnosis | None, runs: Sequence[RunRecord]) -> None:
    """Stay with the image that is shown while rows arrive, also where nobody has chosen one."""
    if image is not None and image.index is not None and any(r.state.is_moving for r in runs):
        FORM["image"] = image.index


def _show(runs: Iterable[RunRecord]) -> None:
    texts = {"progress": Markup().join(run_progress_html(run) for run in runs)}
    PROGRESS_BOARD.show(key="failures_runs", name="runs", texts=texts)
