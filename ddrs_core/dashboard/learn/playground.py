"""The playground: the two-dimensional problem with everything open; its state is the address."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.components.badge import grade_badge
from ddrs_core.dashboard.components.render import show_lead
from ddrs_core.dashboard.learn.lessons.one_sigma import proved_table
from ddrs_core.dashboard.learn.picture import Picture
from ddrs_core.dashboard.learn.view import LearnView, go_to
from ddrs_core.dashboard.learn.worlds import world_route
from ddrs_core.smoothing import Grade
from ddrs_core.smoothing.plane import BOUNDS, DATASETS

_PICTURE = Picture("playground", datasets=DATASETS)


def show_playground(view: LearnView) -> None:
    """Draw it; what the visitor changed becomes part of the view."""
    with st.container(key="learn_screen"):
        with st.container(key="learn_head"):
            st.title("Playground", anchor=False)
        show_lead(
            "Everything of the two-dimensional lessons, open. Radii are what 10,000 votes at "
            "α = 0.001 are expected to prove. The address holds what you see: share it."
        )
        said = _PICTURE.show(
            {"state": view.play},
            on=("state",),
            route=world_route(),
            proved=proved_table(),
            bounds=BOUNDS,
            badges={
                "one": str(grade_badge(Grade.UNCONDITIONAL)),
                "best": str(grade_badge(Grade.CONDITIONAL)),
            },
        )
    state = said.get("state")
    if isinstance(state, str):
        go_to(replace(view, play=state))
