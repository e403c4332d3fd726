"""Files that are damaged, huge, malicious or something else: each gets words, none does anything.

Pictures are handed in through the page, as a visitor would, and models that want to run something,
to fill the memory, and to be used; ``tests/models/importing/test_hostile.py`` reads all models.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import DONE, Server, progress
from tests.browser.hostile_files import (
    cohen_checkpoint,
    good_picture,
    hostile_models,
    hostile_pictures,
    odd_pictures,
)

_GROWTH = 200 * 2**20  # bytes that the server may have gained by reading all of them
_UNEXPECTED = "This page met an error"
IN_THE_BROWSER = ("payload.pth", "bomb.pth", "nan.pth")

pytestmark = pytest.mark.xdist_group("hostile")  # one server for all of them


def marker_of(server: Server) -> Path:
    """The file that the payloads would create."""
    return server.folder / "executed"


def kept(server: Server, kind: str) -> set[str]:
    """Names of the files in the store of uploads."""
    return {p.name for p in (server.home / "uploads" / kind).glob("*")}


def left_over(server: Server) -> list[str]:
    """What reading files has left in the folder for temporary files."""
    return [p.name for p in (server.folder / "tmp").glob("ddrs-*")]


def memory_of(server: Server) -> int:
    """Resident bytes of the server and its children, when it has come to rest."""
    time.sleep(2)
    main = psutil.Process(server.process.pid)
    return sum(p.memory_info().rss for p in (main, *main.children(recursive=True)))


@pytest.fixture
def visit(browser: Browser) -> Iterator[Page]:
    """A tab in which any script of the page's own may fail the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 1800})
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    context.close()
    assert errors == []


def hand_in(page: Page, name: str, data: bytes) -> None:
    """Put a file into the page's one uploader, in place of the one before."""
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    page.get_by_test_id("stFileUploader").locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]


def alerts(page: Page, name: str) -> Locator:
    """The messages that name a file."""
    return page.get_by_test_id("stAlert").filter(has_text=name)


def problem(page: Page, name: str, words: str) -> str:
    """What is wrong with the page's answer to a file that it must refuse; empty if nothing."""
    try:
        expect(alerts(page, name)).to_have_count(1)
    except AssertionError:
        shown = page.get_by_test_id("stAlert").all_inner_texts()
        return f"{name}: not one message that names it, but {shown}"
    text = alerts(page, name).inner_text()
    if words not in text or _UNEXPECTED in page.inner_text("body"):
        return f"{name}: {text!r} lacks {words!r}"
    if len(text) > 600 or re.search(r"\w+Error\b|Traceback|/tmp/", text):
        return f"{name}: not in a person's words: {text!r}"
    return ""


def open_pictures(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/explorer?dataset=pictures&model=digits-gaussian-0.50")
    expect(page.get_by_text("What the network receives").first).to_be_visible()


def use_good_picture(page: Page, name: str) -> None:
    """A picture that is fine is taken, shown and run to the end."""
    hand_in(page, name, good_picture())
    expect(page.get_by_text("A picture of 96 x 64 pixels.")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(progress(page)).to_contain_text(DONE)


def use_good_model(page: Page, name: str) -> None:
    """A checkpoint that is fine is recognised and becomes a model."""
    hand_in(page, name, cohen_checkpoint())
    expect(page.get_by_test_id("stCode")).to_contain_text(f"file: {name}")
    page.get_by_role("button", name="Use this model").click()
    expect(page.get_by_text("Your pages offer the model now")).to_be_visible()


@pytest.fixture(scope="module")
def at_first(shared_server: Server, browser: Browser) -> int:
    """The server's memory after one good picture and one good model."""
    server = shared_server
    page = browser.new_page()
    open_pictures(page, server)
    use_good_picture(page, "first.png")
    page.goto(f"{server.url}/library")
    use_good_model(page, "first.pth")
    page.close()
    return memory_of(server)


@pytest.mark.timeout(600)
def test_pictures(server: Server, visit: Page, at_first: int) -> None:
    open_pictures(visit, server)
    before = kept(server, "pictures")
    problems = []
    for name, (data, words) in hostile_pictures(marker_of(server)).items():
        hand_in(visit, name, data)
        problems.append(problem(visit, name, words))
    assert [p for p in problems if p] == []
    assert kept(server, "pictures") == before
    for name, (data, words) in odd_pictures().items():
        hand_in(visit, name, data)
        expect(visit.get_by_text(words)).to_be_visible()
        expect(alerts(visit, name)).to_have_count(0)
    use_good_picture(visit, "fine.png")
    assert not marker_of(server).exists()
    assert left_over(server) == []
    assert memory_of(server) - at_first < _GROWTH


@pytest.mark.timeout(600)
def test_models(server: Server, visit: Page, at_first: int) -> None:
    visit.goto(f"{server.url}/library")
    before = kept(server, "models")
    problems = []
    files = hostile_models(marker_of(server))
    for name in IN_THE_BROWSER:
        data, words = files[name]
        hand_in(visit, name, data)
        problems.append(problem(visit, name, words))
    assert [p for p in problems if p] == []
    assert kept(server, "models") == before
    use_good_model(visit, "fine.pth")
    assert not marker_of(server).exists()
    assert left_over(server) == []
    assert memory_of(server) - at_first < _GROWTH
