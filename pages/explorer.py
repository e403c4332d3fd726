"""The explorer: watch the noise level of one image being optimised, see why, certify it."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.components.chips import Chip, show_chips
from ddrs_core.dashboard.components.compact_head import compact_head
from ddrs_core.dashboard.components.noise import send_noise
from ddrs_core.dashboard.explorer.beside import find_other, is_pinned, pin_of, pin_or_clear
from ddrs_core.dashboard.explorer.board import moment_of, show_board
from ddrs_core.dashboard.explorer.certify_section import (
    certify_at,
    certify_linked,
    find_certificates,
    find_certify_jobs,
    show_certification,
    show_certify_button,
    show_why,
)
from ddrs_core.dashboard.explorer.cover_section import show_cover
from ddrs_core.dashboard.explorer.examples import EXAMPLES, example_of, find_stored
from ddrs_core.dashboard.explorer.exports import show_explorer_exports
from ddrs_core.dashboard.explorer.jobs import (
    adopt,
    adopt_curve,
    curve_request,
    show_stored,
    sigma_request,
)
from ddrs_core.dashboard.explorer.link import enter_explorer, open_example, write_url
from ddrs_core.dashboard.explorer.live import noise_name
from ddrs_core.dashboard.explorer.robustness import robustness_job, show_robustness
from ddrs_core.dashboard.explorer.run_buttons import show_run_buttons, start_run
from ddrs_core.dashboard.explorer.sidebar import describe_device, pick_image, pick_source
from ddrs_core.dashboard.explorer.strategy_form import pick_strategy, read_widgets
from ddrs_core.dashboard.explorer.view import FORM, ExplorerView
from ddrs_core.dashboard.navigation import link_to_library
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error, show_problems
from ddrs_core.dashboard.shell.polling import Watch, redraw
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
        FORM.pick_device(f"{describe_device(FORM['device'])}.")
    with compact_head("Explorer"):
        chips = st.container(width="content")
    show_problems(st.session_state.get(keys.PROBLEMS, []))
    row = {"horizontal": True, "vertical_alignment": "center", "gap": "xsmall"}
    bar = st.container(**row, key="explorer_bar")
    run = bar.container(**row, width="content")
    with bar:
        pick_strategy()
    try:
        view = read_widgets().check()
        stored, request = find_stored(view), sigma_request(view)
        job = adopt(keys.JOB, request)
        if job is None and stored is not None:
            job = show_stored(request, stored.frames)
        if job is None and not st.session_state.get(keys.STARTED):
            job = start_run(view)  # the first picture needs no choice
        st.session_state[keys.STARTED] = True
        request = curve_request(view)
        curve = show_stored(request, [stored.curve]) if stored else adopt_curve(request)
    except DDRSError as error:
        show_error(error)
        return
    measured = robustness_job(view)
    with robustness:
        Watch(measured).draw(lambda: show_robustness(view, measured))
    with chips:
        show_examples(view)
    with run:
        show_run_buttons(view, job)
    show_explorer(view, job, curve, bar)


def show_examples(view: ExplorerView) -> None:
    """The named examples, of which the view may be one."""
    shown = example_of(view)
    show_chips(
        "Examples",
        [Chip(e.name, e.title, e.shows, f"explorer?example={e.name}") for e in EXAMPLES.values()],
        shown.name if shown else "",
        key="explorer_examples",
        on_pick=open_example,
    )


def show_explorer(view: ExplorerView, job: Job | None, curve: Job, bar: DeltaGenerator) -> None:
    """The board, the certificates and the exports."""
    moment, example = moment_of(job, view), example_of(view)
    chosen = moment.chosen
    is_stored = job is not None and bool(job.request.stored)
    note = f"{example.shows} " if example else ""
    note += "A stored run." if is_stored else ""
    certify_jobs = find_certify_jobs(view, chosen, find_stored(view) if is_stored else None)
    certify_linked(view, certify_jobs)
    other = find_other(view, job)
    watch = Watch(job, curve, *(other.jobs if other is not None else ()))
    certifying = Watch(*certify_jobs.values())
    write_url(view, job, pin_of(other))
    with bar:
        show_certify_button(view, certify_jobs)
    x = view.data[view.index][0]
    noise = shown_noise(x, view.budget.seed, view.index)
    send_noise(noise_name(view), x, noise, key="explorer_noise")
    made = find_certificates(certify_jobs)

    def draw() -> None:
        idle = not any(job and not job.state.is_over for job in certify_jobs.values())
        said = show_board(
            view,
            job,
            curve.latest,
            list(made.values()),
            note=note,
            idle=idle,
            other=other.drawn() if other is not None else None,
            pinned=(is_pinned(), other.label() if other is not None else ""),
        )
        if said.get("pin"):
            pin_or_clear(view)
            redraw()
        if isinstance(said.get("certify"), int | float):
            certify_at(view, chosen, float(said["certify"]))

    watch.draw(draw)
    beside = other.radii() if other is not None else {}
    certifying.draw(lambda: show_certification(view, certify_jobs, beside))
    show_cover(view, certify_jobs)
    show_why(certify_jobs)
    show_explorer_exports(view, job.history if job is not None else [], list(made.values()))
    memory = get_forward(view.model, view.device).memory_note
    if memory:
        st.caption(memory)


main()
