"""Who is at the page: a random cookie that tells a reload from somebody else's visit.

It names a browser, not a person, and is used for one thing: a reload finds its own jobs again,
while somebody who opens a shared link gets a copy that they steer for themselves.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import cookie_parser

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_COOKIE = "ddrs_visitor"


def visitor() -> str:
    """This browser, as 16 hex digits; the same for all that refuse the cookie."""
    cookie = str(st.context.cookies.get(_COOKIE, ""))
    return hashlib.sha256(cookie.encode()).hexdigest()[:16]


class VisitorCookie:
    """ASGI middleware: gives the cookie along with the page itself, once a browser.

    Later answers would be too late, since the page's connection carries the cookies that the
    browser had when it was opened.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with the cookie added to HTML for browsers that have none."""

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    value = secrets.token_urlsafe(16)
                    headers.append(
                        "set-cookie", f"{_COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax"
                    )
            await send(message)

        known = scope["type"] != "http" or _has_cookie(scope)
        await self.app(scope, receive, send if known else send_with_cookie)


def _has_cookie(scope: Scope) -> bool:
    sent = [v.decode("latin-1") for k, v in scope["headers"] if k == b"cookie"]
    return any(_COOKIE in cookie_parser(text) for text in sent)
