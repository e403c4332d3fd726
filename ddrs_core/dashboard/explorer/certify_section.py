"""Certification at sigma_0 and at sigma*, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.explorer.jobs import adopt, certify_request, forget, remember
from ddrs_core.dashboard.explorer.texts import certificate_html, comparison_text
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.figures import interval_figure
from ddrs_core.jobs import Job, JobRequest, get_manager
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Certificate, Grade

_BOARD = Board("explorer/certification.html")


def find_certify_jobs(view: ExplorerView, chosen: float | None) -> list[Job]:
    """The two certifications of this view that the URL names or this tab had, else none."""
    if chosen is None:
        return []
    first, second = _requests(view, chosen)
    at_start = adopt(first, keys.CERTIFY_JOBS, 0)
    at_chosen = adopt(second, keys.CERTIFY_JOBS, 1)
    if at_start is None or at_chosen is None:
        return []
    remember(keys.CERTIFY_JOBS, at_start, at_chosen)
    return [at_start, at_chosen]


def show_certify_buttons(view: ExplorerView, chosen: float | None, jobs: Sequence[Job]) -> None:
    """Start and cancel, with a sentence about what will happen."""
    running = any(not job.state.is_over for job in jobs)
    start, stop, note = st.columns([2, 1, 4], vertical_alignment="center")
    if start.button(
        "Certify at sigma_0 and sigma*",
        type="primary",
        icon=":material/verified:",
        disabled=chosen is None or running,
        width="stretch",
        key="certify_button",
    ):
        _start(view, chosen)
    if stop.button("Stop", disabled=not running, width="stretch", key="certify_cancel"):
        for job in jobs:
            job.cancel()
        redraw()
    if chosen is None:
        note.caption("Let the strategy finish first: it has to name sigma* before it is certified.")
    elif not jobs:
        note.caption(
            f"Counts {counted(view.budget.n, 'fresh noisy copy')} at sigma_0 = {view.sigma_0:.4g} "
            f"and at sigma* = {chosen:.4g}, with alpha = {view.budget.alpha:g}."
        )


def show_certification(view: ExplorerView, jobs: Sequence[Job]) -> None:
    """The interval closing in, and two cards side by side."""
    if not jobs:
        return
    names = ("sigma_0", "sigma*")
    titles = ("At the start, sigma_0", "At the answer, sigma*")
    certificates = find_certificates(jobs)
    histories = {name: job.history for name, job in zip(names, jobs, strict=True)}
    texts: dict[str, str] = {f"progress-{i}": progress_html(job) for i, job in enumerate(jobs)}
    for i, (certificate, title) in enumerate(zip(certificates, titles, strict=True)):
        if certificate is not None:
            texts[f"card-{i}"] = certificate_html(certificate, title, view.info.class_names)
    first, second = certificates
    if first is not None and second is not None:
        texts["compare"] = comparison_text(first, second)
    _BOARD.show(
        key="certify_board",
        name=f"{view.dataset}-{view.index}",
        figures={"interval": interval_figure(histories, view.budget.n, view.budget.bound)},
        texts=texts,
    )


def find_certificates(jobs: Sequence[Job | None]) -> list[Certificate | None]:
    """The certificate of each job, None where it has not ended in one."""
    return [job.latest.certificate if job is not None and job.latest else None for job in jobs]


def _requests(view: ExplorerView, chosen: float) -> tuple[JobRequest, JobRequest]:
    return (
        certify_request(view, view.sigma_0, Grade.UNCONDITIONAL),
        certify_request(view, chosen, Grade.CONDITIONAL),
    )


def _start(view: ExplorerView, chosen: float | None) -> None:
    if chosen is None:
        return
    try:
        forget(keys.CERTIFY_JOBS)
        jobs = [get_manager().submit(r, visitor()) for r in _requests(view.check(), chosen)]
    except DDRSError as error:
        show_error(error)
        return
    remember(keys.CERTIFY_JOBS, *jobs)
    redraw()
