"""Run, pause, step, cancel, reset, pace, and the look back over a run's steps."""

from __future__ import annotations

import math
from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.components.counting_button import counting_button
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
    """The row of buttons; each is enabled only where it does something."""
    state = job.state if job is not None else None
    run, pause, step, cancel, reset, speed = st.columns(
        [2, 2, 2, 2, 2, 3], vertical_alignment="bottom"
    )
    busy = state in (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)
    pressed = run.button(
        "Run",
        type="primary",
        icon=":material/play_arrow:",
        disabled=busy,
        width="stretch",
        help="Choose sigma for this image with the strategy above.",
    )
    if pressed and start_run(view) is not None:
        redraw()
    paused = state is JobState.PAUSED
    if pause.button(
        "Resume" if paused else "Pause",
        icon=":material/play_circle:" if paused else ":material/pause:",
        disabled=not busy,
        width="stretch",
        key="pause_button",
    ):
        if job is not None:  # else it has given way meanwhile
            (job.resume if paused else job.pause)()
        redraw()
    with step:
        presses = counting_button(
            "Step",
            key="step_button",
            icon="skip_next",
            disabled=state is not None and state.is_over,
            meaning="One step of the optimiser, then stand still.",
        )
    if presses:
        job = job or start_run(view, paused=True)
        if job is not None:
            for _ in range(presses):
                job.step()
            redraw()
    if cancel.button("Cancel", icon=":material/stop:", disabled=not busy, width="stretch"):
        if job is not None:
            job.cancel()
        redraw()
    if reset.button(
        "Reset",
        icon=":material/restart_alt:",
        disabled=job is None,
        width="stretch",
        help="Forget this run; the choices stay.",
    ):
        forget(keys.JOB)
        forget(keys.CERTIFY_JOBS)
        redraw()
    titles = {pace: _pace_title(pace) for pace in (AUTO_PACE, *PACES)}
    wanted = replace(view, pace=FORM.show(speed.selectbox, "pace", "Pace", titles)).speed
    if job is not None and job.speed != wanted:
        job.set_speed(wanted)


def _pace_title(pace: str) -> str:
    if pace == AUTO_PACE:
        return "automatic"
    if math.isinf(PACES[pace]):
        return "as fast as it goes"
    return f"{counted(int(pace), 'step')} a second"


def pick_step(job: Job | None) -> int | None:
    """A slider over the steps so far; None while the run continues."""
    if job is None or job.state.is_moving or len(job.history) < 2:
        return None
    last = len(job.history)
    return st.slider(
        f"Look back at {job.request.unit}",
        1,
        last,
        last,
        key=FORM.key(f"shown_step_{job.id}_{last}"),
        help="All views follow.",
    )


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
