"""The lessons as a student meets them, and a class with its presenter."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from ddrs_core.dashboard.learn.course import LESSONS
from ddrs_core.dashboard.learn.lesson import Lesson, Question
from ddrs_core.dashboard.learn.worlds import BANDS, ISLANDS
from ddrs_core.smoothing import ABSTAIN
from ddrs_core.smoothing.memory.arrival_order import Distances, KnownPointsMemory
from ddrs_core.smoothing.plane import ASCENT, as_images, build_world, worst_case_mass
from ddrs_core.smoothing.sigma.soft_radius import soft_radius_of
from tests.browser.conftest import Server, at_rest, button, wait_until

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


def answer_wrong_and_right(page: Page, question: Question) -> None:
    wrong = 0 if question.right else 1
    for number, verdict in ((wrong, "Not quite."), (question.right, "Right.")):
        answer(page, number)
        alert = page.get_by_test_id("stAlert").filter(has_text=verdict)
        expect(alert).to_be_visible()
        start = re.split(r"[$*\\]", question.answers[number].explanation)[0][:30]
        assert start in alert.inner_text()


@pytest.mark.parametrize("part", [LESSONS[:5], LESSONS[5:]], ids=["first", "last"])
def test_a_student_takes_every_lesson(
    page: Page, browser: Browser, url: str, part: tuple[Lesson, ...]
) -> None:
    """Every picture and every question; then the link leads a fresh browser to the same place."""
    page.goto(f"{url}/learn?lesson={part[0].name}")
    for number, lesson in enumerate(LESSONS, 1):
        if lesson not in part:
            continue
        page.get_by_role("link", name=f"{number}. {lesson.title}").click()
        title = page.get_by_role("heading", name=f"{number}. {lesson.title}", level=1)
        expect(title).to_be_visible()
        at_rest(page)  # until then the lesson before is there too
        wait_until(page, _DRAWN)
        if number == 1:  # nothing is told before it has been found
            said, size = page.locator("[data-part=said]"), page.locator("[name=size]")
            expect(said).to_have_text("at this length of the attack.")
            size.fill("0.5")
            expect(said).to_contain_text("flips the answer at a length of 0.23")
            page.get_by_role("radio", name="random").check()
            size.fill("0.6")  # one of those that were judged
            expect(said).to_contain_text("length 0.60 change")
            expect(page.locator("[data-part=size]")).to_have_text("0.60")
        for step in range(2, len(lesson.steps) + 2):
            if step == 2:  # an arrow key would choose another radio button
                button(page, "Next").click()
            else:
                page.keyboard.press("ArrowRight")
            place = page.get_by_role("img", name=f"Screen {step} of {lesson.length}")
            expect(place).to_be_visible()
            at_rest(page)
        answer_wrong_and_right(page, lesson.question)
    fresh = browser.new_page()
    fresh.goto(page.url)
    expect(fresh.get_by_role("heading", name=part[-1].title, level=1)).to_be_visible()
    expect(fresh.get_by_role("radiogroup")).to_be_visible()
    fresh.close()


def test_a_class_answers_together(browser: Browser, server: Server) -> None:
    """One leads on a projector, another follows and answers; nothing is left at the end."""
    wide = browser.new_context(viewport={"width": 1920, "height": 1080})
    other = browser.new_context()
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
    expect(student).not_to_have_url(re.compile("code="))
    wide.close()
    other.close()


def test_the_pictures_of_the_plane_show_what_the_core_computes(page: Page, url: str) -> None:
    """Lessons of the plane and the playground: the browser's numbers are those of the core."""
    page.goto(f"{url}/learn?lesson=voting&step=2")
    world = build_world(ISLANDS)
    said = page.locator("[data-part=answer]")
    expect(said).to_have_text("orange")
    expect(page.locator("[data-part=why]")).to_contain_text("the network itself says blue")
    sigma = float(page.locator("[data-part=sigma]").inner_text())
    share = world.cells.at_points(np.array([[0.491, 0.306]]), np.array([sigma]))[0, 0, 1]
    assert page.locator("[data-part=bar]").inner_text().strip() == f"{share:.0%}".replace("%", " %")
    page.locator("[name=noise]").fill("0")
    expect(said).to_have_text("blue")  # the island itself
    handle = page.get_by_role("button", name="Point P at")
    handle.focus()
    handle.press("Shift+ArrowUp")
    expect(handle).to_have_accessible_name(re.compile(r"0\.49, 0\.36"))
    expect(said).to_have_text("orange")

    page.goto(f"{url}/learn?lesson=proof&step=1")
    kept = page.locator("[data-part=kept]")
    expect(kept).to_have_text("blue keeps 100 %")
    cells = page.locator("[data-part=cells] button")
    for i in range(23, 11, -1):
        cells.nth(i).press("Enter")
    expect(page.locator("[data-part=more]")).to_contain_text("Too much")
    mine = float(kept.inner_text().split()[2])
    worst = 100 * worst_case_mass(0.8, 0.15, sigma=0.25)
    assert worst < mine < worst + 15  # nearly the half-line, as far as cells allow
    button(page, "Show the worst case").click()
    expect(kept).to_have_text(f"blue keeps ≥ {worst:.1f} %")
    expect(page.locator("[data-part=formula]")).to_contain_text("= 0.210")

    page.goto(f"{url}/learn?lesson=one-sigma&step=3")
    button(page, "This is my choice").click()
    expect(page.locator("[data-part=verdict]")).to_contain_text("Your choice: 0.030")

    page.goto(f"{url}/learn?lesson=own-sigma&step=1")
    expect(page.locator("[data-part=worth]")).to_contain_text("R = ")
    button(page, "One step").click()
    expect(page.locator("[data-part=count]")).to_have_text("step 1 of 100: 8 noisy copies")
    last, at = page.evaluate(
        "() => { const { last, at } = document.querySelector('[data-took]').__picture;"
        " return [{ ...last, noise: [...last.noise] }, at]; }"
    )
    network = build_world(BANDS).network
    found = soft_radius_of(
        network,
        as_images(np.array([at])),
        torch.tensor([last["sigma"]], dtype=torch.float64),
        torch.tensor(last["noise"]).view(1, 8, 1, 1, 2),
        ASCENT.clamp,
    )
    assert last["radius"] == pytest.approx(float(found.radius), rel=1e-3)
    assert last["gradient"] == pytest.approx(float(found.gradient), rel=1e-3)

    page.goto(
        f"{url}/learn?lesson=playground&play=data%3Dbands%26noise%3D0.02%26x%3D0.56%26y%3D0.42"
    )
    expect(said).to_have_text("orange, R = 0.111")
    page.get_by_role("radio", name="own σ for every point").check()
    button(page, "Store P’s ball in the memory").click()
    expect(page.locator("[data-part=stored]")).to_contain_text("1 stored; the last: kept")
    expect(page).to_have_url(re.compile("field%3Dbest.*bank%3D8f6b"))
    page.reload()
    expect(page.locator("[data-part=stored]")).to_contain_text("1 stored; the last: kept")
    page.get_by_role("combobox", name="points").select_option("own")
    pen = page.get_by_role("button", name="Pen")
    for colour, key in (("blue", "Shift+ArrowLeft"), ("orange", "Shift+ArrowRight")):
        page.get_by_role("radio", name=colour).check()
        pen.press(key)
        pen.press("Enter")
    button(page, "Train a network on them").click()
    expect(page).to_have_url(re.compile("own%3D"))
    expect(said).to_be_visible()

    rng = np.random.default_rng(1)
    balls = [
        {"x": x, "y": y, "k": None if r < 0.03 else int(x > 0.5), "radius": 0.0 if r < 0.03 else r}
        for x, y, r in rng.uniform(0, [1, 1, 0.2], (80, 3)).tolist()
    ]
    settled = page.evaluate(
        "async (balls) => { const found = performance.getEntriesByType('resource')"
        ".find(({ name }) => name.endsWith('settle.js'));"
        " return (await import(found.name)).settleAll(balls); }",
        balls,
    )
    memory = KnownPointsMemory(Distances.between([[ball["x"], ball["y"]] for ball in balls]))
    outcomes = set()
    for i, (ball, shown) in enumerate(zip(balls, settled, strict=True)):
        known = memory.add(i, ABSTAIN if ball["k"] is None else ball["k"], ball["radius"])
        outcome = known.outcome.value if known.is_stored else "abstains"
        outcomes.add(outcome)
        assert shown["outcome"] == outcome
        assert shown["radius"] == pytest.approx(known.radius, abs=1e-9)
        assert shown["k"] == (known.prediction if known.is_stored else None)
    assert len(outcomes) == 6
