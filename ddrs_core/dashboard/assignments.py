"""Values that one widget gives to another, such as the model that follows a data set.

A value that a callback puts into the session state can get lost in three ways. When the run of the
script is interrupted before it has drawn the other widget (a ticking fragment or an impatient
visitor will do), the next run begins with what the browser last knew. When another run follows
before the browser has shown the widget, the widget comes with its own default, since only the
first run told the browser to take the value. And a visitor who changes the widget before the
browser has heard of the value sees the own choice overwritten when it does hear; the page knows
the choice, but the next press of any button sends the overwriting value. So every assignment is
remembered and made again until a run has come to its end, and repeated by runs that follow within
some seconds; and a visitor's choice that comes so soon after such a run that the browser may yet
hear of the value is told to it in turn. (Not later: a field whose arrows are clicked quickly would
jump back to what it was told.)
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

_PENDING = "pending_assignments"
_RECENT = "recent_assignments"
_BEGAN = "assignments_repeated"
_SHOWN_SECONDS = 5.0  # after an assignment even a busy browser has shown it
_HEARD_SECONDS = 3.0  # after a run that told a value the browser has heard of it


@dataclass(frozen=True)
class _Told:
    """What the browser was told to take; until when it is repeated, and when it was told last."""

    value: Any
    until: float
    last: float


def assign(key: str, value: Any) -> None:
    """Give a value to the widget of that key; to be called before it is drawn, or in a callback."""
    st.session_state.setdefault(_PENDING, {})[key] = value
    st.session_state[key] = value


def repeat_assignments() -> None:
    """At the beginning of a run: make the assignments again that no run has completed, or that
    the browser may not have seen."""
    state, now = st.session_state, time.monotonic()
    recent: dict[str, _Told] = state.setdefault(_RECENT, {})
    for key, told in list(recent.items()):
        value = state.get(key, told.value)
        heard, is_changed = now - told.last >= _HEARD_SECONDS, value != told.value
        if key in state and (not heard if is_changed else now < told.until):
            recent[key] = _Told(value, now if is_changed else told.until, now)
            state[key] = value
        elif heard or is_changed:
            del recent[key]
    for key, value in state.get(_PENDING, {}).items():
        state[key] = value
    state[_BEGAN] = now


def complete_assignments() -> None:
    """At the end of a run, which has shown the values to the browser."""
    state, now = st.session_state, time.monotonic()
    recent: dict[str, _Told] = state.setdefault(_RECENT, {})
    for key, told in recent.items():
        if told.last >= state[_BEGAN]:  # told in this run
            recent[key] = replace(told, last=now)
    for key, value in state.get(_PENDING, {}).items():
        recent[key] = _Told(value, now + _SHOWN_SECONDS, now)
    state[_PENDING] = {}
