"""A section that is closed at first; what it holds is made, and sent, once somebody opens it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def show_when_open(
    label: str, draw: Callable[[], object], *, key: str, icon: str | None = None
) -> None:
    """Draw the section.

    Args:
        label: its title.
        draw: draws what it holds. What shows code or a table of Streamlit's makes a browser load
            1.5 MB, which it need not do before.
        key: identity of the place on the page, and of whether it is open.
        icon: before the title.
    """
    section = st.expander(label, key=key, icon=icon, on_change="rerun")
    if section.open:
        with section:
            draw()
