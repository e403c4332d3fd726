"""The explorer page: arranges sidebar, controls, live views and certification."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard import keys
from ddrs_core.dashboard.certify_panel import (
    find_certificates,
    find_certify_jobs,
    show_certification,
)
from ddrs_core.dashboard.controls import (
    DEFAULT_SPEED,
    SPEEDS,
    pick_strategy,
    read_widgets,
    seed_widgets,
)
from ddrs_core.dashboard.explorer_jobs import (
    adopt,
    adopt_curve,
    curve_request,
    forget,
    owner,
    remember,
    sigma_request,
)
from ddrs_core.dashboard.explorer_state import ExplorerView, default_view, parse_query
from ddrs_core.dashboard.explorer_views import (
    moment_of,
    show_plots,
    show_progress,
    show_votes,
)
from ddrs_core.dashboard.exports import show_exports
from ddrs_core.dashboard.messages import show_error
from ddrs_core.dashboard.pickers import describe_device, pick_image, pick_source
from ddrs_core.errors import DDRSError
from ddrs_core.jobs import Job, JobState, get_manager

_TICK_SECONDS = 0.12


def show_explorer() -> None:
    """Draw the page; everything that ticks lives in one fragment."""
    state = st.session_state
    if keys.DATASET not in state:
        _enter()
    with st.sidebar:
        pick_source()
        pick_image()
    st.title("Explorer", anchor=False)
    st.html(
        '<p class="ddrs-lead">Watch the noise level of one image being optimised, see why it '
        "moves, then certify the result.</p>"
    )
    for problem in state.get(keys.PROBLEMS, []):
        st.warning(problem, icon=":material/link_off:")
    pick_strategy()
    try:
        view = read_widgets().check()
        job = adopt(sigma_request(view), keys.JOB)
        if job is None and not state.get(keys.STARTED):
            job = _start(view)  # the first picture needs no choice
        state[keys.STARTED] = True
        curve = adopt_curve(curve_request(view))
    except DDRSError as error:
        show_error(error)
        return
    state[keys.SAVED_VIEW] = view
    _write_url(view, job)
    chosen = job.latest.step.chosen if job is not None and job.latest else None
    certify_jobs = find_certify_jobs(view, chosen)
    watched = [j for j in (job, curve, *(certify_jobs or ())) if j is not None]
    alive = any(j.state in (JobState.QUEUED, JobState.RUNNING) for j in watched)
    st.fragment(_live, run_every=_TICK_SECONDS if alive else None)(view, alive)
    st.caption(f"Device: {describe_device(view.device)}")


def _enter() -> None:
    """A first visit or a page switch: the URL wins, then what was here before."""
    state = st.session_state
    query = {k: v for k, v in st.query_params.to_dict().items() if k != "hide"}
    if query:
        view, state[keys.PROBLEMS] = parse_query(query)
        state[keys.STARTED] = keys.JOB in query and not state[keys.PROBLEMS]
    else:
        view, state[keys.PROBLEMS] = state.get(keys.SAVED_VIEW) or default_view(), []
    seed_widgets(view)


def _live(view: ExplorerView, was_alive: bool) -> None:
    job = adopt(sigma_request(view), keys.JOB)
    curve = adopt_curve(curve_request(view))
    _show_buttons(view, job)
    if job is not None:
        show_progress(job)
    moment = moment_of(job, view, _pick_step(job))
    if moment.frames and moment.frames[-1].step.reason and moment.chosen is not None:
        last = moment.frames[-1].step
        st.success(
            f"sigma went from {view.sigma_0:.4f} to **{moment.chosen:.4f}**. {last.reason}",
            icon=":material/flag:",
        )
    show_plots(view, moment, curve.latest)
    show_votes(view, moment)
    certify_jobs = find_certify_jobs(view, moment.chosen)
    show_certification(view, moment.chosen, certify_jobs)
    show_exports(view, moment.frames, find_certificates(certify_jobs))
    watched = [j for j in (job, curve, *(certify_jobs or ())) if j is not None]
    alive = any(j.state in (JobState.QUEUED, JobState.RUNNING) for j in watched)
    if alive != was_alive:
        st.rerun()


def _show_buttons(view: ExplorerView, job: Job | None) -> None:
    state = job.state if job is not None else None
    run, pause, step, cancel, reset, speed = st.columns([2, 2, 2, 2, 2, 3], vertical_alignment="bottom")
    busy = state in (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)
    if run.button(
        "Run", type="primary", icon=":material/play_arrow:", disabled=busy, width="stretch",
        help="Choose sigma for this image with the strategy above.",
    ):  # fmt: skip
        _start(view)
        st.rerun()
    paused = state is JobState.PAUSED
    if pause.button(
        "Resume" if paused else "Pause",
        icon=":material/play_circle:" if paused else ":material/pause:",
        disabled=not busy, width="stretch", key="pause_button",
    ):  # fmt: skip
        assert job is not None
        (job.resume if paused else job.pause)()
        st.rerun()
    if step.button(
        "Step", icon=":material/skip_next:", width="stretch",
        disabled=state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED),
        help="One step of the optimiser, then stand still.",
    ):  # fmt: skip
        job = job or _start(view, paused=True)
        if job is not None:
            job.step()
        st.rerun()
    if cancel.button("Cancel", icon=":material/stop:", disabled=not busy, width="stretch"):
        assert job is not None
        job.cancel()
        st.rerun()
    if reset.button(
        "Reset", icon=":material/restart_alt:", disabled=job is None, width="stretch",
        help="Forget this run; the choices stay.",
    ):  # fmt: skip
        forget(keys.JOB)
        forget(keys.CERTIFY_JOBS)
        st.rerun()
    chosen = speed.selectbox("Pace", list(SPEEDS), key=keys.SPEED)
    st.session_state[keys.SAVED_SPEED] = chosen
    if job is not None and job.speed != SPEEDS[chosen]:
        job.set_speed(SPEEDS[chosen])


def _pick_step(job: Job | None) -> int | None:
    """A slider over the steps that are there; None while the run goes on."""
    if job is None or job.state in (JobState.QUEUED, JobState.RUNNING) or len(job.history) < 2:
        return None
    last = len(job.history)
    return st.slider(
        "Look back at step", 1, last, last, key=f"{keys.SHOWN}_{job.id}_{last}",
        help="All views follow.",
    )  # fmt: skip


def _start(view: ExplorerView, *, paused: bool = False) -> Job | None:
    try:
        request = sigma_request(view.check())
        forget(keys.JOB)
        forget(keys.CERTIFY_JOBS)
        pace = SPEEDS[st.session_state.get(keys.SPEED, DEFAULT_SPEED)]
        job = get_manager().submit(request, owner(), speed=pace, paused=paused)
    except DDRSError as error:
        show_error(error)
        return None
    remember(keys.JOB, job)
    return job


def _write_url(view: ExplorerView, job: Job | None) -> None:
    wanted = view.to_query()
    for name in (keys.JOB, keys.CERTIFY_JOBS, "hide"):
        if name in st.query_params:
            wanted[name] = st.query_params[name]
    if job is not None:
        wanted[keys.JOB] = job.id
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)
