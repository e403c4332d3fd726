"""The explorer's links: what they restore, who shares a job, and what is wrong with some."""

from __future__ import annotations

import asyncio
import re
import time
from urllib.parse import parse_qs, urlencode

import pytest

from tests.browser.conftest import Server
from tests.coroutines import run_in_thread
from tests.server.client import Tab, open_tab, receive_cookies

pytestmark = pytest.mark.slow

DONE = r"done \S+ \d+ of \d+ (step|round)s"


def steps_shown(tab: Tab, state: str) -> int:
    """Steps of a job in this state that the page shows."""
    texts = [str(element) for element in tab.shown("bidi_component")]
    found = re.search(rf"{state} \S+ (\d+) of \d+ (step|round)s", "\n".join(texts))
    assert found is not None, f"nothing is {state}"
    return int(found[1])


async def steps_once(tab: Tab, state: str) -> int:
    """Steps of a job as soon as it is in this state: others may be before it in the queue."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        await tab.tick()
        if tab.find(rf"{state} \S+ \d+ of \d+ (step|round)s"):
            break
        await asyncio.sleep(0.1)
    return steps_shown(tab, state)


def test_a_shared_link_shows_the_same_and_steers_apart(server: Server) -> None:
    async def share() -> None:
        query = "image=21&sigma0=0.3&preset=guarded&steps=300&pace=3"
        teacher = await open_tab(server.url, "explorer", query)
        await teacher.press("Pause")
        stood = await steps_once(teacher, "paused")
        student = await open_tab(server.url, "explorer", teacher.query)
        assert steps_shown(student, "paused") == stood
        assert student.value("Image") == 21
        await student.press("Resume")
        assert await steps_once(student, "running") >= stood
        await teacher.rerun()
        assert steps_shown(teacher, "paused") == stood
        await student.close()
        await teacher.close()

    run_in_thread(share())


def test_every_choice_travels_in_the_link(server: Server) -> None:
    wanted = (
        "dataset=digits&model=digits-gaussian-0.25&device=cpu&image=33&preset=fast&sigma0=0.2"
        "&seed=7&n=1000&n0=50&alpha=0.01&bound=two-sided&lr=0.03&steps=25"
    )

    async def follow() -> None:
        tab = await open_tab(server.url, "explorer", wanted)
        await tab.watch()
        assert steps_shown(tab, "done") == 25
        for name, value in parse_qs(wanted).items():
            assert tab.address[name] == value[0]
        await tab.close()

    run_in_thread(follow())


def test_a_hostile_link_gets_sentences_and_a_working_page(server: Server) -> None:
    hostile = {
        "dataset": "../../etc",
        "model": "digits-gausian-0.50",
        "image": "99999",
        "sigma0": "nan",
        "n": "-5",
        "alpha": "7",
        "preset": "<script>",
        "job": "../x",
        "certify": "a,b,c",
        "device": "cuda:99",
        "lr": "inf",
    }

    async def follow() -> None:
        tab = Tab(server.url, "explorer", urlencode(hostile), receive_cookies(server.url))
        await tab.open()
        for text in (
            "no data set",
            "Did you mean",
            "Image 99999 does not exist",
            "finite number",
            "not a whole number",
            "must be below 1",
            "no preset",
            "device",
        ):
            assert tab.alerts(text), text
        await tab.watch()
        await tab.press("Run")
        await tab.watch()
        assert tab.says(DONE)
        await tab.close()

    run_in_thread(follow())
