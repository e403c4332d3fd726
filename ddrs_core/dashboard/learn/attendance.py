"""The class together, as its presenter and its students see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.learn.classroom import CLASSROOMS, Place
from ddrs_core.dashboard.learn.lesson import Lesson
from ddrs_core.dashboard.learn.server_address import answers_to_others, class_address
from ddrs_core.dashboard.learn.view import LearnView, current_view, go_to
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.polling import draw_every, redraw
from ddrs_core.dashboard.shell.visitor import visitor

_TICK_SECONDS = 1.5
_LEVEL = "level"  # a topic of choice, beside the questions
_ENDED = "This class has ended. Go on at your own pace."


def enter_class(view: LearnView) -> LearnView:
    """Take part in the class that the view names: the presenter leads, students may follow.

    Returns:
        The view to draw, which is without class where that has ended.
    """
    if not view.code:
        return view
    if not CLASSROOMS.is_open(view.code):
        left = replace(view, code="", present=False)
        go_to(left)
        st.info(_ENDED)
        return left
    if is_presenter(view):
        CLASSROOMS.move(view.code, Place(view.lesson, view.step))
    return view


def is_presenter(view: LearnView) -> bool:
    """Whether this visitor leads the class."""
    return bool(view.code) and CLASSROOMS.presents(view.code, visitor())


def show_class(view: LearnView) -> None:
    """The class in the sidebar; a presenter's screen has none."""
    if not view.code:
        return
    st.markdown(f"**Class {view.code}**")
    if is_presenter(view):
        _show_here(view)
        _show_end(view)
        return
    st.toggle("Follow the teacher", value=True, key=keys.LEARN_FOLLOW)
    st.button("Leave", icon=":material/logout:", on_click=go_to, args=(replace(view, code=""),))
    me = visitor()
    draw_every(_TICK_SECONDS, lambda: _attend(view.code, me))


def _attend(code: str, student: str) -> None:
    place, here, state = CLASSROOMS.attend(code, student), current_view(), st.session_state
    if place is None:
        redraw()
    if not state.get(keys.LEARN_FOLLOW) or place == state.get(keys.LEARN_FOLLOWED):
        return
    state[keys.LEARN_FOLLOWED] = place
    if place.lesson and place != Place(here.lesson, here.step):
        go_to(replace(here, lesson=place.lesson, step=place.step))
        redraw()


def show_join(view: LearnView) -> None:
    """The presenter's first screen: how to join."""
    address = f"{class_address()}?{urlencode({'code': view.code})}"
    with st.container(key="learn_screen"), st.container(key="learn_head"):
        st.title("Join the class", anchor=False)
        show_html(
            "learn/join.html",
            address=address,
            plain=class_address(),
            code=view.code,
            qr=_qr(address),
        )
        if not answers_to_others():
            st.warning(
                "This server answers to this machine only. Start it with --address 0.0.0.0 to let "
                "others join."
            )
        _show_here(view)
        _show_end(view)


def start_class() -> None:
    """Begin a class with this visitor as its presenter."""
    view = current_view()
    go_to(LearnView(present=True, hide=view.hide, code=CLASSROOMS.open(visitor())))


def _end_class(view: LearnView) -> None:
    CLASSROOMS.end(view.code)
    go_to(replace(view, code="", present=False))


def count_answer(view: LearnView, lesson: str, choice: int) -> None:
    """Count an answer in the class, if the visitor takes part in one as a student."""
    if view.code and not is_presenter(view):
        CLASSROOMS.choose(view.code, visitor(), f"question:{lesson}", choice)


def count_level(view: LearnView, level: int) -> None:
    """Count the noise level that a student would choose for all, by its number."""
    if view.code and not is_presenter(view):
        CLASSROOMS.choose(view.code, visitor(), _LEVEL, level)


def draw_with_levels(
    view: LearnView, levels: int, draw: Callable[[list[int] | None], None]
) -> None:
    """Draw with the counts of each noise level so far, live, for the presenter of a class;
    with None for everybody else."""
    if is_presenter(view):
        draw_every(_TICK_SECONDS, lambda: draw(CLASSROOMS.counts(view.code, _LEVEL, levels)))
    else:
        draw(None)


def show_answers(view: LearnView, lesson: Lesson) -> None:
    """The answers of the class so far, for the presenter, live."""
    if not is_presenter(view):
        return
    texts = [answer.text for answer in lesson.question.answers]

    def draw() -> None:
        counts = CLASSROOMS.counts(view.code, f"question:{lesson.name}", len(texts))
        show_html(
            "learn/answers.html",
            rows=[
                {"text": text, "count": count, "width": f"{count / max(1, *counts):.1%}"}
                for text, count in zip(texts, counts, strict=True)
            ],
            total=sum(counts),
            here=CLASSROOMS.here(view.code),
        )

    draw_every(_TICK_SECONDS, draw)


def _show_end(view: LearnView) -> None:
    st.button(
        "End the class",
        key="learn_end",
        icon=":material/stop_circle:",
        help="For everybody; what was counted is forgotten.",
        on_click=_end_class,
        args=(view,),
    )


def _show_here(view: LearnView) -> None:
    draw_every(
        _TICK_SECONDS,
        lambda: show_html("learn/here.html", here=CLASSROOMS.here(view.code)),
    )


def _qr(address: str) -> str:
    """A QR code as a data URI."""
    import segno

    found: str = segno.make(address, error="m").svg_data_uri(
        scale=10, border=2, dark="#080b0f", light="#ffffff"
    )
    return found
