"""The explorer: watch the noise level of one image being optimised, see why, certify it."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.components.render import show_lead
from ddrs_core.dashboard.explorer.board import moment_of, show_board
from ddrs_core.dashboard.explorer.certify_section import (
    find_certificates,
    find_certify_jobs,
    show_certification,
    show_certify_buttons,
)
from ddrs_core.dashboard.explorer.exports import show_explorer_exports
from ddrs_core.dashboard.explorer.jobs import adopt, adopt_curve, curve_request, sigma_request
from ddrs_core.dashboard.explorer.link import enter_explorer, write_url
from ddrs_core.dashboard.explorer.robustness import robustness_job, show_robustness
from ddrs_core.dashboard.explorer.run_buttons import pick_step, show_run_buttons, start_run
from ddrs_core.dashboard.explorer.sidebar import describe_device, pick_image, pick_source
from ddrs_core.dashboard.explorer.strategy_form import pick_strategy, read_widgets
from ddrs_core.dashboard.explorer.view import FORM
from ddrs_core.dashboard.navigation import link_to_library
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error, show_problems
from ddrs_core.dashboard.shell.polling import Watch
from ddrs_core.errors import DDRSError


def main() -> None:
    """Draw the page; what ticks lives in fragments without any widget."""
    enter_explorer()
    show_explorer()


def show_explorer() -> None:
    """Everything on the page, from the widgets' values."""
    with st.sidebar:
        pick_source()
        robustness = st.container()
        pick_image()
        link_to_library()
        FORM.pick_device()
    st.title("Explorer", anchor=False)
    show_lead(
        "Watch the noise level of one image being optimised, see why it moves, then certify the "
        "result."
    )
    show_problems(st.session_state.get(keys.PROBLEMS, []))
    pick_strategy()
    try:
        view = read_widgets().check()
        job = adopt(sigma_request(view), keys.JOB)
        if job is None and not st.session_state.get(keys.STARTED):
            job = start_run(view)  # the first picture needs no choice
        st.session_state[keys.STARTED] = True
        curve = adopt_curve(curve_request(view))
    except DDRSError as error:
        show_error(error)
        return
    watch = Watch(job, curve)
    measured = robustness_job(view)
    with robustness:
        Watch(measured).draw(lambda: show_robustness(view, measured))
    write_url(view, job)
    show_run_buttons(view, job)
    with st.container():  # keeps the board below in its place, with or without the slider
        shown = pick_step(job)
    chosen = job.latest.step.chosen if job is not None and job.latest else None
    watch.draw(lambda: show_board(view, job, moment_of(job, view, shown), curve.latest))
    st.header("Certify", divider="gray", anchor=False)
    certify_jobs = find_certify_jobs(view, chosen)
    certifying = Watch(*certify_jobs)
    show_certify_buttons(view, chosen, certify_jobs)
    certifying.draw(lambda: show_certification(view, certify_jobs))
    if job is not None and not job.state.is_moving:
        show_explorer_exports(view, job.history, find_certificates(certify_jobs))
    note = get_forward(view.model, view.device).memory_note
    st.caption(" ".join([f"Device: {describe_device(view.device)}.", note]))


main()
