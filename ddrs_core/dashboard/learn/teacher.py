"""For the teacher: the presenter's screen, and links for a class."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from ddrs_core.dashboard.components.board import address_of
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.learn.attendance import start_class
from ddrs_core.dashboard.learn.classroom import CLASSROOMS
from ddrs_core.dashboard.learn.course import LESSONS, number_of
from ddrs_core.dashboard.learn.hidden import HIDEABLE
from ddrs_core.dashboard.learn.server_address import class_address
from ddrs_core.dashboard.learn.sheet import SHEET_ROUTE
from ddrs_core.dashboard.learn.view import LearnView, go_to

_HIDE = "learn_hide"


def show_teacher(view: LearnView) -> None:
    """Draw the buttons; in a lesson they mean the place that is shown."""
    st.button(
        "Present",
        key="learn_present",
        icon=":material/slideshow:",
        help="Large type, one thing on the screen. Arrow keys go on and back, n shows a note for "
        "you, Esc ends it.",
        on_click=go_to,
        args=(replace(view, present=True, lesson=view.lesson or LESSONS[0].name),),
    )
    with st.popover("Class link", icon=":material/share:"):
        _show_link(view)
    if not view.code and view.opened is None:
        st.button(
            "Start a class",
            key="learn_class",
            icon=":material/groups:",
            help="Students join with a code or a QR code. Their answers are counted without names "
            "and shown to you live, until you end the class.",
            on_click=start_class,
        )
        st.link_button("Sheet to print", address_of(SHEET_ROUTE), icon=":material/print:")


def show_join_form(view: LearnView) -> None:
    """Where a student enters the code of a class."""
    if view.code:
        return
    form, row = st.form("learn_join", border=False), st.container
    with form, row(horizontal=True, vertical_alignment="bottom"):
        code = st.text_input("Code of your class", max_chars=4, width=200)
        joined = st.form_submit_button("Join", icon=":material/login:")
    if joined and CLASSROOMS.is_open(code.strip().upper()):
        go_to(replace(view, code=code.strip().upper()))
        st.rerun()
    elif joined:
        st.warning("There is no class with this code now.")


def _show_link(view: LearnView) -> None:
    hidden = st.multiselect(
        "Hide from the class", list(HIDEABLE), format_func=HIDEABLE.__getitem__, key=_HIDE
    )
    shared = replace(view, hide=",".join(hidden), present=False)
    query = urlencode(shared.to_query(), safe=",")
    st.code(f"{class_address()}{'?' if query else ''}{query}", language=None, wrap_lines=True)
    place = (
        f"lesson {number_of(view.lesson)}, this screen" if view.lesson else "the list of lessons"
    )
    show_html(
        "note.html",
        text=f"It opens {place}. Everybody who opens it has a copy of their own to play with.",
    )
