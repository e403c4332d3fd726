"""Measures a class on a server of its own: python -m tests.server.class_on_a_server MODE N SECONDS.

Modes: ``own``, N visitors who each open their own image, watch, and now and then run another one
for SECONDS; ``link``, the same with one shared link that everybody only watches and runs; ``soak``,
N visits that leave as soon as the page is drawn, and SECONDS of rest; ``course``, N students who
walk through all lessons and answer every question, in three rounds of SECONDS each, while one more
visitor runs jobs in the explorer. Prints the times of opening, of ticks and of presses (median,
95 % quantile, largest), errors, and what the server holds; of a course also after each round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ddrs_core.dashboard.learn.course import LESSONS
from ddrs_core.paths import HOME_VARIABLE
from tests.browser.conftest import start_server
from tests.server.client import Tab, receive_cookies

_VIEW = "dataset=digits&model=digits-gaussian-0.50"
_IMAGES = 500
_LOOK_SECONDS = (0.2, 0.5)  # a browser on a busy machine ticks about so often
_PRESS_SECONDS = (5.0, 12.0)


@dataclass
class Measured:
    """Seconds that visitors waited, and what went wrong."""

    opens: list[float] = field(default_factory=list)
    ticks: list[float] = field(default_factory=list)
    presses: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def follow_lesson(server: str, query: str, own: bool, until: float, to: Measured) -> None:
    """One visitor: opens a page, watches, and presses Run every few seconds.

    Args:
        server: its address.
        query: of the page's address.
        own: whether they choose another image before they press.
        until: when they leave, by ``time.monotonic``.
        to: what they notice is added here.
    """
    rng = random.Random(query)
    cookies = await asyncio.to_thread(receive_cookies, server, "explorer")
    tab = Tab(server, "explorer", query, cookies)
    try:
        to.opens.append(await tab.open())
        press_at = time.monotonic() + rng.uniform(*_PRESS_SECONDS)
        while time.monotonic() < until:
            await asyncio.sleep(rng.uniform(*_LOOK_SECONDS))
            if tab.is_moving:
                to.ticks.append(await tab.tick())
            if time.monotonic() > press_at:
                press_at = time.monotonic() + rng.uniform(*_PRESS_SECONDS)
                if own:
                    to.presses.append(await tab.enter("Image", rng.randrange(_IMAGES)))
                to.presses.append(await tab.press("Run"))
            to.errors += tab.errors
        await tab.close()
    except Exception as error:
        to.errors.append(repr(error))


async def visit(server: str, query: str, to: Measured) -> None:
    """One visitor who leaves as soon as the page is drawn."""
    tab = Tab(server, "explorer", query, await asyncio.to_thread(receive_cookies, server))
    try:
        to.opens.append(await tab.open())
        to.errors += tab.errors
        await tab.close()
    except Exception as error:
        to.errors.append(repr(error))


async def make_visits(server: str, visits: int, at_once: int, to: Measured) -> None:
    """Many visits to different images, a few at a time."""
    gate = asyncio.Semaphore(at_once)

    async def make(number: int) -> None:
        async with gate:
            await visit(server, f"{_VIEW}&image={number % _IMAGES}", to)

    await asyncio.gather(*(make(number) for number in range(visits)))


async def shared_link(server: str) -> str:
    """What the address of a teacher says who has opened an image and copies it."""
    tab = Tab(server, "explorer", f"{_VIEW}&image=3", receive_cookies(server))
    await tab.open()
    await tab.close()
    return tab.query


async def take_course(server: str, seconds: float, to: Measured) -> None:
    """One student: presses Next through all lessons, and answers what is asked."""
    rng = random.Random(len(to.opens))
    cookies = await asyncio.to_thread(receive_cookies, server, "learn")
    tab = Tab(server, "learn", f"lesson={LESSONS[0].name}&step=1", cookies)
    screens = sum(lesson.length for lesson in LESSONS) + 2 * len(LESSONS)
    try:
        to.opens.append(await tab.open())
        for lesson in LESSONS:
            for _ in range(lesson.length):
                if tab.shown("radio"):
                    answer = rng.choice(lesson.question.answers).text
                    to.presses.append(await tab.enter("Answers", answer))
                    to.presses.append(await tab.press("Check"))
                    assert tab.says(r"Right\.|Not quite\."), f"no verdict on {lesson.name}"
                await asyncio.sleep(rng.uniform(0.5, 1.5) * seconds / screens)
                (following,) = (
                    e.button.label
                    for e in tab.shown("button")
                    if e.button.id.endswith("learn_next")
                )
                to.presses.append(await tab.press(following))
                to.errors += tab.errors
        assert "lesson" not in tab.address, f"the course ends at {tab.query}"
        await tab.close()
    except Exception as error:
        to.errors.append(repr(error))


async def measure_course(
    server: str, students: int, seconds: float, held: psutil.Process
) -> Measured:
    """Three rounds; what is left of a round when everybody has gone is said after it."""
    measured, other = Measured(), Measured()
    for number in range(1, 4):
        until = time.monotonic() + seconds
        job = asyncio.create_task(
            follow_lesson(server, f"{_VIEW}&seed={number}", True, until, other)
        )
        await asyncio.gather(*(take_course(server, seconds, measured) for _ in range(students)))
        await job
        print(f"after round {number}: {_held(held)}")
    measured.errors += other.errors
    measured.ticks += other.ticks
    return measured


async def measure(mode: str, sessions: int, seconds: float, server: str) -> Measured:
    """Play one of the modes."""
    measured = Measured()
    if mode == "soak":
        await make_visits(server, sessions, 1, measured)
        await asyncio.sleep(seconds)
        return measured
    link = await shared_link(server) if mode == "link" else None
    until = time.monotonic() + seconds
    own = [f"{_VIEW}&image={i * 7 % _IMAGES}&seed={i}" for i in range(sessions)]
    await asyncio.gather(
        *(follow_lesson(server, link or query, not link, until, measured) for query in own)
    )
    return measured


def _times(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    if not ordered:
        return f"{name}: none"
    half, most = (ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.5, 0.95))
    return (
        f"{name}: {len(ordered):,}, p50 {1000 * half:,.0f} ms, p95 {1000 * most:,.0f} ms, "
        f"max {1000 * ordered[-1]:,.0f} ms"
    )


def _held(server: psutil.Process) -> str:
    used = server.cpu_times()
    return (
        f"{server.memory_info().rss / 1e6:,.0f} MB, {server.num_threads()} threads, "
        f"{server.num_fds()} descriptors, {used.user + used.system:,.1f} s of CPU"
    )


def main() -> None:
    """Read the command line, start a server, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["own", "link", "soak", "course"])
    parser.add_argument("sessions", type=int, nargs="?", default=30)
    parser.add_argument("seconds", type=float, nargs="?", default=60.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ddrs-class-") as folder:
        process, url = start_server(Path(folder), {HOME_VARIABLE: folder})
        try:
            asyncio.run(measure("own", 1, 10.0, url))  # the models are loaded, as in a lesson
            server = psutil.Process(process.pid)
            before = _held(server)
            playing = (
                measure_course(url, chosen.sessions, chosen.seconds, server)
                if chosen.mode == "course"
                else measure(chosen.mode, chosen.sessions, chosen.seconds, url)
            )
            measured = asyncio.run(playing)
            print(f"{chosen.mode}, {chosen.sessions} sessions, load {os.getloadavg()[0]:.1f}")
            print(_times("opens", measured.opens))
            print(_times("ticks", measured.ticks))
            print(_times("presses", measured.presses))
            print(f"server before: {before}")
            print(f"server after:  {_held(server)}")
            print(f"errors: {len(measured.errors)} {sorted(set(measured.errors))[:5]}")
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    main()
