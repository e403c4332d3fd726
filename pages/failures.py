"""Failures: why images of a run are not certified, and what would help."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ddrs_core.dashboard.components.compact_head import compact_head
from ddrs_core.dashboard.components.render import show_html, show_lead
from ddrs_core.dashboard.failures.alarm import show_alarm
from ddrs_core.dashboard.failures.classes import show_classes
from ddrs_core.dashboard.failures.evidence import show_evidence
from ddrs_core.dashboard.failures.exports import show_failure_exports
from ddrs_core.dashboard.failures.filters import (
    filter_text,
    filtered,
    show_filters,
    show_kinds,
    show_switches,
)
from ddrs_core.dashboard.failures.findings import find_findings, refreshed
from ddrs_core.dashboard.failures.image import (
    find_jobs,
    show_buttons,
    show_card,
    show_suggestions,
)
from ddrs_core.dashboard.failures.listing import show_images
from ddrs_core.dashboard.failures.measure_all import show_measure_all
from ddrs_core.dashboard.failures.neighbours import show_neighbours
from ddrs_core.dashboard.failures.notes import show_filters_and_notes, show_marks
from ddrs_core.dashboard.failures.picker import pick_results
from ddrs_core.dashboard.failures.runs import follow_runs, hold_image, link_to_resume
from ddrs_core.dashboard.failures.view import current_view, enter_failures, write_url
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error, show_problems
from ddrs_core.dashboard.shell.polling import Watch, redraw
from ddrs_core.errors import DDRSError
from ddrs_core.store import RunRecord


def main() -> None:
    """Draw the page; what ticks lives in fragments without any widget."""
    enter_failures()
    with compact_head("Why did it fail?"):
        show_lead("What keeps images from being certified, and what would help each.")
    show_problems(st.session_state.get(keys.FAILURES_PROBLEMS, []))
    pick_results()
    try:
        show_failures(follow_runs(current_view()))
    except DDRSError as error:
        show_error(error)
    write_url()


def show_failures(runs: Sequence[RunRecord]) -> None:
    """The kinds, the images, and one of them."""
    link_to_resume(runs)
    empty = [run for run in runs if not run.stored]
    if empty:
        waits = all(run.state.is_moving for run in empty)
        st.info("Waiting for the first certificate." if waits else "No certificate was made yet.")
        return
    view = current_view()
    findings = find_findings(view)
    asking = Watch(*findings.asking)
    if any(not job.state.is_moving for job in findings.asking):
        redraw()  # it has just finished
    asking.draw(lambda: None)
    show_alarm(findings)
    show_kinds(findings, view)
    show_filters(findings, view)
    view = current_view()
    images = filtered(findings, view)
    title = filter_text(findings, view, len(images))
    with st.container(horizontal=True, vertical_alignment="center", key="failures_note"):
        show_html("note.html", text=title)
        show_switches(findings, view)
        show_filters_and_notes(findings)
    image = findings.image(view.image) or next(iter(images), None)
    hold_image(image, runs)
    jobs = find_jobs(findings, image)
    watch = Watch(*jobs)
    image = None if image is None else refreshed(findings, image)
    left, right = st.columns([2, 3])
    with left:
        show_images(findings, view, images, -1 if image is None else image.index)
        show_measure_all(findings, images)
    if image is None:
        right.info("No image is left: take filters away, or choose another r.")
    else:
        with right:
            show_card(findings, image)
            show_suggestions(findings, image, jobs)
            show_marks(findings, image)
        show_buttons(findings, image)
        watch.draw(lambda: show_evidence(findings, image, jobs))
        show_neighbours(findings, image)
    show_classes(findings, view)
    show_failure_exports(findings, view, images, title)


main()
