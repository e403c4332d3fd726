"""The browser's history: one entry for each visit of a page, with the view as it was last.

Pages write their view into the URL. Streamlit makes an entry of the history for every change of
it, so that Back would undo them one by one, and never leave a page that rewrites its URL.
"""

from __future__ import annotations

import streamlit as st

_JS = """
export default function () {
  if (window.__ddrsHistory) return;
  window.__ddrsHistory = true;
  const push = history.pushState.bind(history);
  history.pushState = (state, title, url) =>
    new URL(url, location).pathname === location.pathname
      ? history.replaceState(state, title, url) : push(state, title, url);
}
"""
_KEY = "ddrs_history"  # hidden by assets/style.css
_mount = st.components.v2.component(_KEY, js=_JS)


def set_query(wanted: dict[str, str]) -> None:
    """Let the URL have these query parameters."""
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)


def keep_one_entry_a_page() -> None:
    """Let changes of the URL within a page replace its entry in the history."""
    _mount(key=_KEY)
