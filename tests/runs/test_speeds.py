"""Measured speeds: the best is kept, it ages, and quieter moments are used; clocks are ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddrs_core.runs.speeds import CpuTimes, LoadMeter, RecentRate, Speed, Speeds, load_between

HOUR = 3_600.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_was_measured_beside_other_work_is_measured_again_when_it_is_quiet(
    clock: Clock,
) -> None:
    speeds = Speeds(clock)
    assert speeds.is_due("votes", 0.9)  # a first answer, however busy the machine is
    speeds.note("votes", 400.0, 0.9)
    clock.now += 60
    assert not speeds.is_due("votes", 0.85)
    assert speeds.is_due("votes", 0.1)
    speeds.note("votes", 3_600.0, 0.1)
    assert speeds.best("votes") == Speed(3_600.0, 0.1, clock.now)
    clock.now += 60
    assert not speeds.is_due("votes", 0.0)  # not quieter by enough to tell


def test_a_worse_measurement_does_not_replace_a_better_one_but_age_does(clock: Clock) -> None:
    speeds = Speeds(clock)
    speeds.note("votes", 3_600.0, 0.1)
    clock.now += HOUR / 2
    speeds.note("votes", 500.0, 0.9)
    best = speeds.best("votes")
    assert best is not None
    assert (best.value, best.load) == (3_600.0, 0.1)
    assert speeds.age(best) == HOUR / 2
    clock.now += HOUR
    assert speeds.is_due("votes", 0.9)
    speeds.note("votes", 500.0, 0.9)
    assert speeds.best("votes") == Speed(500.0, 0.9, clock.now)
    clock.now += 60
    assert speeds.is_due("votes", 0.1)


def test_a_slower_result_of_a_quiet_moment_is_not_sought_for_ever(clock: Clock) -> None:
    speeds = Speeds(clock)
    speeds.note("votes", 1_000.0, 0.8)
    clock.now += 60
    speeds.note("votes", 990.0, 0.0)  # chance
    clock.now += 60
    assert not speeds.is_due("votes", 0.0)


def test_failures_are_not_repeated_at_once(clock: Clock) -> None:
    speeds = Speeds(clock)
    speeds.note_failure("votes")
    assert speeds.best("votes") is None
    assert not speeds.is_due("votes", 0.0)
    clock.now += 60
    assert speeds.is_due("votes", None)
    speeds.note("votes", 10.0, 0.5)
    clock.now += 60
    assert not speeds.is_due("votes", None)  # nobody knows whether it is quieter


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(0, 1), st.floats(0, 200)), min_size=1))
def test_the_best_of_the_last_hour_is_never_below_any_seen_in_it(
    measured: list[tuple[float, float, float]],
) -> None:
    clock = Clock()
    speeds = Speeds(clock)
    begun = clock.now
    seen = []
    for value, load, wait in measured:
        clock.now += wait
        speeds.note("k", value, load)
        seen.append(value)
        best = speeds.best("k")
        assert best is not None
        assert clock.now - best.at < HOUR
        if clock.now - begun < HOUR:
            assert best.value == max(seen)


def test_the_load_is_what_other_processes_used() -> None:
    before = CpuTimes(total=100.0, busy=50.0, own=10.0)
    after = CpuTimes(total=104.0, busy=53.0, own=11.0)  # two cores for two seconds
    assert load_between(before, after) == pytest.approx(0.5)
    assert load_between(before, before) == 0.0
    alone = CpuTimes(total=104.0, busy=54.0, own=14.5)  # counters are coarse
    assert load_between(before, alone) == 0.0


def test_the_meter_reads_at_most_once_a_second(clock: Clock) -> None:
    busy = [0.0]
    reads = []

    def read() -> CpuTimes:
        reads.append(clock.now)
        return CpuTimes(2 * clock.now, busy[0], 0.0)

    meter = LoadMeter(read, clock)
    assert meter.load() is None
    clock.now, busy[0] = clock.now + 2, 3.0
    assert meter.load() == pytest.approx(0.75)
    for _ in range(100):
        clock.now, busy[0] = clock.now + 0.005, busy[0] + 0.01
        assert meter.load() == pytest.approx(0.75)
    assert len(reads) == 2


def test_the_time_left_forgets_that_the_device_was_busy_at_first(clock: Clock) -> None:
    rate = RecentRate(10.0, clock)
    assert rate.after(10.0) == 0.0
    done, seen = 10.0, 0.0
    for pace in [1.0] * 300 + [10.0] * 300:  # a second each
        clock.now, done = clock.now + 1, done + pace
        seen = rate.after(done)
        if done < 100:
            assert seen == pytest.approx(1.0)
    assert seen == pytest.approx(10.0)  # 5.5 on average since the beginning


def test_stages_in_which_nothing_is_finished_do_not_stop_the_clock(clock: Clock) -> None:
    """Sigmas are chosen for a block of images before the first of them is certified."""
    rate = RecentRate(0.0, clock)
    for second in range(1, 1_200):
        clock.now += 1
        seen = rate.after(second // 100 * 100)  # all at once, every 100 seconds
        if second > 200:
            assert 0.4 < seen < 2.5
