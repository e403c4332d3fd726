"""What the form of a run ends in: its cost, the button that starts it, and its command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from ddrs_core.dashboard.common.speed_jobs import Measurement
from ddrs_core.dashboard.components.section import show_when_open
from ddrs_core.dashboard.shell.debounce import once_per_click
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.dashboard.shell.polling import draw_each_second, redraw
from ddrs_core.errors import DDRSError
from ddrs_core.store import RunRecord


@dataclass(frozen=True)
class PlannedRun:
    """A run that a form describes."""

    key: str  # identifies it in all detail
    measure: Callable[[], Measurement]  # the speed of this machine
    cost: Callable[[Measurement], str]  # in a few sentences
    start: Callable[[], RunRecord]
    show: Callable[[RunRecord], None]  # lets the page show the run that was started
    show_commands: Callable[[], object]


def show_start_panel(label: str, icon: str, plan: Callable[[], PlannedRun]) -> None:
    """Draw cost, button and command line; a plan that raises an error cannot be started."""
    try:
        run = plan()
        moving = run.measure().moving
    except DDRSError as error:
        st.button(label, type="primary", icon=icon, width="stretch", disabled=True)
        show_error(error)
        return

    def draw() -> bool:
        found = run.measure()
        st.caption(run.cost(found).rstrip())
        return moving and not found.moving

    draw_each_second(draw, moving=moving, may_move=True)
    if st.button(label, type="primary", icon=icon, width="stretch"):
        try:
            started = once_per_click(run.key, run.start)
        except DDRSError as error:
            show_error(error)
        else:
            run.show(started)
            redraw()
    show_when_open(
        "Command line", run.show_commands, key=f"commands_{label}", icon=":material/terminal:"
    )
