"""The head of a page whose figures begin above the fold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

_STYLE = Path(__file__).with_suffix(".css")


@contextmanager
def compact_head(title: str) -> Iterator[None]:
    """The title of a page, and beside it what is drawn within the context.

    The style belongs to these pages only. One style sheet that asked of every page whether it has
    such a head (``:has``) would be looked through again whenever anything on a page changes.
    """
    st.html(_STYLE)
    with st.container(horizontal=True, vertical_alignment="center", key="ddrs_head"):
        st.title(title, anchor=False, width="content")
        yield
