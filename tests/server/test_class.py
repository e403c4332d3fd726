"""A class on one server: a stale shared link, and visits that leave, fill nothing up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from ddrs_core.paths import HOME_VARIABLE
from tests.browser.conftest import start_server
from tests.coroutines import run_in_thread
from tests.server.class_on_a_server import Measured, make_visits, shared_link
from tests.server.client import Tab, receive_cookies

_JOBS = 60  # that the server holds; by itself it would hold 400
_SESSIONS = 12
_RUNS = 6  # of the page in each session; 12 x 6 copies would be too many for the server
_VISITS = 75
_AT_ONCE = 6
_SMALL = f"from ddrs_core.jobs import get_manager; get_manager().max_jobs = {_JOBS}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a fresh server with room for few jobs."""
    folder = tmp_path_factory.mktemp("class")
    process, address = start_server(folder, {HOME_VARIABLE: str(folder)}, before=_SMALL)
    yield address
    process.terminate()
    process.wait(20)


@pytest.mark.slow
def test_a_stale_link_that_a_class_opens_fills_nothing(server: str) -> None:
    async def follow(query: str) -> Tab:
        tab = Tab(server, "explorer", query, await asyncio.to_thread(receive_cookies, server))
        await tab.open()
        for _ in range(_RUNS):
            await tab.rerun()
            assert tab.errors == []
        return tab

    async def lesson() -> None:
        teacher = Tab(server, "explorer", await shared_link(server), receive_cookies(server))
        await teacher.open()
        job = teacher.address["job"]
        # A browser that forgets a message after few runs may do so while the answer that refers to
        # it is on its way; nothing of the page works any more then.
        assert teacher.kept_runs >= 20
        stale = urlencode({**teacher.address, "image": "4"})  # they chose another image since
        tabs = await asyncio.gather(*(follow(stale) for _ in range(_SESSIONS)))
        await teacher.enter("Image", 5)
        await teacher.press("Run")
        assert teacher.errors == []
        assert all(tab.address.get("job") != job for tab in tabs)
        await teacher.watch()
        await teacher.enter("Image", 6)
        assert "job" not in teacher.address  # the link that they copy now is not stale
        await teacher.enter("Image", 3)
        assert teacher.address["job"] == job  # whoever comes back finds the result
        for tab in (*tabs, teacher):
            await tab.close()

    run_in_thread(lesson())


@pytest.mark.slow
def test_visits_that_leave_make_room_for_whoever_comes(server: str) -> None:
    measured = Measured()
    run_in_thread(make_visits(server, _VISITS, _AT_ONCE, measured))
    assert measured.errors == []
    assert len(measured.opens) == _VISITS

    async def newcomer() -> None:
        tab = Tab(
            server,
            "explorer",
            "dataset=digits&model=digits-gaussian-0.25&image=42",
            receive_cookies(server),
        )
        await tab.open()
        await tab.watch()
        await tab.press("Certify σ₀ and σ*")
        await tab.watch()
        assert tab.errors == []
        assert len(tab.address["certify"].split(",")) == 2
        (heartbeat,) = tab.timers  # at rest the page still says that somebody looks at it
        await tab.rerun(fragment=heartbeat)
        assert tab.errors == []
        await tab.close()

    run_in_thread(newcomer())
