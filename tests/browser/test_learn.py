"""The lessons as a student meets them, and a class with its presenter."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from ddrs_core.dashboard.learn.course import LESSONS
from tests.browser.conftest import Server, at_rest, button, query_of, wait_until

_DRAWN = """() => [...document.querySelectorAll('.ddrs-lesson svg')].some((svg) =>
  svg.checkVisibility() && svg.childElementCount > 3)
  || [...document.querySelectorAll('.ddrs-lesson canvas')].some((canvas) => canvas.width > 8)"""
_SMALL = """() => [...document.querySelectorAll('[data-testid=stMain] *')].filter((e) =>
  e.checkVisibility({ visibilityProperty: true })
  && !e.closest('.katex, [data-testid=stIconMaterial]')
  && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())
  && parseFloat(getComputedStyle(e).fontSize) < 24).map((e) => e.outerHTML.slice(0, 80))"""


def answer(page: Page, number: int) -> None:
    page.locator("[role=radiogroup] label").nth(number).click()
    at_rest(page)
    button(page, "Check").click()


def test_a_student_takes_every_lesson(page: Page, browser: Browser, url: str) -> None:
    """Wrong, right, and the picture; then the link leads a fresh browser to the same place."""
    for number, lesson in enumerate(LESSONS, 1):
        question, asks = lesson.question, len(lesson.steps) + 1
        page.goto(f"{url}/learn?lesson={lesson.name}&step={asks}")
        title = page.get_by_role("heading", name=f"{number}. {lesson.title}", level=1)
        expect(title).to_be_visible()
        answer(page, 0 if question.right else 1)
        expect(page.get_by_text("Not quite.")).to_be_visible()
        answer(page, question.right)
        expect(page.get_by_text("Right.", exact=True)).to_be_visible()
        page.get_by_role("link", name=f"{number}. {lesson.title}").click()
        expect(page.locator(".ddrs-lesson").first).to_be_visible()
        wait_until(page, _DRAWN)
    page.keyboard.press("ArrowRight")
    wait_until(page, "() => location.search.includes('step=2')")
    fresh = browser.new_page()
    fresh.goto(page.url)
    expect(fresh.get_by_role("heading", name=LESSONS[-1].title, level=1)).to_be_visible()
    expect(fresh.get_by_role("img", name=f"Screen 2 of {LESSONS[-1].length}")).to_be_visible()
    fresh.close()


def test_a_class_answers_together(browser: Browser, server: Server) -> None:
    """One leads on a projector, another follows and answers; nothing is left at the end."""
    wide = browser.new_context(viewport={"width": 1920, "height": 1080}, reduced_motion="reduce")
    other = browser.new_context(reduced_motion="reduce")
    teacher, student = wide.new_page(), other.new_page()
    teacher.goto(f"{server.url}/learn")
    button(teacher, "Start a class").click()
    code = teacher.locator(".ddrs-join strong").inner_text()
    student.goto(f"{server.url}/learn")
    student.get_by_label("Code of your class").fill(code.lower())
    button(student, "Join").click()
    expect(teacher.locator(".ddrs-here-count")).to_have_text("1 student here")
    lesson = LESSONS[0]
    for screen in range(1, len(lesson.steps) + 2):
        teacher.keyboard.press("ArrowRight")
        place = teacher.get_by_role("img", name=f"Screen {screen} of {lesson.length}")
        expect(place).to_be_visible()
        at_rest(teacher)
        assert teacher.evaluate(_SMALL) == []
    note = teacher.get_by_text(lesson.question.note)
    expect(note).to_be_hidden()
    teacher.keyboard.press("n")
    expect(note).to_be_visible()
    expect(student.get_by_test_id("stRadio")).to_be_visible()  # it was led there
    answer(student, lesson.question.right)
    expect(teacher.locator(".ddrs-answers p")).to_have_text("1 of 1 student answered")
    expect(teacher.locator(".ddrs-answers b").nth(lesson.question.right)).to_have_text("1")
    teacher.keyboard.press("Escape")
    button(teacher, "End the class").click()
    expect(student.get_by_text("This class has ended.")).to_be_visible()
    assert "code" not in query_of(student)
    wide.close()
    other.close()
