"""A browser that leaves at any moment leaves no traceback; other errors do."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from ddrs_core.dashboard.shell.streamlit_patches import QuietDisconnects
from tests.coroutines import run_in_thread


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """What Streamlit does: send from a task of its own, read on, and close when reading fails."""
    socket = WebSocket(scope, receive, send)
    await socket.accept()
    with suppress(WebSocketDisconnect):
        await socket.send_bytes(b"a figure")
    try:
        await socket.receive_bytes()
    except RuntimeError:
        await socket.close()


def visit(*, leaves: bool, wrapped: bool) -> None:
    """A visit by a browser that leaves while something is sent, or breaks the protocol."""

    async def receive() -> Any:
        return {"type": "websocket.connect"}  # again and again, which is an error

    async def send(message: Any) -> None:
        if leaves and message["type"] == "websocket.send":
            raise OSError("the browser has left")

    async def run() -> None:
        scope: Any = {"type": "websocket", "path": "/", "headers": []}
        await (QuietDisconnects(page) if wrapped else page)(scope, receive, send)

    run_in_thread(run())


def test_a_browser_that_leaves_is_no_error() -> None:
    with pytest.raises(RuntimeError, match="close message"):
        visit(leaves=True, wrapped=False)
    visit(leaves=True, wrapped=True)


def test_other_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    async def close(*_: object) -> None:
        raise RuntimeError("the protocol is broken")

    monkeypatch.setattr(WebSocket, "close", close)
    with pytest.raises(RuntimeError, match="protocol"):
        visit(leaves=False, wrapped=True)
