"""The few style rules that Streamlit's theme cannot express."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_STYLE = Path(__file__).resolve().parents[2] / "assets" / "style.css"


def apply_style() -> None:
    """Put ``assets/style.css`` on the page."""
    st.html(_STYLE)
