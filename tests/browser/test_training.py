"""Training as a visitor uses it: watch an example, start a run, come back to it, use the result."""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs, urlparse

import psutil
from playwright.sync_api import Browser, Page, expect

from ddrs_core.store import open_store
from tests.browser.conftest import Server, button, progress, wait_until

NAME = "digits-gaussian-ds2-0.25"


def end(server: Server, run_id: str) -> None:
    """Kill the process of a run, if it still lives."""
    run = open_store(server.database).run(run_id)
    if run.state.is_moving and run.process is not None:
        psutil.Process(run.process.pid).kill()


def epoch(page: Page) -> int:
    found = re.search(r"epoch (\d+)", progress(page).inner_text())
    return int(found.group(1)) if found else 0


def fill(page: Page, label: str, value: str) -> None:
    field = page.get_by_role("spinbutton", name=label, exact=True)
    field.fill(value)
    field.press("Enter")


def open_training(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/training{query}")
    expect(page.get_by_role("heading", name="Training", level=1)).to_be_visible()
    expect(button(page, "Train")).to_be_enabled()


def start_run(page: Page, epochs: int) -> str:
    """Start a short run and return its id."""
    fill(page, "Sigma", "0.25")
    fill(page, "Epochs", str(epochs))
    command = page.get_by_test_id("stSidebar").get_by_test_id("stCode")
    button(page, "Command line").or_(page.get_by_text("Command line")).first.click()
    expect(command).to_contain_text(f"--epochs {epochs}")
    expect(command).to_contain_text("--sigma 0.25")
    button(page, "Train").click()
    expect(page).to_have_url(re.compile(r"run="))
    return parse_qs(urlparse(page.url).query)["run"][0]


def test_a_run_from_its_start_to_the_explorer(page: Page, browser: Browser, server: Server) -> None:
    open_training(page, server)
    start_run(page, 24)
    expect(progress(page)).to_contain_text("training · epoch")
    points = "() => document.querySelector('[data-figure]')?._fullData?.[0]?._length || 0"
    wait_until(page, f"({points})() >= 2")
    before = page.evaluate(points)
    wait_until(page, f"({points})() > {before}")  # it moves by itself
    expect(page.locator(".ddrs-moved img").first).to_have_attribute(
        "alt", re.compile(r"training image \d+, class \d")
    )
    size = "i => i.complete && i.naturalWidth"
    assert page.locator(".ddrs-moved img").first.evaluate(size) == 8
    page.reload()
    expect(progress(page)).to_contain_text("epoch")
    button(page, "Stop").click()
    expect(progress(page)).to_contain_text("stopped")
    stopped = epoch(page)
    assert 2 <= stopped < 24
    other = browser.new_context().new_page()
    other.goto(page.url)  # somebody else may look at it, and no more
    expect(progress(other)).to_contain_text("stopped")
    expect(other.get_by_text("Somebody else started this run")).to_be_visible()
    expect(button(other, "Resume")).to_have_count(0)
    other.context.close()
    page.get_by_role("link", name="Home").click()
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Training").click()
    expect(progress(page)).to_contain_text(f"stopped · epoch {stopped}")
    button(page, "Resume").click()
    expect(progress(page)).to_contain_text("finished")
    expect(page.get_by_text(re.compile("each noisy copy by itself"))).to_be_visible()
    name = page.get_by_label("Name of the model")
    expect(name).to_have_value(f"{NAME}-2")  # a model of that name comes with the program
    name.fill("mine-0.25")
    button(page, "Add to the library").click()
    expect(
        page.get_by_text("The model is in the library, and on every page, as mine-0.25")
    ).to_be_visible()
    page.get_by_role("link", name="Explore with it").click()
    picker = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Model")
    expect(picker).to_have_value("mine-0.25")
    expect(progress(page)).to_contain_text("done")


def test_a_killed_run_says_so_and_another_is_deleted(page: Page, server: Server) -> None:
    open_training(page, server)
    run = start_run(page, 900)
    expect(progress(page)).to_contain_text("training · epoch")
    end(server, run)
    expect(progress(page)).to_contain_text("interrupted")
    expect(button(page, "Stop")).to_be_disabled()
    expect(button(page, "Resume")).to_be_enabled()
    button(page, "Delete").click()
    button(page, "Delete it for good").click()
    expect(page).not_to_have_url(re.compile(run))
    deadline = time.monotonic() + 20
    while (server.home / "training" / run).exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_hostile_link_gets_a_sentence_and_a_working_page(page: Page, server: Server) -> None:
    open_training(page, server, "?run=../../<script>")
    expect(page.get_by_text("There is no training run")).to_be_visible()
