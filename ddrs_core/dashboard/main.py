"""The page frame and the list of pages."""

from __future__ import annotations

import gc
from pathlib import Path

import streamlit as st

from ddrs_core.dashboard.style import apply_style

_ICON = Path(__file__).resolve().parents[2] / "assets" / "icon.svg"
_PAGES = Path(__file__).resolve().parents[2] / "pages"


@st.cache_resource(show_spinner=False)
def _freeze_imports() -> None:
    """Take what the heavy imports made out of the garbage collector's rounds, once."""
    gc.collect()
    gc.freeze()


def main() -> None:
    """Draw the frame and the page that was asked for."""
    st.set_page_config(
        page_title="Data-dependent randomized smoothing", page_icon=str(_ICON),
        layout="wide",
    )  # fmt: skip
    apply_style()
    _freeze_imports()
    page = st.navigation(
        [
            st.Page(_PAGES / "home.py", title="Home", icon=":material/home:", default=True),
            st.Page(_PAGES / "explorer.py", title="Explorer", icon=":material/explore:"),
        ]
    )
    page.run()


main()
