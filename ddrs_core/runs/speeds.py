"""Measured speeds of this machine: under what load each was seen, and when to measure again.

A speed that was measured beside other work is too low. The best one is kept, and it is measured
again once the machine has become quieter, or after an hour, since machines change.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import psutil

_AGE = 3_600.0  # seconds after which a speed is measured again, whatever the load
_PAUSE = 30.0  # seconds at least from one measurement of a speed to the next
_QUIETER = 0.15  # by how much the load must have fallen to justify another measurement
_WINDOW = 1.0  # seconds from one reading to the next, at least
_RECENT = 120.0  # seconds that a recent rate looks back, at least


@dataclass(frozen=True)
class Speed:
    """What was measured."""

    value: float  # units a second
    load: float  # share of the device that others used meanwhile, 0 to 1
    at: float  # seconds of the clock


@dataclass(frozen=True)
class _Entry:
    best: Speed | None
    quietest: float  # the smallest load under which it was measured
    tried: float  # when it was last measured, or could not be


class Speeds:
    """The best speeds seen, by what was measured; thread-safe.

    Args:
        clock: seconds, never backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def best(self, key: str) -> Speed | None:
        """The best speed that is not outdated; None before the first."""
        entry = self._entries.get(key)
        return entry.best if entry is not None else None

    def age(self, speed: Speed) -> float:
        """Seconds since it was measured."""
        return self._clock() - speed.at

    def note(self, key: str, value: float, load: float) -> None:
        """Remember a measurement; a slower one counts only where the best is outdated."""
        now = self._clock()
        found = Speed(value, load, now)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.best is None or now - entry.best.at >= _AGE:
                self._entries[key] = _Entry(found, load, now)
                return
            best = found if value >= entry.best.value else entry.best
            self._entries[key] = _Entry(best, min(load, entry.quietest), now)

    def note_failure(self, key: str) -> None:
        """Remember that it could not be measured now, so that it is not tried at once again."""
        with self._lock:
            entry = self._entries.get(key) or _Entry(None, 1.0, 0.0)
            self._entries[key] = replace(entry, tried=self._clock())

    def is_due(self, key: str, load: float | None) -> bool:
        """Whether to measure now, under the present load (None: not known)."""
        entry, now = self._entries.get(key), self._clock()
        if entry is None:
            return True
        if now - entry.tried < _PAUSE:
            return False
        if entry.best is None or now - entry.best.at >= _AGE:
            return True
        return load is not None and load <= entry.quietest - _QUIETER


class CpuTimes(NamedTuple):
    """Processor seconds since some moment, of all cores."""

    total: float  # that there were
    busy: float  # that anybody used
    own: float  # that this process used


def read_cpu_times() -> CpuTimes:
    """The machine's counters at this moment."""
    times = psutil.cpu_times()
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # also in the others
    total = sum(times) - guests
    idle = times.idle + getattr(times, "iowait", 0.0)
    return CpuTimes(total, total - idle, time.process_time())


def load_between(earlier: CpuTimes, later: CpuTimes) -> float:
    """Share of the processors that other processes used, 0 to 1."""
    total = later.total - earlier.total
    if total <= 0:
        return 0.0
    others = (later.busy - earlier.busy) - (later.own - earlier.own)
    return min(1.0, max(0.0, others / total))


class LoadMeter:
    """What other processes use of the processors at present, averaged over a second or more.

    Args:
        read: the machine's counters.
        clock: seconds, never backwards.
    """

    def __init__(
        self,
        read: Callable[[], CpuTimes] = read_cpu_times,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._clock = read, clock
        self._at, self._times = clock(), read()
        self._load: float | None = None
        self._lock = threading.Lock()

    def load(self) -> float | None:
        """Share of the processors, 0 to 1; None within the first second."""
        with self._lock:
            now = self._clock()
            if now - self._at >= _WINDOW:
                times = self._read()
                self._load = load_between(self._times, times)
                self._at, self._times = now, times
            return self._load


class RecentRate:
    """The recent speed of some work.

    The beginning is forgotten, since the device may have been busy with other work then: what
    counts is the second half of the time so far, and two minutes at least.

    Args:
        done: how much was done before.
        clock: seconds, never backwards.
    """

    def __init__(self, done: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._started = clock, clock()
        self._passed = deque([(self._started, done)])  # when, and how much by then

    def after(self, done: float) -> float:
        """Units a second, now that so much is done; 0 where nothing was."""
        now = self._clock()
        if now - self._passed[-1][0] >= _WINDOW:
            self._passed.append((now, done))
        begin = now - max(_RECENT, (now - self._started) / 2)
        while len(self._passed) > 2 and self._passed[1][0] <= begin:
            self._passed.popleft()
        since, before = self._passed[0]
        return (done - before) / (now - since) if now > since else 0.0
