"""The list of lessons, at the side and as the page's first screen."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.components.chips import Chip, show_chips
from ddrs_core.dashboard.components.render import show_lead
from ddrs_core.dashboard.learn.attendance import is_presenter
from ddrs_core.dashboard.learn.course import LESSONS
from ddrs_core.dashboard.learn.hidden import is_hidden
from ddrs_core.dashboard.learn.teacher import show_join_form, show_teacher
from ddrs_core.dashboard.learn.view import PLAYGROUND, LearnView, open_lesson

_OPEN = "Points of your own, networks, noise levels and a memory in the plane, all open."


def show_contents(view: LearnView) -> None:
    """All lessons, in the sidebar."""
    if not view.lesson or is_hidden(view, "lessons"):
        return
    with st.container(key="learn_contents"):
        chips = [Chip("", "All lessons", "", "learn")]
        chips += [_chip(i, lesson.idea, lesson.title) for i, lesson in enumerate(LESSONS)]
        chips += [Chip(PLAYGROUND, "Playground", _OPEN, f"learn?lesson={PLAYGROUND}")]
        show_chips("Lessons", chips, view.lesson, key="learn_list", on_pick=open_lesson)
    student = view.code and not is_presenter(view)
    if view.opened is not None and not view.hide and not student:  # a link for a class hides some
        with st.container(horizontal=True, key="learn_teacher_aside"):
            show_teacher(view)


def show_overview(view: LearnView) -> None:
    """What the course is, and its lessons with what each is about."""
    st.title("Learn randomized smoothing", anchor=False)
    show_lead(
        "What a certificate is, what it rests on, and why one noise level does not fit all. "
        "About five minutes a lesson: a picture that moves, a question, a sentence to take home. "
        "Take them in order, or open any."
    )
    with st.container(key="learn_course"):
        chips = [_chip(i, "", f"{lesson.title}\n{lesson.idea}") for i, lesson in enumerate(LESSONS)]
        chips += [Chip(PLAYGROUND, f"Playground\n{_OPEN}", "", f"learn?lesson={PLAYGROUND}")]
        show_chips("The course", chips, "", key="learn_overview", on_pick=open_lesson)
    show_join_form(view)
    if not view.hide and not view.code:
        st.subheader("For the teacher", divider="gray", anchor=False)
        with st.container(horizontal=True, key="learn_teacher"):
            show_teacher(view)


def _chip(place: int, tip: str, text: str) -> Chip:
    name = LESSONS[place].name
    return Chip(name, f"{place + 1}. {text}", tip, f"learn?lesson={name}")
