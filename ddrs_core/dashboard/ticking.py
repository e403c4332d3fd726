"""Parts of a page that are drawn again while a job runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from ddrs_core.dashboard.redraw import redraw
from ddrs_core.jobs import Job

TICK_SECONDS = 0.1


def draw_while_moving(draw: Callable[[], None], jobs: Sequence[Job | None]) -> None:
    """Draw a part now, and again several times a second while any of its jobs moves.

    When a job starts to move or comes to rest, the whole page is drawn again, since buttons
    depend on it. The part should hold no widgets: they would be drawn at every tick.
    """
    watched = [job for job in jobs if job is not None]
    before = [job.state.is_moving for job in watched]

    def tick() -> None:
        for job in watched:
            job.touch()
        now = [job.state.is_moving for job in watched]  # first, so that the last picture is drawn
        draw()
        if now != before:
            redraw()

    st.fragment(tick, run_every=TICK_SECONDS if any(before) else None)()
