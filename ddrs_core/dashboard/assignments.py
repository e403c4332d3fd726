"""Values that one widget gives to another, such as the model that follows a data set.

A value that a callback puts into the session state can get lost in two ways. When the run of the
script is interrupted before it has drawn the other widget (a ticking fragment or an impatient
visitor will do), the next run begins with what the browser last knew. And when another run follows
before the browser has shown the widget, the widget comes with its own default, since only the
first run told the browser to take the value. So every assignment is remembered and made again
until a run has come to its end; for some seconds more it is repeated where nobody has changed the
value meanwhile.
"""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

_PENDING = "pending_assignments"
_RECENT = "recent_assignments"
_RECENT_SECONDS = 5.0  # by then even a busy browser has shown what it was sent


def assign(key: str, value: Any) -> None:
    """Give a value to the widget of that key; to be called before it is drawn, or in a callback."""
    st.session_state.setdefault(_PENDING, {})[key] = value
    st.session_state[key] = value


def repeat_assignments() -> None:
    """At the beginning of a run: make the assignments again that no run has completed, or that
    the browser may not have seen."""
    state = st.session_state
    for key, (value, made) in state.get(_RECENT, {}).items():
        fresh = time.monotonic() - made < _RECENT_SECONDS
        if fresh and key in state and state[key] == value:
            state[key] = value
    for key, value in state.get(_PENDING, {}).items():
        state[key] = value


def complete_assignments() -> None:
    """At the end of a run, which has shown the values to the browser."""
    state = st.session_state
    now = time.monotonic()
    recent = {k: v for k, v in state.get(_RECENT, {}).items() if now - v[1] < _RECENT_SECONDS}
    recent |= {key: (value, now) for key, value in state.get(_PENDING, {}).items()}
    state[_RECENT], state[_PENDING] = recent, {}
