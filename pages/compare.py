"""Certify & compare: certify a data set, and see side by side what came out."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.compare.board import show_live_comparison
from ddrs_core.dashboard.compare.exports import show_compare_exports
from ddrs_core.dashboard.compare.form import pick_settings, pick_source
from ddrs_core.dashboard.compare.launch import show_start
from ddrs_core.dashboard.compare.pair import show_pair
from ddrs_core.dashboard.compare.picker import pick_extras, pick_sets
from ddrs_core.dashboard.compare.runs import show_runs
from ddrs_core.dashboard.compare.sigma_plots import show_sigmas
from ddrs_core.dashboard.compare.view import enter_compare, write_url
from ddrs_core.dashboard.components.render import show_lead
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_problems


def main() -> None:
    """Draw the page; what ticks lives in fragments without any widget."""
    enter_compare()
    with st.sidebar:
        show_form()
    st.title("Certify & compare", anchor=False)
    show_lead(
        "Certify many images, and see side by side what fixed and data-dependent noise can "
        "prove. Import logs of other programs; the link restores the view."
    )
    show_comparison()


def show_form() -> None:
    """What to certify next."""
    st.subheader("Certify a data set", anchor=False)
    pick_source()
    start = st.container()  # above the many settings
    pick_settings()
    with start:
        show_start()


def show_comparison() -> None:
    """Runs, and what is compared."""
    problems = st.container()
    show_runs()
    names = pick_sets()
    with problems:
        show_problems(st.session_state.get(keys.COMPARE_PROBLEMS, []))
    if not names:
        st.info("Choose sets of results above, import a log, or certify a data set.")
        write_url()
        return
    pick_extras()
    sets = show_live_comparison(names)
    if sets:
        show_pair(sets)
        show_sigmas(sets)
        show_compare_exports(sets)
    write_url()


main()
