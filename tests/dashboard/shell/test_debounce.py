"""A double click does one thing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ddrs_core.dashboard.shell import debounce as presses
from ddrs_core.errors import DDRSError


@pytest.fixture(autouse=True)
def _one_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presses, "visitor", lambda: "me")
    monkeypatch.setattr(presses, "_PRESSES", {})


def test_the_second_press_gets_what_the_first_one_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(range(9))
    assert [presses.once_per_click("train a", lambda: next(made)) for _ in range(3)] == [0, 0, 0]
    assert presses.once_per_click("train b", lambda: next(made)) == 1
    monkeypatch.setattr(presses, "visitor", lambda: "somebody else")
    assert presses.once_per_click("train a", lambda: next(made)) == 2


def test_the_second_press_of_a_slow_start_counts_as_one_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = iter(range(9))
    now = 100.0
    monkeypatch.setattr(presses.time, "monotonic", lambda: now)

    def start() -> int:
        nonlocal now
        now += 20.0  # a class that presses together waits for each other
        return next(made)

    assert [presses.once_per_click("train a", start) for _ in range(2)] == [0, 0]


def test_later_presses_and_those_after_a_failure_count(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(range(9))
    now = 100.0
    monkeypatch.setattr(presses.time, "monotonic", lambda: now)

    def fail() -> int:
        raise DDRSError("no room")

    with pytest.raises(DDRSError):
        presses.once_per_click("train a", fail)
    assert presses.once_per_click("train a", lambda: next(made)) == 0
    now += 2.5
    assert presses.once_per_click("train a", lambda: next(made)) == 1
    assert len(presses._PRESSES) == 1


def test_presses_in_two_tabs_at_once_are_one() -> None:
    made: list[int] = []
    together, first_is_in = threading.Barrier(8), threading.Event()

    def start() -> int:
        made.append(len(made))
        first_is_in.wait(0.2)  # long enough for the others to look whether it was done
        return made[-1]

    def press() -> int:
        together.wait()
        return presses.once_per_click("train a", start)

    with ThreadPoolExecutor(8) as tabs:
        results = [task.result() for task in [tabs.submit(press) for _ in range(8)]]
    assert (made, results) == ([0], [0] * 8)


def test_a_slow_start_holds_up_nobody_else() -> None:
    begun, gate = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert gate.wait(30)
        return "slow"

    with ThreadPoolExecutor(1) as tab:
        waiting = tab.submit(presses.once_per_click, "train a", slow)
        assert begun.wait(30)
        assert presses.once_per_click("train b", lambda: "quick") == "quick"
        gate.set()
        assert waiting.result() == "slow"


def test_the_press_that_waited_for_one_that_failed_tries_by_itself() -> None:
    tries: list[int] = []
    together = threading.Barrier(2)

    def start() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise DDRSError("no room")
        return "started"

    def press() -> str:
        together.wait()
        try:
            return presses.once_per_click("train a", start)
        except DDRSError:
            return "refused"

    with ThreadPoolExecutor(2) as tabs:
        results = {task.result() for task in [tabs.submit(press) for _ in range(2)]}
    assert results == {"refused", "started"}
