"""A double click does one thing."""

from __future__ import annotations

import pytest

from ddrs_core.dashboard import presses
from ddrs_core.errors import DDRSError


@pytest.fixture(autouse=True)
def _one_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presses, "visitor", lambda: "me")
    monkeypatch.setattr(presses, "_DONE", {})


def test_the_second_press_gets_what_the_first_one_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(range(9))
    assert [presses.once("train a", lambda: next(made)) for _ in range(3)] == [0, 0, 0]
    assert presses.once("train b", lambda: next(made)) == 1
    monkeypatch.setattr(presses, "visitor", lambda: "somebody else")
    assert presses.once("train a", lambda: next(made)) == 2


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

    assert [presses.once("train a", start) for _ in range(2)] == [0, 0]


def test_later_presses_and_those_after_a_failure_count(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(range(9))
    now = 100.0
    monkeypatch.setattr(presses.time, "monotonic", lambda: now)

    def fail() -> int:
        raise DDRSError("no room")

    with pytest.raises(DDRSError):
        presses.once("train a", fail)
    assert presses.once("train a", lambda: next(made)) == 0
    now += 2.5
    assert presses.once("train a", lambda: next(made)) == 1
    assert len(presses._DONE) == 1
