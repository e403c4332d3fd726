"""Who is at the page: a signed cookie that tells a reload from somebody else's visit.

It names a browser, not a person. A browser that returns within a year finds its own runs, banks,
logs and uploads again, while somebody who opens a shared link gets a copy that they steer for
themselves. The key that signs cookies lies in the user's data folder (``cookie-secret``).

Starlette's ``SessionMiddleware`` cannot serve here: Streamlit installs its own one further inside,
and both would write to the same ``scope["session"]``. The signer is the one that it uses.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st
from filelock import FileLock
from itsdangerous import BadSignature, TimestampSigner
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection

from ddrs_core.atomic_write import write_atomically
from ddrs_core.errors import DDRSError
from ddrs_core.paths import home

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LIFETIME = 365 * 24 * 3600  # seconds
NO_COOKIE = (
    "This browser keeps no cookie of this server, so it cannot tell you from others later: what "
    "you start, store or upload now is yours only until you reload or close this tab. Runs go on, "
    "but you can then no longer find, pause or delete them. Allow cookies here and reload."
)
_LOG = logging.getLogger(__name__)
_RENEW_AFTER = 30 * 24 * 3600  # seconds; a browser that comes every month never loses its cookie
_SECRET = "cookie-secret"  # file in the user's data folder
_SECRET_BYTES = 32
_LOCK_SECONDS = 10.0
_SESSION_TOKEN = "visitor_token"  # of a session whose browser sent no valid cookie
_CONDITIONAL = (b"if-none-match", b"if-modified-since")


class _Cookie(NamedTuple):
    token: str
    age: float  # seconds since it was signed


def visitor() -> str:
    """This browser, as 16 hex digits; without a valid cookie, this session alone."""
    cookie = _read_cookie(st.context.cookies)
    if cookie is None:
        token = str(st.session_state.setdefault(_SESSION_TOKEN, secrets.token_urlsafe(16)))
    else:
        token = cookie.token
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def has_cookie() -> bool:
    """Whether the browser sent a cookie that this server signed."""
    return _read_cookie(st.context.cookies) is not None


def cookie_name() -> str:
    """Name of the cookie; servers with different keys on one host do not overwrite each other's,
    since browsers send cookies to every port of a host."""
    _, name = _signer(home())
    return name


class VisitorCookie:
    """ASGI middleware: gives the cookie along with the page itself, and renews an old one.

    Later answers would be too late, since the page's connection carries the cookies that the
    browser had when it was opened.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with the cookie added to HTML for browsers that need one."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        cookie = _read_cookie(HTTPConnection(scope).cookies)
        if cookie is not None and cookie.age < _RENEW_AFTER:
            await self.app(scope, receive, send)
            return
        token = secrets.token_urlsafe(16) if cookie is None else cookie.token
        # A browser that kept the page but not the cookie would be told that nothing has changed.
        headers = [(name, value) for name, value in scope["headers"] if name not in _CONDITIONAL]

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                if answer.get("content-type", "").startswith("text/html"):
                    answer.append("set-cookie", _set_cookie(token, scope["scheme"]))
                    answer["cache-control"] = "no-store"  # one cookie, one browser
            await send(message)

        await self.app({**scope, "headers": headers}, receive, send_with_cookie)


def _set_cookie(token: str, scheme: str) -> str:
    signer, name = _signer(home())
    value = signer.sign(token).decode()
    secure = "; Secure" if scheme == "https" else ""
    return f"{name}={value}; Path=/; Max-Age={LIFETIME}; HttpOnly; SameSite=Lax{secure}"


def _read_cookie(cookies: Mapping[str, str]) -> _Cookie | None:
    """The cookie, if this server signed it within a year."""
    signer, name = _signer(home())
    value = cookies.get(name)
    if not isinstance(value, str):
        return None
    try:
        token, signed = signer.unsign(value, max_age=LIFETIME, return_timestamp=True)
    except BadSignature:  # forged, older than a year, or of another key
        return None
    return _Cookie(token.decode(), time.time() - signed.timestamp())


@lru_cache(maxsize=4)
def _signer(folder: Path) -> tuple[TimestampSigner, str]:
    """What signs cookies, and the name of those that it signs."""
    secret = _load_secret(folder)
    name = f"ddrs_visitor_{hashlib.sha256(secret).hexdigest()[:8]}"
    signer = TimestampSigner(secret, salt="ddrs.visitor", digest_method=hashlib.sha256)
    return signer, name


def _load_secret(folder: Path) -> bytes:
    """The key in ``folder``, made by whoever is first; readable by this user alone."""
    path = folder / _SECRET
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{_SECRET}.lock", timeout=_LOCK_SECONDS):
            if not path.exists() or path.stat().st_size < _SECRET_BYTES:
                write_atomically(path, secrets.token_bytes(_SECRET_BYTES))
            if path.stat().st_mode & 0o077 and os.name == "posix":
                _LOG.warning("%s could be read by others of this machine; no longer.", path)
                path.chmod(0o600)
            return path.read_bytes()
    except (OSError, DDRSError) as error:  # a lock that nobody gives back is an OSError, too
        _LOG.warning(
            "%s cannot be used (%s). Cookies are signed with a key in memory: when this server "
            "ends, its visitors can no longer steer or delete what is theirs.",
            path,
            error,
        )
        return secrets.token_bytes(_SECRET_BYTES)
