"""The page frame."""

from __future__ import annotations

import atexit
import gc
from pathlib import Path

import streamlit as st

from ddrs_core.dashboard.common.glossary import show_glossary
from ddrs_core.dashboard.navigation import all_pages
from ddrs_core.dashboard.shell.browser_history import keep_one_entry_a_page
from ddrs_core.dashboard.shell.folded_sidebar import fold_sidebar_where_narrow
from ddrs_core.dashboard.shell.polling import send_heartbeats
from ddrs_core.dashboard.shell.visitor import NO_COOKIE, has_cookie
from ddrs_core.dashboard.shell.widget_state import begin_run

_ASSETS = Path(__file__).resolve().parents[2] / "assets"


@st.cache_resource(show_spinner=False)
def _freeze_imports() -> None:
    """Take what the heavy imports made out of the garbage collector's rounds, once."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # else native modules report what is frozen as leaked


def main() -> None:
    """Draw the frame and the page that was asked for."""
    st.set_page_config(
        page_title="Data-dependent randomized smoothing",
        page_icon=str(_ASSETS / "icon.svg"),
        layout="wide",
    )
    st.html(_ASSETS / "style.css")
    keep_one_entry_a_page()
    fold_sidebar_where_narrow()
    send_heartbeats()
    _freeze_imports()
    page = st.navigation(all_pages())
    begin_run(page.url_path)
    if not has_cookie():
        st.info(NO_COOKIE, icon=":material/cookie_off:")
    page.run()
    show_glossary()


main()
