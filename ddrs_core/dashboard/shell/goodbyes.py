"""A browser that leaves is no error.

Streamlit 1.67 goes on reading from a connection on which it could not send any more, takes the
complaint of newer versions of Starlette for a broken protocol, and leaves pages of tracebacks in
the server's log whenever somebody closes a tab at the wrong moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class QuietGoodbyes:
    """ASGI middleware: complaints about a connection whose browser has left end with it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        has_left = False

        async def receive_and_note() -> Message:
            nonlocal has_left
            message = await receive()
            has_left = has_left or message["type"] == "websocket.disconnect"
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal has_left
            try:
                await send(message)
            except OSError:
                has_left = True
                raise

        try:
            await self.app(scope, receive_and_note, send_and_note)
        except RuntimeError:
            if not has_left:
                raise
