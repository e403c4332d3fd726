"""Pages as ``app.py`` serves them: with its patches of Streamlit, and to a browser that has the
cookie of its middleware."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from starlette.responses import HTMLResponse
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime import context
from streamlit.testing.v1 import AppTest

import app as entry
from ddrs_core.dashboard.shell.streamlit_patches import patch_streamlit
from ddrs_core.paths import home
from tests.coroutines import run_in_thread

MAIN = Path(entry.__file__).parent / "ddrs_core/dashboard/main.py"


class Browsers:
    """Browsers by name, each with the cookie that it got with its first page."""

    def __init__(self) -> None:
        self.used = "mine"  # the one that visits pages now
        self._cookies: dict[tuple[Path, str], dict[str, str]] = {}

    def context(self) -> Any:
        """What Streamlit knows of the browser whose page it draws."""
        key = (home(), self.used)
        if key not in self._cookies:
            self._cookies[key] = first_cookie()
        return SimpleNamespace(cookies=self._cookies[key], headers=[])


@pytest.fixture(autouse=True)
def browsers(monkeypatch: pytest.MonkeyPatch) -> Browsers:
    made = Browsers()
    monkeypatch.setattr(context, "_get_client_context", made.context)
    return made


@pytest.fixture(autouse=True, scope="session")
def components() -> Iterator[None]:
    """A server looks for components in the installed packages once, every AppTest would again."""
    once = cache(manifest_scanner.scan_component_manifests)
    with patch.object(manifest_scanner, "scan_component_manifests", once):
        yield


@pytest.fixture
def app() -> AppTest:
    assert patch_streamlit(), "this Streamlit's source differs: adapt streamlit_patches.py"
    return AppTest.from_file(str(MAIN), default_timeout=120)


def first_cookie() -> dict[str, str]:
    """The cookie that comes with a page, through all of ``app.py``'s middleware."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    page: Any = HTMLResponse("a page")
    for part in reversed(entry.MIDDLEWARE):
        page = part.cls(page, *part.args, **part.kwargs)
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "scheme": "http",
        "headers": [(b"host", b"localhost:8501")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8501),
    }
    run_in_thread(page(scope, receive, send))
    assert sent[0]["status"] == 200
    headers = dict(sent[0]["headers"])
    name, _, value = headers[b"set-cookie"].decode().partition(";")[0].partition("=")
    return {name: value}
