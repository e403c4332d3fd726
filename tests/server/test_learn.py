"""The course from its first screen to its last, with wrong and right answers to each question."""

from __future__ import annotations

import pytest

from ddrs_core.dashboard.learn.course import LESSONS
from tests.browser.conftest import Server
from tests.coroutines import run_in_thread
from tests.server.client import Tab, open_tab

pytestmark = pytest.mark.slow


async def answer(tab: Tab, text: str, verdict: str, why: str) -> None:
    await tab.enter("Answers", text)
    await tab.press("Check")
    assert [said for said in tab.alerts(verdict) if why.replace("\\", "")[:20] in said]


def test_every_question_explains_its_answers(server: Server) -> None:
    async def walk() -> None:
        tab = await open_tab(server.url, "learn", f"lesson={LESSONS[0].name}&step=1")
        for number, lesson in enumerate(LESSONS):
            assert tab.address["lesson"] == lesson.name
            for _ in lesson.steps:
                await tab.press("Next")
            answers, right = lesson.question.answers, lesson.question.right
            wrong = answers[0 if right else 1]
            await answer(tab, wrong.text, "Not quite.", wrong.explanation)
            await answer(tab, answers[right].text, "Right.", answers[right].explanation)
            await tab.press("Next")
            following = LESSONS[number + 1 : number + 2]
            await tab.press(
                f"Lesson {number + 2}: {following[0].title}" if following else "All lessons"
            )
            assert tab.errors == []
        assert "lesson" not in tab.address
        await tab.close()

    run_in_thread(walk())
