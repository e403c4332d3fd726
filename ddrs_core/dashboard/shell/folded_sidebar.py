"""The sidebar starts folded away where the window is too narrow for it and a page side by side.

Streamlit itself does so only below 768 pixels.
"""

from __future__ import annotations

import streamlit as st

_JS = """
export default function () {
  if (window.__ddrsFolded || innerWidth > 900) return;
  const find = (tries) => {
    const fold = document.querySelector('[data-testid=stSidebarCollapseButton] button');
    if (fold?.getAttribute('aria-expanded') === 'true') fold.click();
    else if (tries) requestAnimationFrame(() => find(tries - 1));
  };
  window.__ddrsFolded = true;
  find(300);
}
"""
_KEY = "ddrs_hidden_sidebar"  # hidden by assets/style.css
_mount = st.components.v2.component(_KEY, js=_JS)


def fold_sidebar_where_narrow() -> None:
    """Fold the sidebar of a narrow window once; the visitor may open it again."""
    _mount(key=_KEY)
