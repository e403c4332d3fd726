"""The controls of the shown training run: stop, resume, delete, look back, register, export."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.components.exports import Download, show_exports
from ddrs_core.dashboard.navigation import link_to_explorer
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.debounce import once_per_click
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.dashboard.shell.widget_state import show_widget
from ddrs_core.dashboard.training.replay import end_replay, is_replayed, replay
from ddrs_core.dashboard.training.selected_run import Shown, is_measured, show_another
from ddrs_core.errors import DDRSError
from ddrs_core.jobs.runs import delete_run, pause_run, resume_run, stop_at_once
from ddrs_core.models import (
    add_model,
    free_name,
    get_card,
    list_models,
    load_checkpoint,
    read_card,
    with_card,
)
from ddrs_core.runs.training.recorded import run_command, run_files
from ddrs_core.store import RunRecord, RunState

_LATEST = "latest"
_MOST_STOPS = 400  # of the slider


def show_run_buttons(shown: Shown) -> None:
    """Stop, resume and delete; for a visitor's own runs."""
    run = shown.run
    if run is None:
        return
    if not shown.is_mine:
        st.caption("Somebody else started this run: you may watch it, and they may stop it.")
        return
    stop, resume, delete, _ = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
    try:
        if stop.button(
            "Stop at once" if run.wanted else "Stop",
            icon=":material/stop:",
            width="stretch",
            disabled=not run.state.is_moving or is_measured(shown),
            key="training_stop",
            help="Save its state and end. It can be resumed.",
        ):
            (stop_at_once if run.wanted else pause_run)(run.id)
            redraw()
        if resume.button(
            "Resume",
            icon=":material/play_circle:",
            width="stretch",
            disabled=not run.state.can_resume,
            help="Go on from the last saved state.",
        ):
            resume_run(run.id)
            redraw()
        with delete.popover(
            "Delete", icon=":material/delete:", width="stretch", disabled=run.state.is_moving
        ):
            st.markdown(
                "The run, its log and its model are removed. A model that was added to "
                "the library stays there."
            )
            st.button(
                "Delete it for good",
                key="training_delete",
                type="primary",
                on_click=_delete,
                args=(run,),
            )
    except DDRSError as error:
        show_error(error)


def _delete(run: RunRecord) -> None:
    try:
        delete_run(run.id)
        show_another()
    except DDRSError as error:
        st.session_state[keys.TRAINING_PROBLEMS] = [str(error)]


def pick_epoch(shown: Shown) -> int | None:
    """A slider over the epochs; None at its right end, where the views follow the run."""
    if len(shown.epochs) < 2:
        return None
    moving = shown.run is not None and shown.run.state.is_moving
    last = shown.total if moving else shown.epochs[-1].epoch  # fixed while epochs arrive
    stops: list[int | str] = [*range(1, last, -(-last // _MOST_STOPS)), _LATEST]
    button, slider = st.columns([1, 4], vertical_alignment="center")
    playing = is_replayed(shown)
    if button.button(
        "End" if playing else "Play",
        width="stretch",
        key="training_play",
        icon=":material/stop_circle:" if playing else ":material/play_circle:",
        help="Show all epochs one after another.",
    ):
        end_replay() if playing else replay(shown)
        redraw()
    chosen = slider.select_slider(
        "Look back at epoch",
        stops,
        _LATEST,
        key=keys.TRAINING_EPOCH + shown.key,
        help="All views follow. At the right end they show the latest epoch.",
    )
    return None if chosen == _LATEST else int(chosen)


def show_registration(shown: Shown) -> None:
    """Add the finished model to the library, or the link to it where it is there."""
    run = shown.run
    if run is None:
        _link_to_explorer(shown, shown.name)
        return
    if run.state is not RunState.FINISHED:
        return
    registered = _registered(run)
    if registered:
        st.success(
            f"The model is in the library, and on every page, as **{literal(registered)}**.",
            icon=":material/check:",
        )
        _link_to_explorer(shown, registered)
        return
    if shown.is_mine:
        _register(shown, run)


def _register(shown: Shown, run: RunRecord) -> None:
    key = keys.TRAINING_NAME + run.id
    if key not in st.session_state:
        st.session_state[key] = free_name(shown.name)
    name, action = st.columns([3, 2], vertical_alignment="bottom")
    show_widget(name.text_input, key, "Name of the model", max_chars=100)
    if action.button("Add to the library", icon=":material/library_add:", type="primary"):
        wanted = st.session_state[key].strip()
        try:
            once_per_click(f"add {run.id} as {wanted}", lambda: _add_to_library(run, wanted))
        except DDRSError as error:
            show_error(error)
        else:
            redraw()


def _add_to_library(run: RunRecord, name: str) -> None:
    add_model(with_card(load_checkpoint(run_files(run).model), name=name))


def _registered(run: RunRecord) -> str:
    """The name under which the model of a finished run is in the library; empty if it is not."""
    try:
        made = read_card(run_files(run).model)
    except DDRSError:
        return ""
    same = (card.name for card in list_models() if card.digest == made.digest)
    return next(same, "")


def _is_there(name: str) -> bool:
    try:
        get_card(name)
    except DDRSError:
        return False
    return True


def _link_to_explorer(shown: Shown, model: str) -> None:
    if _is_there(model):
        link_to_explorer("**Explore with it**", dataset=shown.config["dataset"], model=model)


def show_training_exports(shown: Shown) -> None:
    """The log, and the command that trains the same model."""
    log = Download(
        "Training log (JSON lines)",
        shown.log.name,
        "application/jsonl",
        shown.log.read_bytes() if shown.log.exists() else b"",
        disabled=not shown.epochs,
    )
    show_exports(
        {"": [log]},
        "A line for the settings, then one for every epoch. The address of this page opens the "
        "same view.",
        {"bash": _command(shown)},
    )


def _command(shown: Shown) -> str:
    if shown.run is not None:
        return run_command(shown.run)
    try:
        return get_card(shown.name).command
    except DDRSError:
        return ""
