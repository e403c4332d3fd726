"""The queue of a device: first come, first served, and interactive work before all runs."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from ddrs_core.runs import device_queue
from ddrs_core.runs.device_queue import DeviceSlot, InteractiveLock

FORK = multiprocessing.get_context("fork")


class Clock:
    """Time that passes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(device_queue.time, "monotonic", lambda: self.now)


def test_turns_are_first_come_first_served(tmp_path: Path) -> None:
    with DeviceSlot(tmp_path, "cpu") as first, DeviceSlot(tmp_path, "cpu") as second:
        with DeviceSlot(tmp_path, "cuda:0") as elsewhere:
            assert elsewhere.take()
        assert not second.take()
        assert first.take()
        with DeviceSlot(tmp_path, "cpu") as third:
            assert (first.ahead(), second.ahead(), third.ahead()) == (0, 1, 2)
            assert not third.take()
            first.__exit__(None, None, None)
            assert not third.take()
            assert second.take()
            first.__enter__()
            assert first.ahead() == 2  # who comes again stands at the end
            assert not first.take()


def test_who_asked_first_goes_first_whenever_it_arrives(tmp_path: Path) -> None:
    with (
        DeviceSlot(tmp_path, "cpu", 10.0) as running,
        DeviceSlot(tmp_path, "cpu", 30.0) as late,
        DeviceSlot(tmp_path, "cpu", 20.0) as early,
    ):
        assert running.take()
        assert (running.ahead(), early.ahead(), late.ahead()) == (0, 1, 2)


def test_a_dead_runs_ticket_counts_no_more(tmp_path: Path) -> None:
    dead = tmp_path / f"{1:020d}-4194305-cpu.ticket"
    dead.write_text("")
    with DeviceSlot(tmp_path, "cpu") as turn:
        assert turn.ahead() == 0
        assert turn.take()
    assert not dead.exists()
    assert not list(tmp_path.glob("*.ticket"))


@pytest.mark.parametrize("seed", range(5))
def test_a_run_works_for_a_tenth_of_any_time_and_all_of_it_when_nobody_watches(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches take random times; others watch and leave at random moments, or never leave."""
    clock, rng = Clock(monkeypatch), random.Random(seed)
    watched = False
    slot = DeviceSlot(tmp_path, "cpu")
    monkeypatch.setattr(InteractiveLock, "is_held", lambda lock: watched)
    worked, since_left = 0.0, 0.0
    started = clock.now
    while clock.now - started < 300:
        if seed and rng.random() < 0.05:
            watched, since_left = not watched, clock.now
        if seed == 0:
            watched = True  # nobody ever leaves
        if slot.gives_way():
            assert watched or clock.now - since_left <= 0.5
            clock.now += 0.25
        else:
            batch = rng.uniform(0.01, 0.4)
            clock.now, worked = clock.now + batch, worked + batch
    assert worked >= 0.099 * (clock.now - started)
    if seed == 0:
        assert worked <= 0.25 * (clock.now - started)  # it does give way


def test_looking_costs_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = Clock(monkeypatch), []
    monkeypatch.setattr(InteractiveLock, "is_held", lambda lock: looks.append(1) or False)
    slot = DeviceSlot(tmp_path, "cpu")
    for _ in range(1000):
        clock.now += 0.01  # a batch
        assert not slot.gives_way()
    assert len(looks) <= 4 * 10 + 1


def test_the_lock_is_held_while_somebody_watches_and_a_moment_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    server, other = InteractiveLock(tmp_path / "turns", "cpu"), InteractiveLock(tmp_path, "cpu")
    run = InteractiveLock(tmp_path / "turns", "cpu")
    assert not run.is_held()
    server.update(True)
    assert run.is_held()
    assert not other.is_held()  # another folder
    assert not InteractiveLock(tmp_path / "turns", "cuda:0").is_held()
    clock.now += 0.4
    server.update(False)
    assert run.is_held()
    clock.now += 0.4
    server.update(False)
    assert not run.is_held()


def _watch(folder: Path, ready: Any) -> None:
    lock = InteractiveLock(folder, "cpu")
    lock.update(True)
    ready.set()
    signal.pause()


def test_the_lock_of_a_server_that_was_killed_counts_no_more(tmp_path: Path) -> None:
    ready = FORK.Event()
    server = FORK.Process(target=_watch, args=(tmp_path, ready))
    server.start()
    assert ready.wait(60)
    run = InteractiveLock(tmp_path, "cpu")
    assert run.is_held()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.join()
    assert not run.is_held()


def test_a_folder_that_cannot_be_used_stops_no_server() -> None:
    InteractiveLock(Path("/proc/nothing"), "cpu").update(True)
    assert not InteractiveLock(Path("/proc/nothing"), "cpu").is_held()
