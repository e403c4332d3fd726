"""Errors as a person at the page sees them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

import streamlit as st

from ddrs_core.errors import DDRSError

_LOG = logging.getLogger(__name__)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$:&-])")
_LINES = re.compile(r"\s*[\n\r]\s*")


def literal(text: str) -> str:
    """Text that Streamlit's Markdown shows as it is: file names and the like are no markup, and
    a line end inside a name begins no paragraph."""
    return _MARKDOWN.sub(r"\\\1", _LINES.sub(" ", text))


def show_error(error: DDRSError) -> None:
    """Show an error whose message is meant for the user."""
    st.error(literal(str(error)), icon=":material/error:")


def show_problems(problems: Iterable[str]) -> None:
    """Show why a link, or something that was asked for, could not be followed."""
    for problem in problems:
        st.warning(literal(problem), icon=":material/link_off:")


def show_unexpected_error(error: Exception) -> bool:
    """Show an uncaught exception as a sentence; the traceback goes to the server's log."""
    if isinstance(error, DDRSError):
        show_error(error)
        return True
    _LOG.error("the page failed", exc_info=error)
    st.error(
        "This page met an error that it did not expect. Reload it; if that does not help, the "
        f"server's log says more ({type(error).__name__}).",
        icon=":material/error:",
    )
    return True
