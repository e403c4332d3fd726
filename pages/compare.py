"""Certify & compare: certify a data set, and see side by side what came out."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.compare.board import Compared, load_compared, show_live_comparison
from ddrs_core.dashboard.compare.exports import show_compare_exports
from ddrs_core.dashboard.compare.form import pick_settings, pick_source
from ddrs_core.dashboard.compare.launch import show_start
from ddrs_core.dashboard.compare.pair import show_differences, show_images
from ddrs_core.dashboard.compare.picker import pick_extras, pick_pair, pick_sets
from ddrs_core.dashboard.compare.runs import ListedRuns, show_runs, show_unfinished_runs
from ddrs_core.dashboard.compare.sigma_plots import show_sigmas
from ddrs_core.dashboard.compare.uploads import pick_logs
from ddrs_core.dashboard.compare.view import (
    DIFFERENCES,
    FILES,
    IMAGES,
    RUNS,
    SIGMAS,
    TABS,
    VIEW,
    enter_compare,
    write_url,
)
from ddrs_core.dashboard.components.compact_head import compact_head
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_problems


def main() -> None:
    """Draw the page; what ticks lives in fragments without any widget."""
    enter_compare()
    with st.sidebar:
        show_form()
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
    """What is compared: headline, curves and table; all else in tabs."""
    with compact_head("Certify & compare"):
        more = st.popover("Sets", icon=":material/add:") if VIEW["shown"] else None
    problems = st.container()
    with more or st.container():
        names = pick_sets()
        if names:
            pick_extras()
    with problems:
        show_problems(st.session_state.get(keys.COMPARE_PROBLEMS, []))
    runs = ListedRuns.now()
    show_unfinished_runs(runs)
    shown = load_compared(names)
    if len(shown.sets) > 1:
        pick_pair(shown.sets)
    if names:
        show_live_comparison(names, shown)
    else:
        st.info("Choose sets of results above, import a log, or certify a data set.")
    show_tab(shown, runs)
    write_url()


def show_tab(shown: Compared, runs: ListedRuns) -> None:
    """The tab that is open; the others are not computed."""
    titles = TABS if VIEW["shown"] else {tab: TABS[tab] for tab in (RUNS, FILES)}
    options = {"label_visibility": "collapsed", "required": True}
    tab = VIEW.show(st.segmented_control, "tab", "Details", titles, **options)
    if tab == DIFFERENCES:
        show_differences(shown.sets)
    elif tab == IMAGES:
        show_images(shown.sets)
    elif tab == SIGMAS:
        show_sigmas(shown.sets)
    elif tab == RUNS:
        show_runs(runs)
    else:
        pick_logs()
        if shown.whole:
            show_compare_exports(shown.whole)


main()
