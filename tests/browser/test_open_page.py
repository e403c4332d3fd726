"""A page that has been open for a while: what is behind a popover, an expander, a tab or a section
shows what the server holds, and figures follow the theme.

The browser mounts the widgets of a popover or an expander only when it is opened, long after the
page was drawn; they send what they show with the next press of anything.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from ddrs_core.dashboard.explorer.link import parse_query
from ddrs_core.dashboard.memory.view import MemoryView
from ddrs_core.training import recipe
from tests.browser.conftest import at_rest, button, expand, query_of, wait_until

_LONG = 8_000  # ms: longer than anything is repeated after a page was drawn
_TEXTS = """([dark, least]) => {
  const lightness = (text) => {
    const [r, g, b] = getComputedStyle(text).fill.match(/[\\d.]+/g).map(Number);
    return (r + g + b) / 765;
  };
  const texts = [...document.querySelectorAll('.js-plotly-plot')].flatMap((plot) =>
    [...plot.querySelectorAll('.xtitle, .ytitle, .legendtext, .xtick text')]);
  return texts.length >= least
    && texts.every((text) => (lightness(text) > 0.6) === dark);
}"""


def field(scope: Page | Locator, label: str) -> Locator:
    """A field; while a page is drawn, a former version of it may be there, unseen."""
    return scope.get_by_label(label, exact=True).filter(visible=True)


def shows(scope: Page | Locator, label: str, value: float | str) -> None:
    """A field, whose number may be shown with four digits."""
    shown = field(scope, label)
    if isinstance(value, str):
        expect(shown).to_have_value(value)
    else:
        expect(shown).not_to_have_value("")
        assert float(shown.input_value()) == pytest.approx(value, rel=1e-3)


def follows_theme(page: Page, texts: int) -> None:
    """Axis names, legends and ticks of every figure change with the theme of the open page."""
    at_rest(page)
    for dark in (False, True, False):
        page.emulate_media(color_scheme="dark" if dark else "light")
        wait_until(page, _TEXTS, [dark, texts])


def test_the_explorer(page: Page, url: str) -> None:
    page.goto(
        f"{url}/explorer?dataset=digits&model=digits-gaussian-0.50&image=30&preset=guarded&steps=15"
    )
    done = page.get_by_text("done · 15 of 15 steps")
    expect(done).to_be_visible()
    page.wait_for_timeout(_LONG)
    page.locator(".ddrs-gallery button[data-index='31']").click()
    expect(page.locator(".ddrs-original")).to_contain_text("image 31")
    expect(page.locator("[data-part=other]")).to_contain_text("last run: image 30")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(done).to_be_visible()
    held, problems = parse_query(query_of(page))
    assert (held.index, held.config.steps, held.budget.n, problems) == (31, 15, 10_000, [])
    part = page.get_by_test_id("stPopoverBody")
    page.locator(".st-key-explorer_search button").first.click()
    shows(part, "Steps K", held.config.steps)
    shows(part, "Step size lr", held.config.lr)
    shows(part, "Noisy copies n", held.config.samples)
    shows(part, "Smallest sigma", held.config.bounds[0])
    shows(part, "Largest sigma", held.config.bounds[1])
    page.keyboard.press("Escape")
    page.locator(".st-key-explorer_budget button").first.click()
    shows(part, "Samples N", held.budget.n)
    shows(part, "Samples N0", held.budget.n0)
    shows(part, "Failure probability alpha", held.budget.alpha)
    shows(part, "Bound", held.budget.bound.value)
    shows(part, "Seed", held.budget.seed)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Certify σ₀ and σ*").click()  # which sends them
    expect(page.locator(".ddrs-card")).to_have_count(2)
    expect(done).to_be_visible()
    at_rest(page)
    assert parse_query(query_of(page)) == (held, [])
    follows_theme(page, 20)


def test_training(page: Page, url: str) -> None:
    page.goto(f"{url}/training")
    expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
    page.wait_for_timeout(_LONG)
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_role("combobox", name="Method", exact=True).click()
    page.get_by_role("option", name="MACER").click()
    held = recipe("digits", "digits_cnn", "macer", 0.5, data_dependent=True)
    expect(field(sidebar, "Epochs")).to_have_value(str(held.epochs))
    at_rest(page)
    command = sidebar.get_by_test_id("stCode")
    expand(page, "Command line")
    expect(command).to_contain_text("--method macer")
    before = command.inner_text()
    settings = expand(page, "All settings")
    assert held.data_dependent is not None
    shows(settings, "Batch size", held.batch_size)
    shows(settings, "Learning rate", held.lr)
    shows(settings, "Schedule", held.schedule)
    shows(settings, "Number format", held.precision)
    shows(settings, "Sigma steps K", held.data_dependent.steps)
    shows(settings, "Sigma step size", held.data_dependent.lr)
    shows(settings, "Smallest sigma", held.data_dependent.bounds[0])
    shows(settings, "Largest sigma", held.data_dependent.bounds[1])
    field(sidebar, "Seed").fill("7")
    field(sidebar, "Seed").press("Enter")
    expect(command).to_contain_text("--seed 7")
    assert command.inner_text().replace("--seed 7", "").split() == (
        before.replace("--seed 0", "").split()
    )
    follows_theme(page, 10)


def test_compare(page: Page, url: str) -> None:
    page.goto(f"{url}/compare")
    expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
    page.wait_for_timeout(_LONG)
    sidebar = page.get_by_test_id("stSidebar")
    field(sidebar, "Sigmas").fill("0.25")
    field(sidebar, "Sigmas").press("Enter")
    expand(page, "Command line")
    command = sidebar.get_by_test_id("stCode").first
    expect(command).to_contain_text("--sigma 0.25")
    before = sidebar.get_by_test_id("stCode").all_inner_texts()
    more = expand(page, "More settings")
    shows(more, "Failure probability alpha", 0.001)
    shows(more, "Samples N0", 100)
    shows(more, "Bound", "two-sided")
    shows(more, "Images of", "test")
    shows(more, "Seed", 0)
    button(page, "Sets").click()
    page.get_by_text("Published figures", exact=True).click()  # which sends them
    expect(page).to_have_url(re.compile("published=1"))
    at_rest(page)
    assert sidebar.get_by_test_id("stCode").all_inner_texts() == before
    page.keyboard.press("Escape")
    page.get_by_role("radio", name="Images", exact=True).click()
    expect(page.locator(".st-key-compare_points .main-svg").first).to_be_visible()
    follows_theme(page, 20)


def test_the_memory(page: Page, url: str) -> None:
    usual = MemoryView()
    page.goto(f"{url}/memory")
    expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
    page.wait_for_timeout(_LONG)
    follows_theme(page, 8)
    for section in ("Query", "Collisions", "Order"):
        at_rest(page)
        page.get_by_test_id("stButtonGroup").get_by_text(section, exact=True).first.click()
        expect(page).to_have_url(re.compile(f"section={section.lower()}"))
        if section == "Query":
            shows(page, "Image (0 to 499)", usual.image)
            shows(page, "Other image (0 to 499)", usual.target)
            shows(page, "sigma_0 (0: as trained)", 0)
            shows(page, "Votes N", f"{usual.n:,}")
            page.get_by_role("button", name="Thumbnails").click()
            chosen = page.locator(f".ddrs-gallery button[data-index='{usual.image}']")
            expect(chosen).to_have_attribute("aria-pressed", "true")
            page.keyboard.press("Escape")
        if section == "Collisions":
            shows(page, "From image (0 to 499)", usual.first)
            shows(page, "To image (0 to 499)", usual.second)
            shows(page, "Points", str(usual.points))
            shows(page, "Votes N", f"{usual.walk_n:,}")
    shows(page, "Shuffles", str(usual.shuffles))
    expect(page.get_by_role("slider", name="Arrival")).to_have_value("481")
    page.get_by_role("button", name="Next that changed").click()  # which sends them
    expect(page).to_have_url(re.compile("arrival="))
    at_rest(page)
    assert set(query_of(page)) <= {"bank", "section", "arrival"}


def test_the_library(page: Page, url: str) -> None:
    page.goto(f"{url}/library")
    published = page.get_by_role("tab", name="Published weights (torchvision)")
    published.click()
    network = page.get_by_role("combobox", name="Network and weights", exact=True)
    expect(network).not_to_have_value("")
    page.wait_for_timeout(_LONG)
    before = network.input_value()
    page.get_by_role("tab", name="A checkpoint file").click()
    published.click()
    expand(page, "Add a data set that lies on this server")
    at_rest(page)
    expect(network).to_have_value(before)
