"""Values that one widget gives to another, such as the model that follows a data set.

A value that a callback puts into the session state can get lost: when the run of the script is
interrupted before it has drawn the other widget (a ticking fragment or an impatient visitor will
do), the next run begins with what the browser last knew. So every assignment is remembered and
made again until a run has come to its end.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

_PENDING = "pending_assignments"


def assign(key: str, value: Any) -> None:
    """Give a value to the widget of that key; to be called before it is drawn, or in a callback."""
    st.session_state.setdefault(_PENDING, {})[key] = value
    st.session_state[key] = value


def repeat_assignments() -> None:
    """At the beginning of a run: make the assignments again that no run has completed."""
    for key, value in st.session_state.get(_PENDING, {}).items():
        st.session_state[key] = value


def complete_assignments() -> None:
    """At the end of a run, which has shown the values to the browser."""
    st.session_state[_PENDING] = {}
