"""What browsers are told to refuse, and which names the server answers to."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from ddrs_core.dashboard.shell.http_security import (
    KnownHosts,
    SecurityHeaders,
    content_security_policy,
    is_known_host,
)
from tests.coroutines import run_in_thread


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await PlainTextResponse("a page")(scope, receive, send)


def ask(host: str | None, kind: str = "http") -> list[Any]:
    """What the server says to a request for a host."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    headers = [] if host is None else [(b"host", host.encode())]
    scope = {"type": kind, "method": "GET", "path": "/", "headers": headers}
    run_in_thread(SecurityHeaders(KnownHosts(site))(scope, receive, send))
    return sent


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ``server.allowedHosts`` names."""
    names: list[str] = []
    options = {"server.allowedHosts": names, "browser.serverAddress": "Lab.example.org"}
    monkeypatch.setattr(st, "get_option", options.__getitem__)
    monkeypatch.setattr(socket, "gethostname", lambda: "Box.uni.example")
    return names


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8501",
        "127.0.0.1",
        "192.168.1.7:9000",
        "[::1]:8501",
        "box",
        "box.local:80",
        "BOX.lan",
        "app.localhost",
        "box.uni.example",
        "lab.example.org.:8501",
        "box.local.",
    ],
)
def test_names_that_nobody_else_can_publish_are_answered(host: str, allowed: list[str]) -> None:
    assert is_known_host(host)
    assert ask(host)[0]["status"] == 200
    assert ask(host, "websocket")[0]["type"] == "websocket.accept"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8501",
        "1.2.3.4.5",
        "uni.example",
        "x@evil.example",
        "",
        "[::1",
        ":8501",
        "evil.example/.local",
    ],
)
def test_a_name_that_may_be_made_to_resolve_here_is_refused(host: str, allowed: list[str]) -> None:
    assert not is_known_host(host)
    start, body = ask(host)
    assert start["status"] == 400
    assert b"--server.allowedHosts" in body["body"]
    assert ask(host, "websocket")[0]["type"] == "websocket.close"


def test_whoever_runs_the_server_may_allow_names(allowed: list[str]) -> None:
    allowed += ["App.example.com", "*.lab.example"]
    assert is_known_host("app.example.com:443")
    assert is_known_host("one.lab.example")
    assert not is_known_host("lab.example")
    assert not is_known_host("evil.example")
    allowed.append("*")
    assert is_known_host("evil.example")


def test_a_request_without_a_name_is_no_browsers(allowed: list[str]) -> None:
    assert ask(None)[0]["status"] == 200


@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_every_answer_carries_the_headers(host: str, allowed: list[str]) -> None:
    headers = {k.decode(): v.decode() for k, v in ask(host)[0]["headers"]}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["content-security-policy"] == content_security_policy()


def test_the_policy_lets_no_script_of_somebody_else_run_and_nobody_frame_the_page() -> None:
    policy = dict(part.split(" ", 1) for part in content_security_policy().split("; "))
    assert policy["frame-ancestors"] == policy["default-src"] == policy["connect-src"] == "'self'"
    assert policy["object-src"] == "'none'"
    scripts = policy["script-src"].split()
    assert scripts[:2] == ["'self'", "blob:"]
    assert all(source.startswith("'sha256-") for source in scripts[2:])
    page = (Path(st.__file__).parent / "static/index.html").read_text()
    assert page.count("<script>") == len(scripts[2:])  # Streamlit's inline scripts, and no other
