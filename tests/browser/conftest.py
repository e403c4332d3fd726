"""A real server and a real browser."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlparse

import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from ddrs_core.paths import ALLOWED_VARIABLE, HOME_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
_BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
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

# Streamlit's front end says so, rarely, most likely of a tick whose container a change of the page
# has just removed; what the page shows is checked by the tests themselves.
_VOID_TICK = "Cannot set a node at a delta path"

DONE = re.compile(r"done · \d+ of \d+ (step|round)s")  # of a sigma strategy; rounds may end early

# A run that gives way to pages would wait for the other tests, too.
_AS_NICE = "from ddrs_core.jobs import processes; processes._NICENESS = 0"

_NOWHERE = "http://127.0.0.1:9"  # the port "discard": nobody answers

expect.set_options(timeout=120_000)  # of what computes, beside three other workers on two cores


def start_server(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    root: Path = ROOT,
    *,
    before: str = "",
) -> tuple[subprocess.Popen[bytes], str]:
    """A fresh server of a checkout on a free port, which logs to ``server.log`` in ``folder``.

    ``before`` is run in its process before it starts.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        f"{before}\nfrom streamlit.web.cli import main\nmain()",
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


@dataclass(frozen=True)
class Server:
    """A running dashboard, and the folder in which it has all of its files."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def database(self) -> str:
        return f"sqlite:///{self.home}/ddrs.sqlite3"

    @property
    def opened(self) -> Path:
        """The folder below which visitors may open files."""
        return self.folder / "opened"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def end_runs(self) -> None:
        """Kill what certifies or trains in processes of its own."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if process.cmdline()[1:3] == ["-m", "ddrs_core"]:
                    process.kill()


@contextmanager
def own_server(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A dashboard that has all of its files in ``folder``, and no way to the network."""
    for name in ("opened", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE)
    own = {
        HOME_VARIABLE: str(folder / "home"),
        ALLOWED_VARIABLE: str(folder / "opened"),
        "TMPDIR": str(folder / "tmp"),
        "no_proxy": "127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
        **nowhere,
    }
    process, url = start_server(folder, {**own, **(environment or {})}, before=_AS_NICE)
    server = Server(process, url, folder)
    try:
        yield server
    finally:
        server.end_runs()
        process.terminate()
        process.wait(20)
    assert "Traceback" not in server.log


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One dashboard for all tests of a worker."""
    with own_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """A running dashboard, in which a test leaves nothing that computes, and no error."""
    before = len(shared_server.log)
    yield shared_server
    shared_server.end_runs()
    assert "Traceback" not in shared_server.log[before:]


@pytest.fixture
def url(server: Server) -> str:
    """Address of a running dashboard."""
    return server.url


@contextmanager
def open_browser(*more: str) -> Iterator[Browser]:
    """Chromium: the machine's own, else the one that playwright installed."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=found, headless=True, args=[*_ARGUMENTS, *more]
        )
        # Without motion it does not paint 60 times a second while something is under way.
        made.new_context = partial(made.new_context, reduced_motion="reduce")
        made.new_page = partial(made.new_page, reduced_motion="reduce")
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
        page.wait_for_timeout(100)


def at_rest(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    page.wait_for_timeout(300)  # in which the browser asks for the run
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def progress(page: Page) -> Locator:
    return page.locator(".ddrs-progress").first


def expand(page: Page, title: str) -> Locator:
    """Open the expander of this title."""
    part = page.get_by_test_id("stExpander").filter(has=page.get_by_text(title, exact=True)).first
    part.locator("summary").click()
    return part


def query_of(page: Page) -> dict[str, str]:
    """What the page's address says after the question mark."""
    return dict(parse_qsl(urlparse(page.url).query))


def address_says(page: Page, **wanted: str) -> None:
    """Wait until the page's address has these values; the server writes it after what it draws."""
    deadline = time.monotonic() + 30
    while {name: query_of(page).get(name) for name in wanted} != wanted:
        assert time.monotonic() < deadline, f"{page.url} does not say {wanted}"
        page.wait_for_timeout(100)


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
    tab.on("pageerror", lambda error: errors.append(error.stack or error.message))
    note_refusals(tab, errors)
    yield tab
    context.close()
    left = [error for error in errors if _VOID_TICK not in error]
    assert not left, "\n".join(left)
