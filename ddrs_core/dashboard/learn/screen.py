"""One screen of a lesson: a step with the picture, the question, or what to take home."""

from __future__ import annotations

import streamlit as st

from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.learn.course import number_of
from ddrs_core.dashboard.learn.hidden import is_hidden
from ddrs_core.dashboard.learn.lesson import Lesson
from ddrs_core.dashboard.learn.question import show_question
from ddrs_core.dashboard.learn.view import LearnView
from ddrs_core.dashboard.navigation import all_pages


def show_screen(lesson: Lesson, view: LearnView) -> None:
    """Draw the screen at which the view is."""
    with st.container(key="learn_screen"):
        with st.container(key="learn_head"):
            st.title(f"{number_of(lesson.name)}. {lesson.title}", anchor=False)
        _show_content(lesson, view)


def _show_content(lesson: Lesson, view: LearnView) -> None:
    if view.step <= len(lesson.steps):
        step = lesson.steps[view.step - 1]
        with st.container(key="learn_text"):
            st.markdown(step.text)
        with st.container(key="learn_picture"):
            lesson.draw(step.scene)
    elif lesson.is_question(view.step):
        show_question(lesson, view)
    else:
        _show_end(lesson, view)


def _show_end(lesson: Lesson, view: LearnView) -> None:
    show_html("learn/take_home.html", text=lesson.take_home)
    if is_hidden(view, "real"):
        return
    pages = {page.url_path: page for page in all_pages()}
    with st.container(key="learn_real"):
        st.markdown("**Now on real images**")
        for real in lesson.real:
            page = pages[real.page]
            st.page_link(page, label=real.label, icon=page.icon, query_params=dict(real.query))
            st.markdown(real.text)
