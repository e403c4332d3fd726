"""The bar below a screen: back, where one is, next; the keyboard does the same."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from ddrs_core.dashboard.components.render import component
from ddrs_core.dashboard.learn.course import number_of
from ddrs_core.dashboard.learn.lesson import Lesson
from ddrs_core.dashboard.learn.view import LearnView, go_to

_mount = component("lesson_bar")


def show_bar(lesson: Lesson, view: LearnView) -> None:
    """Draw the bar."""
    following = view.next()
    label = "Next"
    if following is not None and following.opened is not None and following.lesson != view.lesson:
        label = f"Lesson {number_of(following.lesson)}: {following.opened.title}"
    with st.container(key="learn_bar", horizontal=True, vertical_alignment="center"):
        _button("learn_back", "Back", ":material/arrow_back:", view.previous())
        _mount(
            key="learn_keys",
            data={
                "step": view.step,
                "length": lesson.length,
                "question": len(lesson.steps) + 1,
                "note": lesson.note(view.step),
                "present": view.present,
            },
            on_leave_change=lambda: go_to(replace(view, present=False)),
        )
        if following is None:
            _button("learn_next", "All lessons", ":material/school:", LearnView(hide=view.hide))
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
