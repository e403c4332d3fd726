"""Polling: parts of a page that are drawn again while a job or a run moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

import streamlit as st

from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.jobs import Job, get_manager

_JOB_TICK_SECONDS = 0.1
_RUN_TICK_SECONDS = 1.0
_IDLE_SECONDS = 5.0
_REST_SECONDS = 2.5  # between runs of the whole page, which cost more than a tick
_HEARTBEAT_SECONDS = 20.0  # a browser slows the timers of hidden tabs to one a minute
_SHOWN = "ids_of_shown_jobs"


def redraw() -> NoReturn:
    """Draw the page again from its start.

    As ``st.rerun()``, which forgets that the visitor has meanwhile gone to another page: reading
    the session state first gives way to the waiting request.
    """
    _ = "anything" in st.session_state
    st.rerun()


def draw_every(seconds: float | None, draw: Callable[[], None]) -> None:
    """Draw a part now, and again every so many seconds; once, where they are None.

    The part gets a container to itself. When a tick arrives while the whole page is drawn, it runs
    right after that, and Streamlit then drops what the page has just sent for this part if the
    browser has not received it yet. So the browser removes the part, everything behind it within
    the same container moves up, and the tick overwrites the element that follows.
    """
    with st.container():
        st.fragment(draw, run_every=seconds)()


def send_heartbeats() -> None:
    """At the beginning of every run: as long as the page is open, its visitor is there.

    A page whose jobs have come to rest does not tick, but somebody looks at them.
    """
    st.session_state[_SHOWN] = set()
    with st.container(key="ddrs_heartbeat"):  # hidden by assets/style.css
        draw_every(_HEARTBEAT_SECONDS, _send_heartbeat)


def _send_heartbeat() -> None:
    get_manager().note_presence(visitor(), st.session_state[_SHOWN])


class Watch:
    """Jobs that a page shows, as they were when this run of the page first looked at them.

    Make it before anything is drawn from their state: a job may come to rest between two lines of
    a page, and what was drawn before, such as buttons, would keep its old state for good.
    """

    def __init__(self, *jobs: Job | None) -> None:
        self._jobs = [job for job in jobs if job is not None]
        self._moving = self._look()
        st.session_state.setdefault(_SHOWN, set()).update(job.id for job in self._jobs)

    def draw(self, draw: Callable[[], None]) -> None:
        """Draw a part now, and again several times a second while any of the jobs moves.

        When a job starts to move or comes to rest, the whole page is drawn again, since buttons
        depend on it. The part should hold no widgets: they would be drawn at every tick.
        """

        def tick() -> None:
            for job in self._jobs:
                job.touch()
            now = self._look()  # first, so that the last picture is drawn
            draw()
            if now != self._moving:
                redraw()

        draw_every(_JOB_TICK_SECONDS if any(self._moving) else None, tick)

    def _look(self) -> list[bool]:
        return [job.state.is_moving for job in self._jobs]


def draw_each_second(draw: Callable[[], bool], *, moving: bool, may_move: bool = False) -> None:
    """Draw a part now, and again every second while it moves.

    Args:
        draw: draws it, without widgets, and tells whether the rest of the page has to follow.
        moving: whether it changes now.
        may_move: whether somebody else, or another tab, may set it moving again; it is then drawn
            every few seconds.
    """
    drawn = time.monotonic()

    def tick() -> None:
        if draw() and time.monotonic() - drawn > _REST_SECONDS:
            redraw()

    draw_every(_RUN_TICK_SECONDS if moving else _IDLE_SECONDS if may_move else None, tick)
