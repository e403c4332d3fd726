"""The bar below a screen: back, where one is, next; the keyboard does the same."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.components.render import component, with_symbols
from ddrs_core.dashboard.learn.course import number_of
from ddrs_core.dashboard.learn.view import LearnView, go_to

_mount = component("lesson_bar")


def show_bar(view: LearnView) -> None:
    """Draw the bar of a lesson's screen, or of the one on which a class joins."""
    lesson, following = view.opened, view.next()
    label = "Next"
    if following is not None and following.opened is not None and following.lesson != view.lesson:
        label = f"Lesson {number_of(following.lesson)}: {following.opened.title}"
    with st.container(key="learn_bar", horizontal=True, vertical_alignment="center"):
        if lesson is not None:
            _button("learn_back", "Back", ":material/arrow_back:", view.previous())
        _mount(
            key="learn_keys",
            data={
                "step": view.step,
                "length": lesson.length if lesson else 0,
                "question": len(lesson.steps) + 1 if lesson else 0,
                "note": str(with_symbols(lesson.note(view.step))) if lesson else "",
                "present": view.present,
            },
            on_leave_change=lambda: go_to(replace(view, present=False)),
        )
        if following is None:
            begin = replace(view, lesson="", step=1, present=view.present and bool(view.code))
            _button("learn_next", "All lessons", ":material/school:", begin)
        else:
            _button("learn_next", label, ":material/arrow_forward:", following)


def _button(key: str, label: str, icon: str, target: LearnView) -> None:
    first = key == "learn_next"
    st.button(
        label,
        key=key,
        icon=icon,
        icon_position="right" if first else "left",
        type="primary" if first else "secondary",
        on_click=go_to,
        args=(target,),
    )
