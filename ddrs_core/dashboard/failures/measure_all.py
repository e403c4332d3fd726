"""Evidence for all images that are listed, as one job."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ddrs_core.dashboard.components.board import PROGRESS_BOARD
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.failures.jobs import RUN, run_request, show_job_buttons
from ddrs_core.dashboard.shell.polling import Watch
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.jobs import Job, get_manager
from ddrs_core.quantities import counted
from ddrs_core.runs.diagnose.images import ImageDiagnosis
from ddrs_core.runs.results.results import ResultSet


def show_measure_all(findings: Findings, images: Sequence[ImageDiagnosis]) -> None:
    """The button, and where the job stands; then the list can be sorted by regret and attack."""
    if findings.material is None or len(images) < 2:
        return
    moving = _moving(findings.results)
    with st.expander(
        f"Measure all {counted(len(images), 'image')}",
        icon=":material/speed:",
        expanded=moving is not None,
        key="failures_measure",
    ):
        st.caption(
            "Fresh votes at 17 noise levels and an attack for each; then the list can be ordered "
            "by regret and by attack distance."
        )
        request = moving.request if moving is not None else run_request(findings.material, images)
        job = show_job_buttons("Start", request, "failures_run", "What is done stays.")
        Watch(job).draw(lambda: _show_progress(job))


def _show_progress(job: Job | None) -> None:
    if job is not None:
        PROGRESS_BOARD.show(
            key="failures_run_progress", name="evidence", texts={"progress": progress_html(job)}
        )


def _moving(results: ResultSet) -> Job | None:
    """The visitor's job for images of these results that has not ended, of whatever filter."""
    for job in get_manager().jobs(visitor()):
        kind, of, *_ = (*job.request.key.split("|"), "")
        if kind == RUN and of == results.id and not job.state.is_over:
            return job
    return None
