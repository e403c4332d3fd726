"""The browser's history: one entry for each visit of a page, with the view as it was last.

Pages write their view into the URL. Streamlit makes an entry of the history for every change of
it, so that Back would undo them one by one, and never leave a page that rewrites its URL. And
it takes over the query of a page before the path of it, so that the view of the page that a
click on a link leaves would be lost.
"""

from __future__ import annotations

import streamlit as st

_JS = """
export default function () {
  if (window.__ddrsHistory) return;
  window.__ddrsHistory = true;
  const push = history.pushState.bind(history);
  let leaves = 0;  // until when the page is one that a link has left
  addEventListener('click', (event) => {
    const link = event.target.closest?.('[data-testid=stPageLink] a, [data-testid=stSidebarNav] a');
    const here = event.ctrlKey || event.metaKey || event.shiftKey ? null : link?.pathname;
    if (here) leaves = here === location.pathname ? 0 : Date.now() + 30000;
  }, true);
  addEventListener('popstate', () => { leaves = 0; });
  history.pushState = (state, title, url) => {
    if (new URL(url, location).pathname !== location.pathname) {
      leaves = 0; push(state, title, url);
    } else if (Date.now() > leaves) history.replaceState(state, title, url);
  };
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
