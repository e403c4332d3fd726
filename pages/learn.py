"""Learn: randomized smoothing in class, lesson by lesson."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.learn.attendance import (
    enter_class,
    is_presenter,
    show_class,
    show_join,
)
from ddrs_core.dashboard.learn.bar import show_bar
from ddrs_core.dashboard.learn.hidden import hide_controls
from ddrs_core.dashboard.learn.overview import show_contents, show_overview
from ddrs_core.dashboard.learn.playground import show_playground
from ddrs_core.dashboard.learn.screen import show_screen
from ddrs_core.dashboard.learn.view import PLAYGROUND, current_view, enter_learn, write_url
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_problems


def main() -> None:
    """Draw the list of lessons, or one screen of one of them, or the playground."""
    enter_learn()
    view = enter_class(current_view())
    hide_controls(view)
    if not view.present:
        with st.sidebar:
            show_class(view)
            show_contents(view)
    show_problems(st.session_state.get(keys.LEARN_PROBLEMS, []))
    if view.lesson == PLAYGROUND:
        show_playground(view)
    elif view.opened is not None:
        show_screen(view.opened, view)
        show_bar(view)
    elif is_presenter(view):
        show_join(view)
        show_bar(view)
    else:
        show_overview(view)
    write_url()


main()
