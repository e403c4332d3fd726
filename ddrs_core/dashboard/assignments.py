"""Values that one widget gives to another, such as the model that follows a data set.

A value that a callback puts into the session state can get lost in three ways. When the run of the
script is interrupted before it has drawn the other widget (a ticking fragment or an impatient
visitor will do), the next run begins with what the browser last knew. When another run follows
before the browser has shown the widget, the widget comes with its own default, since only the
first run told the browser to take the value. And a visitor who changes the widget before the
browser has heard of the value sees the own choice overwritten when it does hear; the page knows
the choice, but the next press of any button sends the overwriting value. So every assignment is
remembered and made again until a run has come to its end, and for some seconds more every run
tells the browser what counts: the value, or what the visitor has made of it meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

_PENDING = "pending_assignments"
_RECENT = "recent_assignments"
_SHOWN_SECONDS = 5.0  # by then even a busy browser has shown what it was sent
_HEARD_SECONDS = 20.0  # by then nothing is on its way any more


@dataclass(frozen=True)
class _Told:
    """What the browser was told to take, since when, and when last."""

    value: Any
    since: float
    last: float


def assign(key: str, value: Any) -> None:
    """Give a value to the widget of that key; to be called before it is drawn, or in a callback."""
    st.session_state.setdefault(_PENDING, {})[key] = value
    st.session_state[key] = value


def repeat_assignments() -> None:
    """At the beginning of a run: make the assignments again that no run has completed, or that
    the browser may not have seen."""
    state, now = st.session_state, time.monotonic()
    recent: dict[str, _Told] = state.get(_RECENT, {})
    for key, told in list(recent.items()):
        if key not in state:
            continue
        if state[key] != told.value:  # the visitor's choice
            recent[key] = told = _Told(state[key], now, now)
        if now - told.since < _SHOWN_SECONDS:
            recent[key] = replace(told, last=now)
            state[key] = told.value
    for key, value in state.get(_PENDING, {}).items():
        state[key] = value


def complete_assignments() -> None:
    """At the end of a run, which has shown the values to the browser."""
    state, now = st.session_state, time.monotonic()
    recent: dict[str, _Told] = state.get(_RECENT, {})
    recent = {key: told for key, told in recent.items() if now - told.last < _HEARD_SECONDS}
    recent |= {key: _Told(value, now, now) for key, value in state.get(_PENDING, {}).items()}
    state[_RECENT], state[_PENDING] = recent, {}
