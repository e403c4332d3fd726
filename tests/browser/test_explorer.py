"""The explorer as a visitor uses it."""

from __future__ import annotations

import csv
import json
import re
import time

from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    DONE,
    address_says,
    button,
    expand,
    progress,
    query_of,
    wait_until,
)

_CURVE = "document.querySelector('[data-figure=curve]')"
_NAMED = f"(names) => names.every((n) => {_CURVE}._fullData.some((t) => t.name === n))"
_LEVEL = f"(name) => {_CURVE}._fullData.find((t) => t.name === name)?.x[0] ?? null"
_POINTS = "(document.querySelector('[data-figure=trajectory]')._fullData?.[0]._length || 0)"
_PARTS = [
    ".st-key-explorer_bar",
    ".st-key-explorer_search",
    ".ddrs-status",
    "[data-figure=curve]",
    ".ddrs-formula",
    ".ddrs-copies",
    "[data-figure=votes]",
    "[data-figure=trajectory]",
    ".ddrs-certified",
]
_PLACES = """(parts) => Object.fromEntries(parts.map((part) => {
  const { x, y, width, height } = document.querySelector(part).getBoundingClientRect();
  return [part, [x, y, width, part === '.ddrs-certified' ? 0 : height].map(Math.round)];
}))"""
_CUT = """() => [...document.querySelectorAll('[data-figure]')].flatMap((host) => {
  const box = host.getBoundingClientRect();
  return [...host.querySelectorAll('text')].filter((text) => {
    const { left, right, top, bottom, width } = text.getBoundingClientRect();
    return width && (left < box.left - 1 || right > box.right + 1
      || top < box.top - 1 || bottom > box.bottom + 1);
  }).map((text) => text.textContent);
})"""  # texts of figures that are cut by their edge


def steps_shown(page: Page) -> int:
    found = re.search(r"(\d+) of \d+ (step|round)s", progress(page).inner_text())
    assert found is not None
    return int(found.group(1))


def points(page: Page) -> int:
    """Points of the trajectory that plotly.js holds."""
    return int(page.evaluate(f"() => {_POINTS}"))


def open_explorer(page: Page, url: str, query_text: str = "") -> None:
    page.goto(f"{url}/explorer{query_text}")
    expect(page.locator("[data-figure] .main-svg").first).to_be_visible()


def set_pace(page: Page, pace: str) -> None:
    page.get_by_label("Pace").click()
    page.get_by_role("option", name=pace).click()


def places(page: Page) -> dict[str, list[int]]:
    """Where the parts of the page stand that must not move."""
    found: dict[str, list[int]] = page.evaluate(_PLACES, _PARTS)
    return found


def said(page: Page, part: str) -> str:
    return page.locator(f"[data-part={part}]").inner_text()


def test_a_finished_example_comes_first_and_can_be_touched(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    open_explorer(page, url)
    expect(progress(page)).to_contain_text(DONE)
    expect(page.locator(".ddrs-says")).to_contain_text("A stored run")
    assert points(page) == steps_shown(page) >= 1
    expect(page.locator(".ddrs-copies canvas")).to_have_count(9)
    expect(page.locator(".ddrs-card")).to_have_count(2)
    for part in ("curve", "votes"):  # above the fold
        x, y, width, height = places(page)[f"[data-figure={part}]"]
        assert x + width <= 1280
        assert y + height <= 720
    assert said(page, "radius").startswith("R = ")
    sees, before = page.locator("h2 [data-live=sigma]"), places(page)
    box = page.locator("[data-figure=curve]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.mouse.up()
    expect(sees).to_contain_text(re.compile(r"^σ = 0\.[34]"))
    assert said(page, "radius").startswith("R ≈ ")
    assert said(page, "badge") == "ESTIMATE"
    wait_until(page, "() => /[?&]drag=0\\.[34]/.test(location.href)")
    expect(page.locator(".ddrs-copies figcaption").last).to_contain_text("%")
    handle = page.get_by_role("slider", name="Noise level σ")
    dragged = float(handle.get_attribute("aria-valuenow") or 0)
    page.keyboard.press("ArrowRight")
    expect(handle).to_have_attribute("aria-valuenow", re.compile(f"{1.02 * dragged:.3f}"))
    page.keyboard.press("PageUp")
    expect(handle).to_have_attribute("aria-valuetext", re.compile(r"^σ₀ = 0\.500, radius 0"))
    page.keyboard.press("PageUp")  # nothing beyond
    page.keyboard.press("ArrowRight")
    button(page, "Certify σ = 0.510").click()
    expect(page.locator(".ddrs-card")).to_have_count(3)
    expect(page.locator("[data-part=badge]")).to_contain_text("CONDITIONAL")
    assert said(page, "radius").startswith("R = ")
    expect(page).to_have_url(re.compile("hand=0.51"))
    assert places(page) == before
    stop = page.locator(".ddrs-gallery button[tabindex='0']")  # one for the whole gallery
    expect(stop).to_have_attribute("aria-label", re.compile("image 193, class 1, certified within"))
    moves_an_image_out_of_its_ball(page)
    button(page, "Pin as A").click()
    expect(page.locator("[data-part=other]")).to_have_text("A is this run")
    link = page.get_by_role("link", name="abstains")
    expect(link).to_have_attribute("href", "explorer?example=abstains")
    link.click()
    expect(page.locator(".ddrs-chips a[aria-current]")).to_have_text("abstains")
    expect(page.locator(".ddrs-card").first).to_contain_text("Abstains")
    expect(handle).to_have_attribute("aria-valuenow", "0.5000")  # where it does
    expect(page.locator("[data-part=badge]")).to_be_empty()
    expect(page.locator(".ddrs-card").first).to_contain_text("A: R = 0.412 at σ = 0.500")
    address_says(page, image="6")
    assert "image=193" in query_of(page)["pin"]
    assert places(page) == before
    button(page, "Clear A").click()
    expect(page.locator("[data-part=other]")).to_be_empty()


def moves_an_image_out_of_its_ball(page: Page) -> None:
    """The votes stay with the class up to R, and nothing is promised beyond."""
    page.locator(".st-key-explorer_cover").get_by_text("σ*", exact=True).click()
    far, said = page.locator("[data-part=far]"), page.locator(".ddrs-cover [data-part=said]")
    expect(said).to_contain_text("Still class 1, as the certificate promises")
    expect(far).to_have_text("moved by 0.642 = 1 R")
    page.get_by_role("slider", name="Distance from the image").press("End")
    expect(far).to_contain_text("= 1.5 R")
    expect(said).to_contain_text("Beyond R no promise. Here class 7")
    button(page, "at random").click()
    expect(said).to_contain_text("Here still class 1")
    page.locator(".st-key-explorer_cover").get_by_text("hide", exact=True).click()
    expect(far).to_have_count(0)


def test_the_link_of_an_example_opens_it(page: Page, url: str) -> None:
    pinned = "pin=image%3D193%26model%3Ddigits-gaussian-0.50%26preset%3Dsurface%26certified%3D1"
    open_explorer(page, url, f"?example=contradiction&drag=0.4&{pinned}")
    expect(page.locator("[data-text=compare]")).to_contain_text("They certify different classes")
    expect(page.locator(".ddrs-chips a[aria-current]")).to_have_text("contradiction")
    handle = page.get_by_role("slider", name="Noise level σ")
    expect(handle).to_have_attribute("aria-valuenow", "0.4000")  # held, and not certified
    expect(page.locator(".ddrs-card")).to_have_count(2)
    expect(page.locator("[data-part=other]")).to_contain_text("A: image 193")
    expect(page.locator(".ddrs-beside").last).to_contain_text("A: R = 0.642 at σ = 0.237")
    wait_until(page, "() => new URL(location.href).searchParams.get('drag') === '0.4000'")
    open_explorer(page, url, "?example=easy&hand=0.3&drag=0.4")  # another one was certified
    expect(handle).to_have_attribute("aria-valuenow", "0.4000")


def test_from_the_home_page_to_a_certified_digit(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("link", name="Watch a radius grow").click()
    expect(progress(page)).to_contain_text(DONE)
    button(page, "Certify σ₀ and σ*").click()
    cards = page.locator(".ddrs-card")
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text("UNCONDITIONAL")
    expect(cards.last).to_contain_text("CONDITIONAL")
    assert float(cards.last.get_attribute("data-radius") or 0) > 0.1


def test_pick_run_pause_step_cancel_reset(page: Page, url: str) -> None:
    open_explorer(page, url, "?preset=guarded&image=0")
    expect(progress(page)).to_contain_text(DONE)
    page.locator(".ddrs-gallery button[data-index='5']").click()
    expect(page.get_by_text("image 5")).to_be_visible()
    before = places(page)
    expect(button(page, "Run")).to_be_enabled()
    set_pace(page, "3 steps/s")
    button(page, "Run").click()
    expect(progress(page)).to_contain_text("running")
    wait_until(page, f"() => {_POINTS} >= 5")
    early = points(page)
    wait_until(page, f"n => {_POINTS} > n + 5", early)
    page.get_by_role("heading", name="Explorer").click()
    page.keyboard.press("Space")
    expect(progress(page)).to_contain_text("paused")
    assert places(page) == before
    stood = steps_shown(page)
    page.wait_for_timeout(700)
    assert steps_shown(page) == stood < 60
    page.keyboard.press("ArrowRight")
    expect(progress(page)).to_contain_text(f"paused · {stood + 1} of 60")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("slider", name="look back")).to_have_value(str(stood))
    button(page, "Resume").click()
    expect(progress(page)).not_to_contain_text("paused")
    assert places(page) == before
    button(page, "Cancel").click()
    expect(progress(page)).to_contain_text("cancelled")
    button(page, "Reset").click()
    expect(progress(page)).to_contain_text("Press Run")
    assert places(page) == before
    expect(page).not_to_have_url(re.compile("job="))
    address_says(page, image="5")


def test_every_round_of_the_surface_fit_can_be_seen(page: Page, url: str) -> None:
    """Votes, fit and the levels that come next; then the choice, and a look back."""
    open_explorer(page, url, "?dataset=digits&model=digits-gaussian-0.50&image=3&regret=0")
    expect(progress(page)).to_contain_text("done · 5 of 5 rounds")
    button(page, "Reset").click()
    expect(progress(page)).to_contain_text("Press Run")
    for number in (1, 2):
        button(page, "Step").click()
        expect(progress(page)).to_contain_text(f"paused · {number} of 5 rounds")
    wait_until(page, _NAMED, ["votes, fit", "fit", "σ*, 90 %", "next votes", "now"])
    assert points(page) == 2
    assert page.evaluate(_LEVEL, "σ*") is None
    button(page, "Resume").click()
    expect(progress(page)).to_contain_text("done · 5 of 5 rounds")
    wait_until(page, _NAMED, ["votes, fit", "fit", "σ*, 90 %", "σ*"])
    assert 0.2 < page.evaluate(_LEVEL, "σ*") < 0.4
    assert page.evaluate(_LEVEL, "next votes") is None
    page.get_by_role("slider", name="look back").press("Home")
    wait_until(page, _NAMED, ["next votes"])
    for width in (1280, 480):
        page.set_viewport_size({"width": width, "height": 1800})
        page.wait_for_timeout(500)
        assert page.evaluate(_CUT) == []


def test_a_reload_finds_everything_again_and_no_press_of_step_is_lost(page: Page, url: str) -> None:
    open_explorer(page, url, "?image=8&sigma0=0.4&n=2000&seed=3&preset=guarded&pace=1")
    expect(progress(page)).to_contain_text(re.compile(r"running · [3-9] of 60"))
    began, stood, job = time.monotonic(), steps_shown(page), query_of(page)["job"]
    page.reload()
    expect(progress(page)).to_contain_text("running")
    address_says(page, job=job)
    expect(page.get_by_label("Pace")).to_have_value("1 step/s")
    page.wait_for_timeout(2000)
    # What is shown may lag by seconds on a busy machine; a lost pace would have ended the run.
    assert stood <= steps_shown(page) <= stood + time.monotonic() - began + 10
    button(page, "Pause").click()
    expect(progress(page)).to_contain_text("paused")
    stood = steps_shown(page)
    for _ in range(5):  # as quick as can be: most arrive while the page is being drawn
        button(page, "Step").click(no_wait_after=True)
    expect(progress(page)).to_contain_text(f"paused · {stood + 5} of 60")
    page.wait_for_timeout(1000)
    assert steps_shown(page) == stood + 5
    set_pace(page, "fastest")
    button(page, "Resume").click()
    expect(progress(page)).to_contain_text(DONE)
    button(page, "Certify σ₀ and σ*").click()
    cards = page.locator(".ddrs-card")
    expect(cards).to_have_count(2)
    before = [card.get_attribute("data-radius") for card in cards.all()]
    page.reload()
    expect(cards).to_have_count(2)
    assert [card.get_attribute("data-radius") for card in cards.all()] == before


def test_a_job_is_drawn_as_it_runs_and_survives_a_page_switch(page: Page, url: str) -> None:
    open_explorer(page, url, "?image=14&preset=long")
    expect(progress(page)).to_contain_text("running")
    updates = "() => Number(document.querySelector('[data-figure]').dataset.updates)"
    before = page.evaluate(updates)
    wait_until(page, f"(before) => ({updates})() >= before + 3", before)
    expect(progress(page)).to_contain_text("running")
    job = query_of(page)["job"]
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_text("sigma of digits 14")).to_be_visible()
    page.get_by_role("link", name="Explorer").first.click()
    button(page, "Cancel").click()
    expect(progress(page)).to_contain_text("cancelled")
    address_says(page, job=job, image="14")


def test_exports_are_complete(page: Page, url: str) -> None:
    open_explorer(page, url, "?image=2&n=1000")
    expect(progress(page)).to_contain_text(DONE)
    button(page, "Certify σ₀ and σ*").click()
    expect(page.locator(".ddrs-card")).to_have_count(2)
    expand(page, "Export")
    with page.expect_download() as download:
        button(page, "Trajectory (CSV)").click()
    rows = list(csv.DictReader(download.value.path().open()))
    assert len(rows) == steps_shown(page)
    assert all(float(r["best_low"]) <= float(r["best_high"]) for r in rows)
    chosen = float(rows[-1]["chosen"])
    with page.expect_download() as download:
        button(page, "Certificates (JSON)").click()
    start, answer = json.loads(download.value.path().read_text())
    assert (start["sigma"], answer["sigma"]) == (0.5, chosen)
    assert sum(answer["counts"]) == answer["n"] == 1000
    expect(page.get_by_text("python -m ddrs_core certify").first).to_be_visible()
