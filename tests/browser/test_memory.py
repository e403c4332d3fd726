"""The memory as a visitor sees it: a query that is settled and stored, balls that meet, a case that
breaks an unprotected radius, and the history of a bank."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Server, at_rest, button

_CIRCLES = """host => host._fullData.filter(t => t.mode === 'lines' && t._length > 100).map(t => {
  const x = [...t.x], y = [...t.y], mid = v => (Math.max(...v) + Math.min(...v)) / 2;
  return {name: t.name, x: mid(x), y: mid(y), r: (Math.max(...x) - Math.min(...x)) / 2};
})"""


def section(page: Page, name: str) -> None:
    at_rest(page)
    page.get_by_role("radio", name=name).or_(button(page, name)).first.click()
    expect(page).to_have_url(re.compile(f"section={name.lower()}"))


def said(page: Page) -> Locator:
    return page.locator("[data-text='said']")


def test_query_collision_and_replay(page: Page, url: str) -> None:
    page.goto(f"{url}/memory?strategy=guarded")  # as the bank was made
    expect(page.get_by_role("heading", name="Memory", level=1)).to_be_visible()
    expect(page.locator("[data-figure='growth'] .main-svg").first).to_be_visible()
    expect(page.locator("[data-text='record']")).to_contain_text("481balls stored")
    button(page, "Check").click()
    expect(page.get_by_text("no two of 481 balls of different class overlap")).to_be_visible()

    section(page, "Query")
    expect(said(page)).to_contain_text(re.compile(r"Inside ball \d+ of class 9"))
    button(page, "Certify").click()
    expect(said(page)).to_contain_text("The certificate: ")
    outcome = re.compile("Adopted|Trimmed|Enlarged|Rescued|Untouched")
    expect(said(page)).to_contain_text(outcome)
    plane = page.locator("[data-figure='plane']")
    expect(plane.locator(".main-svg").first).to_be_visible()
    circles = plane.evaluate(_CIRCLES)
    balls = [c for c in circles if c["name"].startswith("ball")]
    depth = re.search(r"([\d.]+) below its surface", said(page).inner_text())
    assert depth is not None  # the picture shows the number in the sentence
    true = [c["r"] - (c["x"] ** 2 + c["y"] ** 2) ** 0.5 for c in balls]
    assert min(abs(t - float(depth[1])) for t in true) < 2e-3
    button(page, "Store it in my copy").click()
    expect(page.get_by_text("Stored: your copy has 482 balls now.")).to_be_visible()

    section(page, "Collisions")
    button(page, "Walk").click()
    walk = page.locator("[data-figure='walk']")
    points = "host => host._fullData.filter(t => t.mode === 'markers').length"
    expect(page.locator("[data-text='points'] tbody tr")).to_have_count(13)
    expect(walk.locator(".main-svg").first).to_be_visible()
    assert walk.evaluate(points) == 13
    expect(said(page).first).to_contain_text("trimmed")
    button(page, "Search").click()
    broken = page.get_by_text(re.compile(r"x is certified class 9 within [\d.]+ at sigma"))
    expect(broken).to_be_visible()
    expect(broken).to_contain_text("Fresh noise certified x and 1 neighbour.")
    expect(page.get_by_text("With the memory, x stored first as ball 0")).to_be_visible()
    expect(page.get_by_role("region", name="The four certificates")).to_contain_text("x', fresh")

    section(page, "Order")
    expect(said(page).first).to_contain_text("Arrival 482 of 482: moved")
    slider = page.get_by_role("slider", name="Arrival")
    slider.focus()
    slider.press("ArrowLeft")
    expect(said(page).first).to_contain_text("Arrival 481 of 482: image 499")
    button(page, "Next that changed").click()
    expect(said(page).first).to_contain_text("Arrival 482 of 482")
    button(page, "Shuffle").click()
    expect(page.get_by_text(re.compile("In 21 orders"))).to_be_visible()

    page.reload()  # the link and the visitor's own copy are still there
    expect(said(page).first).to_contain_text("Arrival 482 of 482")


def test_a_shared_link_opens_the_same_view_in_a_fresh_browser(
    browser: Browser, server: Server
) -> None:
    page = browser.new_page(viewport={"width": 480, "height": 1600})
    page.goto(f"{server.url}/memory?bank=demo&section=order&arrival=50")
    expect(said(page).first).to_contain_text("Arrival 50 of 481: image 53. ")
    expect(page.locator("[data-figure='ruler'] .main-svg").first).to_be_visible()
    wide = "() => document.documentElement.scrollWidth <= window.innerWidth"
    assert page.evaluate(wide)  # nothing sticks out of a narrow page
    page.close()
