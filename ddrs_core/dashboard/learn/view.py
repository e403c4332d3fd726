"""What the Learn page shows, on its way between the link and the session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl

import streamlit as st

from ddrs_core.dashboard.common.link_view import read_view
from ddrs_core.dashboard.learn.course import LESSONS, number_of
from ddrs_core.dashboard.learn.lesson import Lesson
from ddrs_core.dashboard.learn.worlds import parse_problem
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.browser_history import set_query
from ddrs_core.dashboard.shell.widget_state import fill_on_arrival

PLAYGROUND = "playground"  # in the place of a lesson's name
_LONGEST = 2_000  # characters of a value in a link
_ARRIVALS = re.compile(r"([0-9a-f]{4}){0,120}")  # places, two digits for x and two for y
_CODE = re.compile(r"[A-Za-z]{4}")
_NAMES = re.compile(r"[a-z]+(-[a-z]+)*(,[a-z]+(-[a-z]+)*)*")


@dataclass(frozen=True)
class LearnView:
    """A place in the course; it opens on the list of lessons."""

    lesson: str = ""  # "": the list of lessons
    step: int = 1
    present: bool = False
    hide: str = ""  # names of controls, with commas
    play: str = ""  # state of the playground, as query parameters
    code: str = ""  # of a class

    @property
    def opened(self) -> Lesson | None:
        """The lesson, None for the list and for the playground."""
        number = number_of(self.lesson)
        return LESSONS[number - 1] if number else None

    def next(self) -> LearnView | None:
        """The place after this one; None at the end of the course."""
        lesson = self.opened
        if lesson is not None and self.step < lesson.length:
            return replace(self, step=self.step + 1)
        following = LESSONS[number_of(self.lesson) :]
        return replace(self, lesson=following[0].name, step=1) if following else None

    def previous(self) -> LearnView:
        """The place before this one; before the first lesson is the list."""
        if self.step > 1:
            return replace(self, step=self.step - 1)
        place = number_of(self.lesson) - 1
        if place < 1:
            return replace(self, lesson="", step=1)
        before = LESSONS[place - 1]
        return replace(self, lesson=before.name, step=before.length)

    def to_query(self) -> dict[str, str]:
        """The view as query parameters: what differs from where it opens."""
        usual = LearnView()
        return {
            field.name: _text(getattr(self, field.name))
            for field in fields(self)
            if getattr(self, field.name) != getattr(usual, field.name)
        }


def parse_query(query: Mapping[str, str]) -> tuple[LearnView, list[str]]:
    """Read a view from query parameters, which may come from anywhere.

    Returns:
        A view of what there is, and a sentence for everything that could not be used.
    """
    view, problems = read_view(LearnView(), query, _READERS, _LONGEST)
    if view.present and not view.lesson and not view.code:
        view = replace(view, lesson=LESSONS[0].name)
    last = view.opened.length if view.opened else 1
    return replace(view, step=min(view.step, last)), problems


def enter_learn() -> None:
    """Go to the place of a link, or to where the visitor was."""
    fill_on_arrival("learn", _arrive)


def _arrive() -> None:
    query = st.query_params.to_dict()
    if query or keys.LEARN_VIEW not in st.session_state:
        view, problems = parse_query(query)
        st.session_state[keys.LEARN_PROBLEMS] = problems
        st.session_state[keys.LEARN_VIEW] = view


def current_view() -> LearnView:
    """Where the visitor is."""
    view: LearnView = st.session_state[keys.LEARN_VIEW]
    return view


def go_to(view: LearnView) -> None:
    """Go to another place; called before the page is drawn."""
    st.session_state[keys.LEARN_VIEW] = view
    st.session_state[keys.LEARN_PROBLEMS] = []


def open_lesson(name: str) -> None:
    """Go to the beginning of a lesson, or to the list (``""``)."""
    go_to(replace(current_view(), lesson=name, step=1))


def write_url() -> None:
    """Let the link restore this place."""
    set_query(current_view().to_query())


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _lesson(text: str) -> str:
    if not number_of(text) and text != PLAYGROUND:
        raise ValueError
    return text


def _step(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 99:
        raise ValueError
    return number


def _hidden(text: str) -> str:
    if not _NAMES.fullmatch(text):
        raise ValueError
    return text


def _play(text: str) -> str:
    query = dict(parse_qsl(text))
    parse_problem(query)
    for name in ("sigma", "x", "y"):
        if not 0.0 <= float(query.get(name, 0.0)) <= 1.0:
            raise ValueError
    if not _ARRIVALS.fullmatch(query.get("bank", "")):
        raise ValueError
    return text


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise ValueError
    return text.upper()


_READERS: dict[str, Any] = {
    "lesson": _lesson,
    "step": _step,
    "present": lambda text: text == "1",
    "hide": _hidden,
    "play": _play,
    "code": _code,
}
