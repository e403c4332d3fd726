"""Every page opens by its own address on a fresh server, in both themes, is accessible, and takes
nothing from other servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.browser.conftest import start_server

PAGES = {
    "": "Data-dependent randomized smoothing",
    "explorer": "Explorer",
    "compare": "Certify & compare",
    "memory": "Memory",
    "training": "Training",
    "library": "Library",
}
_STREAMLITS_OWN = {"list", "listitem", "presentation-role-conflict"}


@pytest.mark.parametrize("first", list(PAGES))
def test_a_deep_link_works_on_a_fresh_server(first: str, browser: Browser, tmp_path: Path) -> None:
    server, url = start_server(tmp_path)
    try:
        page = browser.new_page()
        page.goto(f"{url}/{first}")
        expect(page.get_by_role("heading", name=PAGES[first], level=1)).to_be_visible()
        for name in ("Home", "Explorer", "Training", "Library"):
            link = page.get_by_test_id("stSidebarNav").get_by_role("link", name=name)
            expect(link).to_be_visible()
        page.close()
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", list(PAGES))
def test_pages_are_accessible_and_load_nothing_from_elsewhere(
    path: str, scheme: str, browser: Browser, url: str
) -> None:
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    foreign: list[str] = []
    page.on(
        "request",
        lambda r: (
            foreign.append(r.url) if not r.url.startswith((url, "data:", "blob:", "ws")) else None
        ),
    )
    page.goto(f"{url}/{path}")
    expect(page.get_by_role("heading", name=PAGES[path], level=1)).to_be_visible()
    if path == "explorer":
        expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
        expect(page.locator(".ddrs-gallery img[src]").first).to_be_visible()
    if path == "memory":
        expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
    if path == "training":
        expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()
    if path == "library":
        expect(page.get_by_role("heading", name="Add a model")).to_be_visible()
    found = Axe().run(page).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    ours = {v["id"]: v["nodes"][0]["html"][:200] for v in serious if v["id"] not in _STREAMLITS_OWN}
    assert ours == {}
    page.wait_for_load_state("networkidle")
    assert foreign == []
    page.close()
