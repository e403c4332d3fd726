"""The signed cookie that tells a reload from somebody else's visit."""

from __future__ import annotations

import re
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from itsdangerous import TimestampSigner
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send
from streamlit.testing.v1 import AppTest

from ddrs_core.dashboard.shell import visitor as module
from ddrs_core.dashboard.shell.my_uploads import my_uploads, remember_upload
from ddrs_core.dashboard.shell.visitor import (
    LIFETIME,
    NO_COOKIE,
    VisitorCookie,
    cookie_name,
    visitor,
)
from tests.coroutines import run_in_thread

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(st, "session_state", {})
    return tmp_path / "home"


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    """A page that a browser may keep, and data."""
    headers = dict(scope["headers"])
    answer: Response = HTMLResponse("<p>page</p>", headers={"etag": "1"})
    if scope["path"] == "/data":
        answer = JSONResponse({})
    elif b"if-none-match" in headers:
        answer = Response(status_code=304)
    await answer(scope, receive, send)


def get(path: str, *, scheme: str = "http", **headers: str) -> dict[str, str]:
    """Headers of the answer to one request through the middleware."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    lines = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "headers": lines, "scheme": scheme}
    run_in_thread(VisitorCookie(site)(scope, receive, send))
    return {k.decode(): v.decode() for k, v in sent[0]["headers"]}


def new_cookie() -> str:
    """As a browser would send it."""
    return get("/")["set-cookie"].partition(";")[0]


def who_sends(cookie: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The visitor that a page sees."""
    name, _, value = cookie.partition("=")
    monkeypatch.setattr(st, "context", SimpleNamespace(cookies={name: value}))
    return visitor()


def test_a_browser_gets_one_cookie_with_its_first_page_and_keeps_it() -> None:
    assert "set-cookie" not in get("/data")
    header = get("/")["set-cookie"]
    (cookie,) = SimpleCookie(header).values()
    assert int(cookie["max-age"]) == LIFETIME == 365 * 24 * 3600
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert not cookie["secure"]
    assert get("/", scheme="https")["set-cookie"].endswith("; Secure")
    assert "set-cookie" not in get("/", cookie=f"other=1; {header.split(';')[0]}")


def test_browsers_differ_and_each_is_the_same_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = new_cookie(), new_cookie()
    me = who_sends(one, monkeypatch)
    assert re.fullmatch("[0-9a-f]{16}", me)
    assert who_sends(other, monkeypatch) != me
    module._signer.cache_clear()  # as a new process
    assert who_sends(one, monkeypatch) == me


def test_a_browser_that_kept_the_page_but_not_the_cookie_gets_one() -> None:
    """An answer that nothing has changed would leave it without."""
    assert "set-cookie" in get("/", if_none_match="1")
    assert "set-cookie" not in get("/", if_none_match="1", cookie=new_cookie())


def test_a_cookie_is_renewed_in_time_and_names_the_same_visitor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cookie = new_cookie()
    me = who_sends(cookie, monkeypatch)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LIFETIME - 10)
    renewed = get("/", cookie=cookie)["set-cookie"].partition(";")[0]
    assert renewed != cookie
    assert who_sends(renewed, monkeypatch) == who_sends(cookie, monkeypatch) == me
    monkeypatch.setattr(time, "time", lambda: now + LIFETIME + 10)
    assert who_sends(cookie, monkeypatch) != me
    assert who_sends(renewed, monkeypatch) == me


@pytest.mark.parametrize("forge", ["token", "other key", "unsigned", "empty"])
def test_a_forged_cookie_counts_as_none(forge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, value = new_cookie().partition("=")
    me = who_sends(f"{name}={value}", monkeypatch)
    token = value.partition(".")[0]
    forged = {
        "token": f"x{value}",
        "other key": TimestampSigner(b"0" * 32, salt="ddrs.visitor").sign(token).decode(),
        "unsigned": token,
        "empty": "",
    }[forge]
    st.session_state.clear()
    assert who_sends(f"{name}={forged}", monkeypatch) != me
    assert get("/", cookie=f"{name}={forged}")["set-cookie"].partition("=")[0] == name


def test_those_without_a_cookie_are_not_one_person(monkeypatch: pytest.MonkeyPatch) -> None:
    one = who_sends("other=1", monkeypatch)
    assert who_sends("other=1", monkeypatch) == one  # as long as the session lasts
    monkeypatch.setattr(st, "session_state", {})
    assert who_sends("other=1", monkeypatch) != one


def test_the_key_is_readable_by_its_user_alone(own_home: Path) -> None:
    cookie_name()
    path = own_home / "cookie-secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_bytes()
    path.chmod(0o644)
    module._signer.cache_clear()
    cookie_name()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == kept
    assert len(kept) >= 32


def test_a_key_that_was_cut_off_is_replaced(own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "cookie-secret").write_bytes(b"short")
    cookie_name()
    assert len((own_home / "cookie-secret").read_bytes()) >= 32


def test_servers_that_start_at_once_agree_on_one_key(own_home: Path) -> None:
    together = threading.Barrier(8)

    def start(_: int) -> bytes:
        together.wait()
        return module._load_secret(own_home)  # past the memory of this process

    with ThreadPoolExecutor(8) as servers:
        assert len(set(servers.map(start, range(8)))) == 1


def test_servers_of_one_host_leave_each_others_cookies_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser sends a cookie to every port of a host."""
    here = cookie_name()
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "another"))
    assert cookie_name() != here


def test_without_a_folder_for_the_key_the_server_works_and_says_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "file"))
    cookie = new_cookie()
    assert who_sends(cookie, monkeypatch) == who_sends(cookie, monkeypatch)
    assert "can no longer steer" in caplog.text


def test_uploads_are_remembered_by_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = new_cookie()
    who_sends(cookie, monkeypatch)
    for name in ("one", "two", "one"):
        remember_upload("picture", name)
    module._signer.cache_clear()
    st.session_state.clear()
    who_sends(cookie, monkeypatch)
    assert my_uploads("picture") == ["one", "two"]
    assert my_uploads("model") == []
    who_sends(new_cookie(), monkeypatch)
    assert my_uploads("picture") == []


def test_pages_work_when_the_database_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DDRS_DATABASE_URL", f"sqlite:///{tmp_path}")  # a folder
    who_sends(new_cookie(), monkeypatch)
    remember_upload("model", "mine")
    assert my_uploads("model") == []
    assert "cannot be opened" in caplog.text


def test_a_visitor_without_a_cookie_is_told_what_that_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()  # a session of its own
    app = AppTest.from_file(str(ROOT / "ddrs_core/dashboard/main.py"), default_timeout=60).run()
    assert not app.exception
    assert NO_COOKIE in [info.value for info in app.info]
