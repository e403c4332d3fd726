"""The list of pages: a new page is one file in ``pages/`` and one line here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.navigation.page import StreamlitPage

_PAGES = Path(__file__).resolve().parents[2] / "pages"


def home_page() -> StreamlitPage:
    """What this is for and what is available."""
    return st.Page(_PAGES / "home.py", title="Home", icon=":material/home:", default=True)


def explorer_page() -> StreamlitPage:
    """Watch one image."""
    return st.Page(_PAGES / "explorer.py", title="Explorer", icon=":material/explore:")


def link_to_explorer(label: str, place: Any = st, **query: str) -> None:
    """A link that opens the explorer with these choices; it names the bound, as every link must
    (see :func:`~ddrs_core.dashboard.explorer.link.parse_query`)."""
    from ddrs_core.smoothing import Bound  # imports torch

    query = {"bound": Bound.TWO_SIDED.value, **query}
    place.page_link(explorer_page(), label=label, icon=":material/explore:", query_params=query)


def training_page() -> StreamlitPage:
    """Train a model and watch it learn."""
    return st.Page(_PAGES / "training.py", title="Training", icon=":material/model_training:")


def compare_page() -> StreamlitPage:
    """Certify data sets, and compare what came out."""
    return st.Page(_PAGES / "compare.py", title="Certify & compare", icon=":material/monitoring:")


def failures_page() -> StreamlitPage:
    """Why images are not certified, and what would help."""
    return st.Page(_PAGES / "failures.py", title="Failures", icon=":material/troubleshoot:")


def link_to_failures(label: str, place: Any = st, **query: str) -> None:
    """A link that opens the failures page with these choices."""
    place.page_link(
        failures_page(), label=label, icon=":material/troubleshoot:", query_params=query
    )


def memory_page() -> StreamlitPage:
    """Look into the memory bank, settle images against it, and see balls meet."""
    return st.Page(_PAGES / "memory.py", title="Memory", icon=":material/bubble_chart:")


def learn_page() -> StreamlitPage:
    """Randomized smoothing in class, lesson by lesson."""
    return st.Page(_PAGES / "learn.py", title="Learn", icon=":material/school:")


def library_page() -> StreamlitPage:
    """Data sets and models: what is available, and adding more."""
    return st.Page(_PAGES / "library.py", title="Library", icon=":material/library_books:")


def link_to_library() -> None:
    """A link to where data sets and models are added."""
    st.page_link(library_page(), label="Add data or models", icon=":material/library_add:")


def all_pages() -> list[StreamlitPage]:
    """Every page, in the order of the menu."""
    return [
        home_page(),
        learn_page(),
        explorer_page(),
        compare_page(),
        failures_page(),
        memory_page(),
        training_page(),
        library_page(),
    ]
