"""Training: choose a run, start it, watch it learn, and add the result to the library."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.components.render import show_lead
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error, show_problems
from ddrs_core.dashboard.training.board import watch
from ddrs_core.dashboard.training.controls import (
    pick_epoch,
    show_registration,
    show_run_buttons,
    show_training_exports,
)
from ddrs_core.dashboard.training.form import pick_run, pick_settings
from ddrs_core.dashboard.training.launch import show_start
from ddrs_core.dashboard.training.selected_run import pick_shown
from ddrs_core.errors import DDRSError


def main() -> None:
    """Draw the page; what ticks lives in fragments without any widget."""
    with st.sidebar:
        show_form()
    show_training()


def show_form() -> None:
    """What to train next."""
    st.subheader("Train a model", anchor=False)
    pick_run()
    start = st.container()  # above the many settings
    pick_settings()
    with start:
        show_start()


def show_training() -> None:
    """The run or example that is shown."""
    st.title("Training", anchor=False)
    show_lead(
        "Smoothing needs a network that was trained under noise: train one, watch it learn, and "
        "use it in the explorer."
    )
    try:
        shown = pick_shown()
    except DDRSError as error:
        show_error(error)
        return
    show_problems(st.session_state.get(keys.TRAINING_PROBLEMS, []))
    if shown is None:
        st.info("Nothing has been trained here yet. Press Train in the sidebar.")
        return
    with st.container():  # containers keep the board below in its place, whatever they hold
        show_run_buttons(shown)
    with st.container():
        show_registration(shown)
    with st.container():
        chosen = pick_epoch(shown)
    watch(shown, chosen)
    show_training_exports(shown)


main()
