"""The cookie that tells a reload from somebody else's visit."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import Receive, Scope, Send

from ddrs_core.dashboard.visitor import VisitorCookie
from tests.dashboard.apart import run_apart


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    answer = JSONResponse({}) if scope["path"] == "/data" else HTMLResponse("<p>page</p>")
    await answer(scope, receive, send)


def get(path: str, cookie: str = "") -> dict[str, str]:
    """Headers of the answer to one request through the middleware."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    headers = [(b"cookie", cookie.encode())] if cookie else []
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
    run_apart(VisitorCookie(site)(scope, receive, send))
    return {k.decode(): v.decode() for k, v in sent[0]["headers"]}


def test_a_browser_gets_one_cookie_with_its_first_page_and_keeps_it() -> None:
    assert "set-cookie" not in get("/data")
    header = get("/")["set-cookie"]
    assert "HttpOnly" in header
    assert "SameSite=Lax" in header
    assert "set-cookie" not in get("/", cookie=f"other=1; {header.split(';')[0]}")


def test_browsers_differ() -> None:
    assert get("/")["set-cookie"] != get("/")["set-cookie"]
