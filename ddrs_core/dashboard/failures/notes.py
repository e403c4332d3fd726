"""Notes on results and images, seen marks, and filters under a name; kept for this browser."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import streamlit as st

from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.failures.view import FORM, current_view, parse_query
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.runs.diagnose.images import ImageDiagnosis
from ddrs_core.store import AnnotationKind, open_store

_LONGEST = 500  # characters of a note


def show_filters_and_notes(findings: Findings) -> None:
    """Save the view under a name, go back to a saved one, and write a note on the results."""
    saved = open_store().annotations(visitor(), AnnotationKind.FILTER)
    with st.popover("Filters and notes", icon=":material/bookmark:"):
        name = st.text_input("Save this view as", key="failures_save_as", max_chars=80)
        st.button(
            "Save",
            icon=":material/bookmark_add:",
            disabled=not name,
            key="failures_save",
            on_click=_write,
            args=(AnnotationKind.FILTER, name, urlencode(current_view().to_query())),
        )
        for title, query in saved.items():
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    literal(title),
                    key=f"failures_open_{title}",
                    icon=":material/bookmark:",
                    on_click=_open,
                    args=(query,),
                )
                st.button(
                    "Remove",
                    key=f"failures_remove_{title}",
                    icon=":material/delete:",
                    on_click=_write,
                    args=(AnnotationKind.FILTER, title, ""),
                )
        _show_note("Note on these results", findings.results.id)


def show_marks(findings: Findings, image: ImageDiagnosis) -> None:
    """Whether the image was seen, and a note on it."""
    subject = _subject(findings, image)
    seen = subject in open_store().annotations(visitor(), AnnotationKind.SEEN)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            "Seen" if seen else "Mark as seen",
            icon=":material/check_circle:" if seen else ":material/circle:",
            key="failures_seen",
            on_click=_write,
            args=(AnnotationKind.SEEN, subject, "" if seen else "1"),
            help="Marks the image in the list; press again to take the mark away.",
        )
        _show_note("Note on this image", subject)


def seen_images(findings: Findings) -> set[int]:
    """The numbers of the images of these results that are marked as seen."""
    marked = open_store().annotations(visitor(), AnnotationKind.SEEN)
    start = f"{findings.results.id}|"
    return {int(s.removeprefix(start)) for s in marked if s.startswith(start)}


def _subject(findings: Findings, image: ImageDiagnosis) -> str:
    return f"{findings.results.id}|{image.index}"


def _show_note(label: str, subject: str) -> None:
    key = f"failures_note_{subject}"
    st.text_input(
        label,
        _notes().get(subject, ""),
        key=key,
        max_chars=_LONGEST,
        placeholder=label,
        label_visibility="collapsed",
        on_change=_write_note,
        args=(subject, key),
    )


def _notes() -> Mapping[str, str]:
    return open_store().annotations(visitor(), AnnotationKind.NOTE)


def _write_note(subject: str, key: str) -> None:
    _write(AnnotationKind.NOTE, subject, st.session_state[key])


def _write(kind: AnnotationKind, subject: str, text: str) -> None:
    try:
        open_store().annotate(visitor(), kind, subject, text)
    except DDRSError as error:
        st.session_state[keys.FAILURES_PROBLEMS] = [str(error)]


def _open(query: str) -> None:
    view, st.session_state[keys.FAILURES_PROBLEMS] = parse_query(dict(parse_qsl(query)))
    FORM.fill(vars(view))
