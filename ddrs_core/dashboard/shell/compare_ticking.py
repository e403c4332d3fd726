"""Parts of the comparison page that are drawn again about once a second while something moves."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from ddrs_core.dashboard.shell.redraw import redraw

TICK_SECONDS = 1.0
_IDLE_SECONDS = 5.0
_REST_SECONDS = 2.5  # between runs of the whole page, which cost more than a tick


def draw_each_second(draw: Callable[[], bool], *, moving: bool, may_move: bool = False) -> None:
    """Draw a part now, and every second while it moves.

    Args:
        draw: draws it, without widgets; whether the rest of the page has to follow.
        moving: whether anything is to be expected.
        may_move: whether somebody else, or another tab, may set it moving again; that is looked for
            every few seconds.
    """
    drawn = time.monotonic()

    def tick() -> None:
        if draw() and time.monotonic() - drawn > _REST_SECONDS:
            redraw()

    pace = TICK_SECONDS if moving else _IDLE_SECONDS if may_move else None
    st.fragment(tick, run_every=pace)()
