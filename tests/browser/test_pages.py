"""Every page opens by its own address on a fresh server, in both themes, is accessible, takes
nothing from other servers, and needs nothing that the server's security policy forbids."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from ddrs_core.dashboard.components.board import PLOTLY_ROUTE
from ddrs_core.dashboard.shell.visitor import NO_COOKIE
from tests.browser.conftest import at_rest, note_refusals, own_server

PAGES = {
    "": "Data-dependent randomized smoothing",
    "explorer": "Explorer",
    "compare": "Certify & compare",
    "failures": "Why did it fail?",
    "memory": "Memory",
    "learn": "Learn randomized smoothing",
    "training": "Training",
    "library": "Library",
}
_STREAMLITS_OWN = {"list", "listitem", "presentation-role-conflict"}


def test_pages_are_accessible_and_load_nothing_from_elsewhere(browser: Browser, url: str) -> None:
    page = browser.new_page(color_scheme="light")
    foreign: list[str] = []
    refused: list[str] = []
    found: dict[str, dict[str, str]] = {}
    note_refusals(page, refused)
    page.on(
        "request",
        lambda r: (
            foreign.append(r.url) if not r.url.startswith((url, "data:", "blob:", "ws")) else None
        ),
    )
    page.goto(url)
    for path, title in PAGES.items():
        page.locator(f"[data-testid=stSidebarNav] a[href$='/{path}']").click()
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        if path == "explorer":
            expect(page.locator(".ddrs-gallery img[src]").first).to_be_visible()
        if path in ("explorer", "memory"):
            expect(page.locator("[data-figure] .main-svg").first).to_be_visible()
        if path == "failures":
            expect(page.get_by_text("What to try", exact=True)).to_be_visible()
        if path == "training":
            expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()
        if path == "library":
            expect(page.get_by_role("heading", name="Add a model")).to_be_visible()
        at_rest(page)
        for scheme, rules in (("light", []), ("dark", ["color-contrast"])):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(500)
            found[f"{path}, {scheme}"] = violations(page, rules)
    assert not any(found.values()), found
    page.wait_for_load_state("networkidle")
    assert foreign == []
    assert refused == []
    page.close()


def violations(page: Page, rules: Sequence[str] = ()) -> dict[str, str]:
    """What our own part of the page lacks in accessibility; by default by all rules."""
    options = {"runOnly": {"type": "rule", "values": rules}} if rules else None
    found = Axe().run(page, options=options).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    return {v["id"]: v["nodes"][0]["html"][:200] for v in serious if v["id"] not in _STREAMLITS_OWN}


def test_every_answer_carries_the_security_headers(url: str) -> None:
    for path in ("/", "/explorer", PLOTLY_ROUTE, "/_stcore/health", "/ddrs/gallery/digits/0.png"):
        with urllib.request.urlopen(url + path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"], path
            assert answer.headers["Referrer-Policy"] == "same-origin", path


def test_no_other_site_shows_the_pages_in_a_frame(url: str, browser: Browser) -> None:
    page = browser.new_page()
    refused: list[str] = []
    note_refusals(page, refused)
    with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
        page.set_content(f'<iframe src="{url}/explorer"></iframe>')
    page.close()
    assert len(refused) == 1


def test_a_name_that_somebody_else_may_own_is_refused(url: str) -> None:
    """Their page would count as the same origin once the name resolves to this server."""
    request = urllib.request.Request(url, headers={"Host": "evil.example.com"})
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        urllib.request.urlopen(request)
    assert b"does not answer to the name 'evil.example.com'" in refused.value.read()


def test_a_visitor_finds_what_is_theirs_after_a_restart_of_browser_and_server(
    browser: Browser, tmp_path: Path
) -> None:
    with own_server(tmp_path) as server:
        context = browser.new_context()
        context.set_default_timeout(90_000)
        page = context.new_page()
        page.goto(f"{server.url}/compare")
        page.get_by_role("radio", name="Import & export").click()
        log = b"idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t3\t3\t0.25\t1\t0:00:14.2\n"
        theirs = {"name": "theirs.tsv", "mimeType": "text/plain", "buffer": log}
        page.locator("input[type=file]").set_input_files([theirs])
        expect(
            page.get_by_text("the six columns of Cohen et al.'s certify.py").last
        ).to_be_visible()
        expect(page.get_by_text(NO_COOKIE)).to_have_count(0)
        kept = [cookie for cookie in context.cookies() if cookie["expires"] > 0]  # as at its end
        context.close()

    with own_server(tmp_path) as server:
        context = browser.new_context()
        context.set_default_timeout(90_000)
        context.add_cookies(kept)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{server.url}/explorer")
        expect(page.get_by_role("heading", name="Explorer", level=1)).to_be_visible()
        page.get_by_test_id("stSidebarNav").get_by_role("link", name="Certify & compare").click()
        page.get_by_role("radio", name="Import & export").click()
        expect(page.get_by_text("Your imported logs.")).to_be_visible()
        expect(page.get_by_role("button", name="Remove", exact=True)).to_be_visible()
        context.close()
