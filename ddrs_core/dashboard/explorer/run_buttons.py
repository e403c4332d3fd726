"""Run, pause, step, cancel, reset, pace, and the look back over a run's steps."""

from __future__ import annotations

import math
from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.components.counting_button import counting_button
from ddrs_core.dashboard.explorer.examples import example_of
from ddrs_core.dashboard.explorer.jobs import forget, remember, sigma_request
from ddrs_core.dashboard.explorer.view import AUTO_PACE, FORM, PACES, ExplorerView
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.jobs import Job, JobState, get_manager
from ddrs_core.quantities import counted


def show_run_buttons(view: ExplorerView, job: Job | None) -> None:
    """Run or pause, step, and cancel or reset, each in a place of its own, and the pace."""
    state = job.state if job is not None else None
    with st.container(key="explorer_run", width="content"):
        _run_or_pause(view, job, state)
    with st.container(key="explorer_step", width="content"):
        presses = counting_button(
            "Step",
            key="step_button",
            icon="skip_next",
            disabled=state is not None and state.is_over,
            meaning="One step of the search, then stand still.",
        )
    if presses:
        job = job or start_run(view, paused=True)
        if job is not None:
            for _ in range(presses):
                job.step()
            redraw()
    with st.container(key="explorer_reset", width="content"):
        _cancel_or_reset(view, job, state)
    titles = {pace: _pace_title(pace) for pace in (AUTO_PACE, *PACES)}
    wanted = replace(
        view,
        pace=FORM.show(
            st.selectbox, "pace", "Pace", titles, label_visibility="collapsed", width=118
        ),
    ).speed
    if job is not None and job.speed != wanted:
        job.set_speed(wanted)


def _run_or_pause(view: ExplorerView, job: Job | None, state: JobState | None) -> None:
    """One button: a press means what the visitor saw on it, also when the run has ended since."""
    if job is None or state is None or state.is_over:
        if (
            st.button(
                "Run",
                type="primary",
                icon=":material/play_arrow:",
                key="run_button",
                help="Search for the best noise level of this image.",
            )
            and start_run(view) is not None
        ):
            redraw()
    elif state is JobState.PAUSED:
        if st.button("Resume", type="primary", icon=":material/play_arrow:", key="resume_button"):
            job.resume()
            redraw()
    elif st.button("Pause", icon=":material/pause:", key="pause_button"):
        job.pause()
        redraw()


def _cancel_or_reset(view: ExplorerView, job: Job | None, state: JobState | None) -> None:
    if job is not None and state is not None and not state.is_over:
        if st.button("Cancel", icon=":material/stop:", key="cancel_button"):
            job.cancel()
            redraw()
    elif st.button(
        "Reset",
        icon=":material/restart_alt:",
        disabled=job is None,
        key="reset_button",
        help="Forget this run; the choices stay.",
    ):
        forget(keys.JOB)
        forget(keys.CERTIFY_JOBS)
        FORM.fill({"hand": None, "cover": ""})
        example = example_of(view)
        st.session_state[keys.EMPTIED] = example.name if example is not None else None
        redraw()


def _pace_title(pace: str) -> str:
    if pace == AUTO_PACE:
        return "auto pace"
    if math.isinf(PACES[pace]):
        return "fastest"
    return f"{counted(int(pace), 'step')}/s"


def start_run(view: ExplorerView, *, paused: bool = False) -> Job | None:
    """Start the strategy on the view's image; None, and a message, if that cannot be."""
    try:
        request = sigma_request(view.check())
        forget(keys.JOB)
        forget(keys.CERTIFY_JOBS)
        job = get_manager().submit(request, visitor(), speed=view.speed, paused=paused)
    except DDRSError as error:
        show_error(error)
        return None
    remember(keys.JOB, job)
    return job
