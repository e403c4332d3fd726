"""What browsers are told to refuse, and the host names that the server answers to.

There are no accounts here (see ``docs/deployment.md``); these defences need none.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import socket
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketClose

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nobody can publish a name below these in the public DNS (RFC 6761, 6762, 8375 and common routers).
_PRIVATE_SUFFIXES = (
    ".localhost",
    ".local",
    ".localdomain",
    ".lan",
    ".home",
    ".home.arpa",
    ".internal",
)
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class SecurityHeaders:
    """ASGI middleware: adds the security headers that Streamlit bears to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",  # addresses name uploads
            "Content-Security-Policy": content_security_policy(),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with the headers added."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


@lru_cache(maxsize=1)
def content_security_policy() -> str:
    """The strictest policy under which Streamlit's pages and our components work.

    Components' scripts come as blobs. Styles are written by scripts (emotion, plotly).
    """
    page = (Path(st.__file__).parent / "static" / "index.html").read_bytes()
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in _INLINE_SCRIPT.findall(page)
    ]
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(["script-src 'self' blob:", *hashes]),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    )


class KnownHosts:
    """ASGI middleware: refuses requests for a host name that somebody else may own.

    A page of another site whose name is made to resolve to this server's address (DNS rebinding)
    would count as the same origin. Such a name is in the public DNS, so addresses, names without
    a dot, private suffixes and this machine's own name are answered, and whatever else
    ``server.allowedHosts`` of Streamlit names.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is meant for this server."""
        host = Headers(scope=scope).get("host") if scope["type"] in ("http", "websocket") else None
        if host is None or is_known_host(host):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        else:
            text = (
                f"This server does not answer to the name {host[:200]!r}. Whoever runs it can "
                "allow that with the option --server.allowedHosts, see docs/deployment.md."
            )
            await PlainTextResponse(text, 400)(scope, receive, send)


def is_known_host(host: str) -> bool:
    """Whether a Host header names this server, as far as anybody can tell."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if _is_address(name) or name.endswith(_PRIVATE_SUFFIXES):
        return True
    allowed = [entry.strip().lower().rstrip(".") for entry in st.get_option("server.allowedHosts")]
    own = [socket.gethostname().lower(), str(st.get_option("browser.serverAddress")).lower()]
    if name in (*allowed, *own) or "*" in allowed:
        return True
    if any(entry.startswith("*.") and name.endswith(entry[1:]) for entry in allowed):
        return True
    return bool(name) and "." not in name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
