"""Whether a page is drawn for the first time since somebody came to it: its link then counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

_PAGE = "page_shown"
_ENTERED = "parts_entered"
_VISITED = "parts_visited"


def note_page(path: str) -> None:
    """At the beginning of every run: which page is drawn, by its path."""
    state = st.session_state
    if state.get(_PAGE) != path:
        state[_ENTERED] = set()
        state[_PAGE] = path


@contextmanager
def is_first_render(part: str) -> Iterator[bool]:
    """Read the link of a part of a page in this block, if it says so.

    Args:
        part: of the page, any name.

    Yields:
        Whether this part has not been drawn since the page was come to. A block that is cut short
        has not been.
    """
    yield from _first(_ENTERED, part)


@contextmanager
def is_first_visit(part: str) -> Iterator[bool]:
    """As :func:`is_first_render`, once a session: fill a form without a link of its own."""
    yield from _first(_VISITED, part)


def _first(which: str, part: str) -> Iterator[bool]:
    seen: set[str] = st.session_state.setdefault(which, set())
    yield part not in seen
    seen.add(part)
