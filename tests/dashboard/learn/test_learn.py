"""The Learn page: its lessons are complete, and its links lead to places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from streamlit.testing.v1 import AppTest

from ddrs_core.dashboard.compare.view import parse_query as compare_query
from ddrs_core.dashboard.explorer.link import parse_query as explorer_query
from ddrs_core.dashboard.failures.view import parse_query as failures_query
from ddrs_core.dashboard.learn.course import LESSONS
from ddrs_core.dashboard.learn.lesson import Lesson
from ddrs_core.dashboard.learn.sheet import ROUTES
from ddrs_core.dashboard.learn.view import PLAYGROUND, LearnView, parse_query
from ddrs_core.dashboard.memory.view import parse_query as memory_query
from tests.dashboard.widgets import open_page

ROOT = Path(__file__).resolve().parents[3]
READERS: dict[str, Any] = {
    "explorer": explorer_query,
    "compare": compare_query,
    "failures": failures_query,
    "memory": memory_query,
}
NAMES = [lesson.name for lesson in LESSONS]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))


@pytest.mark.parametrize("lesson", LESSONS, ids=NAMES)
def test_a_lesson_is_complete(lesson: Lesson) -> None:
    assert lesson.steps
    assert sum(answer.right for answer in lesson.question.answers) == 1
    assert all(answer.explanation for answer in lesson.question.answers)
    assert all(lesson.note(step) for step in range(1, lesson.length + 1))
    assert lesson.take_home.count(".") == 1  # one sentence
    assert lesson.real


PRESSED = re.compile(r"[Pp]ress \*((?:\\\*|[^*])+)\*")
DASHBOARD = ROOT / "ddrs_core" / "dashboard"


def offers(folder: Path, name: str) -> bool:
    """Whether the sources of a page name a button so."""
    quoted = re.compile(rf"[\">]{re.escape(name)}[\"<]")
    files = [path for end in ("py", "html", "js") for path in folder.rglob(f"*.{end}")]
    return any(quoted.search(path.read_text()) for path in files)


@pytest.mark.parametrize("lesson", LESSONS, ids=NAMES)
def test_the_buttons_that_a_lesson_names_are_there(lesson: Lesson) -> None:
    templates = DASHBOARD / "components" / "templates"
    said = [(templates / "learn", step.text) for step in lesson.steps]
    said += [(DASHBOARD / real.page, real.text) for real in lesson.real]
    for folder, text in said:
        named = PRESSED.findall(text)
        assert len(named) == text.lower().count("press ")  # each is set as a name
        for name in named:
            assert offers(folder, name.replace("\\", "")), (folder, name)


def test_the_buttons_that_the_guides_name_are_there() -> None:
    for guide in ("learn.md", "teaching.md"):
        text = (ROOT / "docs" / guide).read_text()
        for name in set(re.findall(r"(?<!\*)\*([A-Z][A-Za-z ]+)\*(?!\*)", text)) - {"Answer"}:
            assert offers(DASHBOARD, name), (guide, name)


@pytest.mark.parametrize("lesson", LESSONS, ids=NAMES)
def test_the_links_to_real_images_say_nothing_that_their_pages_do_not_know(lesson: Lesson) -> None:
    for real in lesson.real:
        _, problems = READERS[real.page](dict(real.query))
        assert problems == []


def test_next_walks_through_the_course_and_back_returns() -> None:
    view, way = LearnView(), [LearnView()]
    while (view := view.next() or LearnView()).lesson:
        assert parse_query(view.to_query()) == (view, [])
        way.append(view)
    assert len(way) == 1 + sum(lesson.length for lesson in LESSONS)
    back = [way[-1]]
    while back[-1].lesson:
        back.append(back[-1].previous())
    assert back == way[::-1]


def test_a_link_is_not_trusted() -> None:
    view, problems = parse_query({"lesson": "../x", "step": "1e9", "hide": "a{}b", "present": "1"})
    assert view == LearnView(lesson=NAMES[0], present=True)
    assert len(problems) == 3
    view, _ = parse_query({"lesson": NAMES[0], "step": "99"})
    assert view.step == LESSONS[0].length  # the last there is


def test_a_state_of_the_playground_is_not_trusted_either() -> None:
    state = "data=bands&noise=0.02&sigma=0.1&bank=00ff8080"
    view = LearnView(lesson=PLAYGROUND, play=state)
    assert parse_query(view.to_query()) == (view, [])
    for bad in ("data=lions", "own=1", "sigma=nan", "x=2", "y=a", "bank=00f", "bank=00FF"):
        view, problems = parse_query({"lesson": PLAYGROUND, "play": bad})
        assert view == LearnView(lesson=PLAYGROUND)
        assert len(problems) == 1


def test_an_answer_is_checked_and_explained(app: AppTest) -> None:
    lesson = LESSONS[0]
    question = lesson.question
    open_page(app, "learn", lesson=lesson.name, step=str(len(lesson.steps) + 1))
    assert app.title[0].value == f"1. {lesson.title}"
    wrong = next(i for i in range(len(question.answers)) if i != question.right)
    app.radio[0].set_value(wrong).run()
    assert not app.warning
    app.button(key="learn_check").click().run()
    assert question.answers[wrong].explanation in app.warning[0].value
    app.radio[0].set_value(question.right).run()
    assert not app.warning
    app.button(key="learn_check").click().run()
    assert question.answers[question.right].explanation in app.success[0].value
    app.button(key="learn_next").click().run()
    app.button(key="learn_back").click().run()
    assert question.answers[question.right].explanation in app.success[0].value  # it is kept
    assert not app.exception


def test_the_teachers_sheet_has_every_lesson_with_its_answer() -> None:
    sheet = (ROOT / "docs" / "teaching.md").read_text()
    for number, lesson in enumerate(LESSONS, 1):
        right = lesson.question.answers[lesson.question.right].text
        assert f"| {number} | {right} |" in sheet
        assert f"{number} {lesson.title}" in sheet


def test_the_sheet_to_print_is_whole() -> None:
    page = ROUTES[0].endpoint(Request({"type": "http"})).body.decode()
    text = (ROOT / "docs" / "teaching.md").read_text()
    assert page.count("<h2>") == text.count("\n## ")
    assert page.count("<tr>") == sum(line.startswith("| ") for line in text.splitlines())
    assert page.count("<pre>") == text.count("```") / 2
    assert "href" not in page


def test_a_link_hides_what_it_names(app: AppTest) -> None:
    lesson = LESSONS[0]
    hidden = {"hide": "question,lessons", "lesson": lesson.name}
    open_page(app, "learn", step=str(len(lesson.steps) + 1), **hidden)
    assert not app.radio
    assert not any(button.key == "learn_present" for button in app.button)  # it is for students
    assert app.query_params["hide"] in ("question,lessons", ["question,lessons"])
    styles = " ".join(part.proto.body for part in app.get("html"))
    assert '[data-control~="question"]' in styles
