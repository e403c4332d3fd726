"""Drawing a page again from its start."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st


def redraw() -> NoReturn:
    """As ``st.rerun()``, which forgets that somebody has meanwhile gone to another page: touching
    the session's state first gives way to what waits."""
    _ = "anything" in st.session_state
    st.rerun()
