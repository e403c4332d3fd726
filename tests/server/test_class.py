"""A class on one server: a stale shared link, and visits that leave, fill nothing up; a job that
nobody looks at holds nobody up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import psutil
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
_LEASE = 4.0  # seconds for which a job goes on that nobody looks at; by itself 90
_SMALL = f"""
from ddrs_core.jobs import get_manager
get_manager().max_jobs, get_manager().lease = {_JOBS}, {_LEASE}
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[psutil.Process, str]]:
    """A fresh server with room for few jobs, and its address."""
    folder = tmp_path_factory.mktemp("class")
    process, address = start_server(folder, {HOME_VARIABLE: str(folder)}, before=_SMALL)
    yield psutil.Process(process.pid), address
    process.terminate()
    process.wait(20)


@pytest.fixture
def server(started: tuple[psutil.Process, str]) -> str:
    return started[1]


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


def steps_of(tab: Tab) -> int:
    found = tab.find(r"(\d+) of \d+ steps")
    assert found is not None
    return int(found[1])


@pytest.mark.slow
def test_a_job_that_is_left_yields_ends_and_goes_on_when_its_visitor_is_back(
    started: tuple[psutil.Process, str],
) -> None:
    process, server = started
    cookies = receive_cookies(server)

    async def used(seconds: float) -> float:
        """Processor seconds of the server meanwhile."""
        before = sum(process.cpu_times()[:2])
        await asyncio.sleep(seconds)
        return sum(process.cpu_times()[:2]) - before

    async def leave_and_come_back() -> None:
        left = Tab(server, "explorer", "image=14&preset=authors-package", cookies)
        await left.open()
        assert left.is_moving  # for about a minute
        await left.close()
        other = Tab(server, "explorer", "image=15&n=1000", receive_cookies(server))
        began = time.monotonic()
        await other.open()
        await other.watch()
        assert other.says("done")
        assert time.monotonic() - began < 30
        await other.close()
        await asyncio.sleep(_LEASE + 1)
        assert await used(3) < 0.5
        back = Tab(server, "explorer", left.query, cookies)
        await back.open()
        assert back.address["job"] == left.address["job"]
        assert back.is_moving
        stood = steps_of(back)
        for _ in range(40):
            await back.tick()
            await asyncio.sleep(0.1)
        assert steps_of(back) > stood > 0
        await back.press("Cancel")
        await back.close()

    run_in_thread(leave_and_come_back())
