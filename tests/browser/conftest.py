"""A real server and a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

expect.set_options(timeout=60_000)


def start_server(
    folder: Path, environment: Mapping[str, str] | None = None, root: Path = ROOT
) -> tuple[subprocess.Popen[bytes], str]:
    """A fresh server of a checkout on a free port, which logs to ``server.log`` in ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.headless",
        "true",
        "--server.address",
        "127.0.0.1",
        "--server.port",
        str(port),
    ]
    log = (folder / "server.log").open("wb")
    variables = {**os.environ, **(environment or {})}
    server = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, env=variables)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
            return server, url
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running dashboard."""
    server, address = start_server(tmp_path_factory.mktemp("server"))
    yield address
    server.terminate()
    server.wait(20)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium: the machine's own, else the one that playwright installed."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=found, headless=True, args=list(_ARGUMENTS)
        )
        yield made
        made.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, for all tests of a worker."""
    with open_browser() as opened:
        yield opened


def wait_until(page: Page, script: str, arg: object = None, *, timeout: float = 60_000) -> None:
    """Wait until a script is true, for at most ``timeout`` ms.

    Playwright's own ``wait_for_function`` evaluates text within the page, which the server's
    security policy forbids.
    """
    deadline = time.monotonic() + timeout / 1000
    while not page.evaluate(script, arg):
        assert time.monotonic() < deadline, f"never true: {script}"
        page.wait_for_timeout(50)


def note_refusals(tab: Page, refused: list[str]) -> None:
    """Collect what the browser refuses to load or run in a tab."""
    tab.on(
        "console",
        lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None,
    )


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of its own visitor; a test fails if the page's own scripts do, or if the page needs
    what the server's security policy forbids."""
    context = browser.new_context(viewport={"width": 1440, "height": 1800})
    tab = context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    note_refusals(tab, errors)
    yield tab
    context.close()
    assert errors == []
