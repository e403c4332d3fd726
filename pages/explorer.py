"""The explorer: watch the noise level of one image being optimised, see why, certify it."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard import keys
from ddrs_core.dashboard.certify_panel import (
    find_certificates,
    find_certify_jobs,
    show_certification,
)
from ddrs_core.dashboard.controls import pick_strategy, read_widgets
from ddrs_core.dashboard.explorer_jobs import adopt, adopt_curve, curve_request, sigma_request
from ddrs_core.dashboard.explorer_state import ExplorerView
from ddrs_core.dashboard.explorer_url import enter_explorer, write_url
from ddrs_core.dashboard.explorer_views import (
    moment_of,
    show_outcome,
    show_plots,
    show_progress,
    show_votes,
)
from ddrs_core.dashboard.exports import show_exports
from ddrs_core.dashboard.messages import show_error
from ddrs_core.dashboard.pickers import describe_device, pick_image, pick_source
from ddrs_core.dashboard.run_controls import pick_step, show_run_buttons, start_run
from ddrs_core.errors import DDRSError
from ddrs_core.jobs import Job

TICK_SECONDS = 0.12


def main() -> None:
    """Draw the page; everything that ticks lives in one fragment."""
    enter_explorer()
    with st.sidebar:
        pick_source()
        pick_image()
    st.title("Explorer", anchor=False)
    st.html(
        '<p class="ddrs-lead">Watch the noise level of one image being optimised, see why it '
        "moves, then certify the result.</p>"
    )
    for problem in st.session_state.get(keys.PROBLEMS, []):
        st.warning(problem, icon=":material/link_off:")
    pick_strategy()
    try:
        view = read_widgets().check()
        job = adopt(sigma_request(view), keys.JOB)
        if job is None and not st.session_state.get(keys.STARTED):
            job = start_run(view)  # the first picture needs no choice
        st.session_state[keys.STARTED] = True
        jobs = find_jobs(view)
    except DDRSError as error:
        show_error(error)
        return
    write_url(view, job)
    alive = is_alive(jobs)
    st.fragment(live, run_every=TICK_SECONDS if alive else None)(view, alive)
    st.caption(f"Device: {describe_device(view.device)}")


def live(view: ExplorerView, was_alive: bool) -> None:
    """The part of the page that is drawn again several times a second while a job runs."""
    job, curve, *certify_jobs = find_jobs(view)
    show_run_buttons(view, job)
    if job is not None:
        show_progress(job)
    moment = moment_of(job, view, pick_step(job))
    show_outcome(view, moment)
    show_plots(view, moment, curve.latest if curve else None)
    show_votes(view, moment)
    show_certification(view, moment.chosen, certify_jobs)
    show_exports(view, moment.frames, find_certificates(certify_jobs))
    if is_alive(find_jobs(view)) != was_alive:
        st.rerun()


def find_jobs(view: ExplorerView) -> list[Job | None]:
    """The strategy's job, the curve's, and the two certifications where there are any."""
    job = adopt(sigma_request(view), keys.JOB)
    chosen = job.latest.step.chosen if job is not None and job.latest else None
    return [job, adopt_curve(curve_request(view)), *find_certify_jobs(view, chosen)]


def is_alive(jobs: list[Job | None]) -> bool:
    """Whether any of the jobs still moves by itself."""
    return any(job is not None and job.state.is_moving for job in jobs)


main()
