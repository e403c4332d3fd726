"""The explorer: watch the noise level of one image being optimised, see why, certify it."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.components.noise import send_noise
from ddrs_core.dashboard.explorer.board import moment_of, show_board
from ddrs_core.dashboard.explorer.certify_section import (
    certify_at,
    find_certificates,
    find_certify_jobs,
    show_certification,
    show_certify_button,
    show_why,
)
from ddrs_core.dashboard.explorer.exports import show_explorer_exports
from ddrs_core.dashboard.explorer.jobs import adopt, adopt_curve, curve_request, sigma_request
from ddrs_core.dashboard.explorer.link import enter_explorer, write_url
from ddrs_core.dashboard.explorer.live import noise_name
from ddrs_core.dashboard.explorer.robustness import robustness_job, show_robustness
from ddrs_core.dashboard.explorer.run_buttons import show_run_buttons, start_run
from ddrs_core.dashboard.explorer.sidebar import describe_device, pick_image, pick_source
from ddrs_core.dashboard.explorer.strategy_form import pick_strategy, read_widgets
from ddrs_core.dashboard.explorer.view import FORM, ExplorerView
from ddrs_core.dashboard.navigation import link_to_library
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error, show_problems
from ddrs_core.dashboard.shell.polling import Watch
from ddrs_core.errors import DDRSError
from ddrs_core.jobs import Job
from ddrs_core.smoothing import shown_noise


def main() -> None:
    """Draw the page; what ticks lives in fragments without any widget."""
    enter_explorer()
    with st.sidebar:
        pick_source()
        pick_image()
        robustness = st.container()
        link_to_library()
        FORM.pick_device()
    with st.container(horizontal=True, vertical_alignment="center", key="explorer_head"):
        st.title("Explorer", anchor=False, width="content")
    show_problems(st.session_state.get(keys.PROBLEMS, []))
    row = {"horizontal": True, "vertical_alignment": "center", "gap": "xsmall"}
    bar = st.container(**row, key="explorer_bar")
    run = bar.container(**row, width="content")
    with bar:
        pick_strategy()
    try:
        view = read_widgets().check()
        job = adopt(keys.JOB, sigma_request(view))
        if job is None and not st.session_state.get(keys.STARTED):
            job = start_run(view)  # the first picture needs no choice
        st.session_state[keys.STARTED] = True
        curve = adopt_curve(curve_request(view))
    except DDRSError as error:
        show_error(error)
        return
    measured = robustness_job(view)
    with robustness:
        Watch(measured).draw(lambda: show_robustness(view, measured))
    with run:
        show_run_buttons(view, job)
    show_explorer(view, job, curve, bar)


def show_explorer(view: ExplorerView, job: Job | None, curve: Job, bar: DeltaGenerator) -> None:
    """The board, the certificates and the exports."""
    chosen = moment_of(job, view).chosen
    certify_jobs = find_certify_jobs(view, chosen)
    watch, certifying = Watch(job, curve), Watch(*certify_jobs.values())
    write_url(view, job)
    with bar:
        show_certify_button(view, certify_jobs)
    x = view.data[view.index][0]
    noise = shown_noise(x, view.budget.seed, view.index)
    send_noise(noise_name(view), x, noise, key="explorer_noise")
    made = find_certificates(certify_jobs)

    def draw() -> None:
        idle = not any(job and not job.state.is_over for job in certify_jobs.values())
        asked = show_board(view, job, curve.latest, list(made.values()), idle=idle)
        if asked is not None:
            certify_at(view, chosen, asked)

    watch.draw(draw)
    certifying.draw(lambda: show_certification(view, certify_jobs))
    show_why(certify_jobs)
    show_explorer_exports(view, job.history if job is not None else [], list(made.values()))
    note = get_forward(view.model, view.device).memory_note
    st.caption(" ".join([f"Device: {describe_device(view.device)}.", note]))


main()
