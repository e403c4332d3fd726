"""The question of a lesson: answers to choose, and why the chosen one is right or wrong."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ddrs_core.dashboard.learn.attendance import count_answer, show_answers
from ddrs_core.dashboard.learn.hidden import is_hidden
from ddrs_core.dashboard.learn.lesson import Lesson
from ddrs_core.dashboard.learn.view import LearnView
from ddrs_core.dashboard.shell import state_keys as keys


def show_question(lesson: Lesson, view: LearnView) -> None:
    """Draw the question; a checked answer is kept while other screens are shown."""
    question = lesson.question
    with st.container(key="learn_question"):
        st.markdown(question.text)
        if is_hidden(view, "question"):
            return
        checked = _checked().get(lesson.name)
        chosen = st.radio(
            "Answers",
            range(len(question.answers)),
            index=checked,
            format_func=lambda number: question.answers[number].text,
            label_visibility="collapsed",
            key=f"learn_choice_{lesson.name}",
        )
        st.button(
            "Check",
            key="learn_check",
            disabled=chosen is None,
            on_click=_check,
            args=(lesson.name, chosen, view),
        )
        if checked is not None and chosen == checked:
            answer = question.answers[checked]
            if answer.right:
                st.success(f"**Right.** {answer.explanation}", icon=":material/check_circle:")
            else:
                st.warning(f"**Not quite.** {answer.explanation}", icon=":material/lightbulb:")
        show_answers(view, lesson)


def _checked() -> dict[str, int]:
    answers: dict[str, int] = st.session_state.setdefault(keys.LEARN_ANSWERS, {})
    return answers


def _check(lesson: str, chosen: Any, view: LearnView) -> None:
    _checked()[lesson] = chosen
    count_answer(view, lesson, chosen)
