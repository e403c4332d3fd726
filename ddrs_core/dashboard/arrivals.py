"""Whether somebody has just come to a page: its widgets then take their values anew.

That a widget has no value in the session does not tell: after Back and Forward the session may
still have those of an earlier visit, which the browser has forgotten and shows as empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

_PAGE = "page_shown"
_ENTERED = "parts_entered"


def note_page(path: str) -> None:
    """At the beginning of every run: which page is drawn, by its path."""
    state = st.session_state
    if state.get(_PAGE) != path:
        state[_ENTERED] = set()
        state[_PAGE] = path


@contextmanager
def arriving(key: str) -> Iterator[bool]:
    """Fill the widgets of a part of a page in this block, if it says so.

    Args:
        key: of a widget that is always drawn in this part.

    Yields:
        Whether this is the first time since the page was come to, or the widget has no value. A
        block that is cut short has not been.
    """
    entered: set[str] = st.session_state.setdefault(_ENTERED, set())
    yield key not in entered or key not in st.session_state
    entered.add(key)
