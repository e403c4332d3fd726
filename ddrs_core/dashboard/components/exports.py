"""Files that a page offers for download, and the commands that make the same results elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import streamlit as st

from ddrs_core.dashboard.components.section import show_when_open

_CODE_TITLES = {"bash": "The same from the command line:", "python": "The same in Python:"}


class Download(NamedTuple):
    """A file that a button offers."""

    label: str
    name: str  # of the file
    mime: str
    data: str | bytes | Callable[[], bytes]  # a function is called when a visitor asks for it
    disabled: bool = False


def show_download_buttons(files: Sequence[Download], key: str = "") -> None:
    """A button for each file; ``key`` distinguishes rows with files of the same names."""
    for number, file in enumerate(files):
        st.download_button(
            file.label,
            file.data,
            file.name,
            file.mime,
            key=f"download_{key}_{number}_{file.name}",
            icon=":material/download:",
            disabled=file.disabled,
            on_click="ignore",
        )


def show_exports(
    files: Mapping[str, Sequence[Download]], note: str, code: Mapping[str, str] | None = None
) -> None:
    """The section at the end of a page that exports what the page shows.

    Args:
        files: rows of files, by title; a title may be empty.
        note: what to know about them.
        code: commands that give the same results, by language; empty ones are left out.
    """

    def draw() -> None:
        for title, row in files.items():
            if title:
                st.markdown(f"**{title}**")
            with st.container(horizontal=True):
                show_download_buttons(row)
        st.caption(f"{note} Every figure has a camera in its corner that saves it as SVG.")
        for language, text in (code or {}).items():
            if text:
                st.markdown(_CODE_TITLES[language])
                st.code(text, language=language, wrap_lines=language == "bash")

    show_when_open("Export", draw, key="exports", icon=":material/download:")
