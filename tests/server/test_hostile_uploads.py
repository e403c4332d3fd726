"""Files that are damaged, huge, malicious or something else: each gets words, none does anything.

Handed in through the pages of a real server, by the messages that a browser would send: pictures,
and models that want to run something, to fill the memory, and to be used;
``tests/models/importing/test_hostile.py`` reads all models.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil
import pytest

from tests.browser.conftest import Server
from tests.browser.hostile_files import (
    cohen_checkpoint,
    good_picture,
    hostile_models,
    hostile_pictures,
    odd_pictures,
)
from tests.coroutines import run_in_thread
from tests.server.client import Tab, open_tab

_GROWTH = 200 * 2**20  # bytes that the server may have gained by reading all of them
MODELS = ("payload.pth", "bomb.pth", "nan.pth")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


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


async def open_pictures(server: Server) -> Tab:
    return await open_tab(server.url, "explorer", "dataset=pictures&model=digits-gaussian-0.50")


def problem(tab: Tab, name: str, words: str) -> str:
    """What is wrong with the page's answer to a file that it must refuse; empty if nothing."""
    if len(tab.alerts(name)) != 1:
        return f"{name}: not one message that names it, but {tab.alerts()}"
    (text,) = tab.alerts(name)
    if words not in text or tab.says("This page met an error"):
        return f"{name}: {text!r} lacks {words!r}"
    if len(text) > 600 or re.search(r"\w+Error\b|Traceback|/tmp/", text):
        return f"{name}: not in a person's words: {text!r}"
    return ""


async def use_good_picture(tab: Tab, name: str) -> None:
    """A picture that is fine is taken, shown and run to the end."""
    await tab.upload(name, good_picture())
    assert tab.says("A picture of 96 x 64 pixels")
    await tab.press("Run")
    await tab.watch()
    assert tab.says(r"done \S+ \d+ of \d+ rounds")


async def use_good_model(tab: Tab, name: str) -> None:
    """A checkpoint that is fine is recognised and becomes a model."""
    await tab.upload(name, cohen_checkpoint())
    assert any(f"file: {name}" in element.code.code_text for element in tab.shown("code"))
    await tab.press("Use this model")
    assert tab.says("Your pages offer the model now")


@pytest.fixture(scope="module")
def at_first(server: Server) -> int:
    """The server's memory after one good picture and one good model."""

    async def use_both() -> None:
        pictures, library = await open_pictures(server), await open_tab(server.url, "library")
        await use_good_picture(pictures, "first.png")
        await use_good_model(library, "first.pth")
        await pictures.close()
        await library.close()

    run_in_thread(use_both())
    return memory_of(server)


def test_pictures(server: Server, at_first: int) -> None:
    async def hand_in_all() -> None:
        tab = await open_pictures(server)
        before = kept(server, "pictures")
        problems = []
        for name, (data, words) in hostile_pictures(marker_of(server)).items():
            await tab.upload(name, data)
            problems.append(problem(tab, name, words))
        assert [p for p in problems if p] == []
        assert kept(server, "pictures") == before
        for name, (data, words) in odd_pictures().items():
            await tab.upload(name, data)
            assert tab.says(re.escape(words))
            assert tab.alerts(name) == []
        await use_good_picture(tab, "fine.png")
        await tab.close()

    run_in_thread(hand_in_all())
    assert not marker_of(server).exists()
    assert left_over(server) == []
    assert memory_of(server) - at_first < _GROWTH


def test_models(server: Server, at_first: int) -> None:
    async def hand_in_all() -> None:
        tab = await open_tab(server.url, "library")
        before = kept(server, "models")
        problems = []
        files = hostile_models(marker_of(server))
        for name in MODELS:
            data, words = files[name]
            await tab.upload(name, data)
            problems.append(problem(tab, name, words))
        assert [p for p in problems if p] == []
        assert kept(server, "models") == before
        await use_good_model(tab, "fine.pth")
        await tab.close()

    run_in_thread(hand_in_all())
    assert not marker_of(server).exists()
    assert left_over(server) == []
    assert memory_of(server) - at_first < _GROWTH
