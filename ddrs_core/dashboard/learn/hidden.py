"""Controls that a link hides, and the frame of the presenter's screen."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.learn.view import LearnView

HIDEABLE = {  # by the name in ``hide=``
    "lessons": "the list of lessons",
    "question": "the answers of questions",
    "real": "links to real images",
    "controls": "sliders and buttons of pictures",
}


def hide_controls(view: LearnView) -> None:
    """Leave out what the view hides; whatever has ``data-control`` can be named, too."""
    with st.container(key="ddrs_hidden_controls"):
        show_html("learn/hide.html", names=[name for name in view.hide.split(",") if name])
    if view.present:
        with st.container(key="ddrs_hidden_learn_present"):  # assets/style.css asks for it
            st.empty()


def is_hidden(view: LearnView, name: str) -> bool:
    """Whether the view hides a control."""
    return name in view.hide.split(",")
