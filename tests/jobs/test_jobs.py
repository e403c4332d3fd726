"""Jobs: pausing, stepping, pacing, sharing, failing, and being forgotten."""

from __future__ import annotations

import gc
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from ddrs_core.errors import InvalidParameterError
from ddrs_core.jobs import Job, JobManager, JobRequest, JobState
from ddrs_core.jobs.computation import size_of


@pytest.fixture
def manager() -> Iterator[JobManager]:
    made = JobManager()
    yield made
    made.close()


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def count_to(total: int, log: list[int] | None = None, pause: float = 0.0) -> Iterator[int]:
    for i in range(1, total + 1):
        if log is not None:
            log.append(i)
        time.sleep(pause)
        yield i


def request(
    total: int = 5,
    key: str = "count",
    device: str = "cpu",
    log: list[int] | None = None,
    pause: float = 0.0,
) -> JobRequest:
    return JobRequest(key, "counting", "test", device, lambda: count_to(total, log, pause), total)


def is_over(job: Job) -> Callable[[], bool]:
    return lambda: job.state.is_over


def test_a_job_runs_to_its_end_and_keeps_its_history(manager: JobManager) -> None:
    job = manager.submit(request(50))
    wait_for(is_over(job))
    assert job.state is JobState.DONE
    assert list(job.history) == list(range(1, 51))
    assert job.latest == 50
    assert job.progress == 1.0
    assert job.seconds_left == pytest.approx(0.0)


def test_steps_are_computed_one_at_a_time_and_only_on_demand(manager: JobManager) -> None:
    log: list[int] = []
    job = manager.submit(request(5, log=log), paused=True)
    time.sleep(0.1)
    assert job.state is JobState.PAUSED
    assert log == []
    for expected in range(1, 6):
        job.step()
        wait_for(lambda expected=expected: len(job.history) == expected)
        time.sleep(0.05)
        assert log == list(range(1, expected + 1))
        assert job.state is JobState.PAUSED
    job.step()
    wait_for(is_over(job))
    assert job.state is JobState.DONE


def test_pause_stops_the_computation_and_resume_goes_on(manager: JobManager) -> None:
    log: list[int] = []
    job = manager.submit(request(10_000, log=log, pause=0.001))
    wait_for(lambda: len(job.history) > 3)
    job.pause()
    time.sleep(0.15)
    seen, made = len(job.history), len(log)
    time.sleep(0.15)
    assert (len(job.history), len(log)) == (seen, made)
    assert made - seen <= 2  # it answers within a snapshot
    job.resume()
    wait_for(lambda: len(job.history) > seen + 3)
    job.cancel()


def test_cancel_closes_the_generator_and_keeps_what_was_shown(manager: JobManager) -> None:
    closed = threading.Event()

    def work() -> Iterator[int]:
        try:
            while True:
                time.sleep(0.001)
                yield 1
        finally:
            closed.set()

    job = manager.submit(JobRequest("endless", "endless", "test", "cpu", work, math.inf))
    wait_for(lambda: len(job.history) > 3)
    job.cancel()
    shown = len(job.history)
    assert closed.wait(60)
    assert job.state is JobState.CANCELLED
    time.sleep(0.05)
    assert len(job.history) == shown > 3


def test_a_paused_job_can_be_cancelled(manager: JobManager) -> None:
    job = manager.submit(request(1000, pause=0.001), paused=True)
    job.cancel()
    assert job.state is JobState.CANCELLED


def test_an_exception_becomes_the_message_and_the_worker_lives_on(manager: JobManager) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise InvalidParameterError("sigma must be above 0.")

    def crashing() -> Iterator[int]:
        raise RuntimeError("out of\nluck")
        yield

    first = manager.submit(JobRequest("a", "broken", "test", "cpu", broken, 2))
    second = manager.submit(JobRequest("b", "crashing", "test", "cpu", crashing, 2))
    wait_for(lambda: first.state.is_over and second.state.is_over)
    assert first.state is second.state is JobState.FAILED
    assert first.error == "sigma must be above 0."
    assert list(first.history) == [1]
    assert "out of" in second.error
    assert "\n" not in second.error
    after = manager.submit(request(3))
    wait_for(is_over(after))
    assert after.state is JobState.DONE


def test_a_failed_request_is_tried_again_when_asked_again(manager: JobManager) -> None:
    tries: list[int] = []

    def flaky() -> Iterator[int]:
        tries.append(1)
        if len(tries) == 1:
            raise InvalidParameterError("not yet")
        yield 1

    wanted = JobRequest("flaky", "flaky", "test", "cpu", flaky, 1)
    first = manager.submit(wanted)
    wait_for(is_over(first))
    second = manager.submit(wanted)
    wait_for(is_over(second))
    assert (first.state, second.state) == (JobState.FAILED, JobState.DONE)


def test_identical_requests_share_one_computation(manager: JobManager) -> None:
    log: list[int] = []
    jobs = [manager.submit(request(20, log=log, pause=0.002), f"student {i}") for i in range(8)]
    for job in jobs:
        wait_for(is_over(job))
        assert list(job.history) == list(range(1, 21))
    assert log == list(range(1, 21))
    late = manager.submit(request(20, log=log), "latecomer")
    wait_for(is_over(late))
    assert len(log) == 20


def test_what_is_asked_anew_is_computed_again_once_it_has_finished(manager: JobManager) -> None:
    log: list[int] = []
    asked = replace(request(3, log=log, pause=0.02), rerun=True)
    first, joined = manager.submit(asked, "a"), manager.submit(asked, "b")
    wait_for(lambda: first.state.is_over and joined.state.is_over)
    assert log == [1, 2, 3]  # what is under way is shared
    again = manager.submit(asked, "a")
    assert again.latest is None
    wait_for(is_over(again))
    assert log == [1, 2, 3, 1, 2, 3]
    assert first.latest == again.latest == 3


def test_one_watcher_pauses_without_stopping_the_other(manager: JobManager) -> None:
    first = manager.submit(request(300, pause=0.001), "a")
    second = manager.submit(request(300, pause=0.001), "b")
    wait_for(lambda: len(first.history) > 2)
    first.pause()
    stood = len(first.history)
    second_over = is_over(second)
    wait_for(second_over)
    assert first.state is JobState.PAUSED
    assert len(first.history) == stood < 300
    first.resume()
    wait_for(is_over(first))
    assert first.state is JobState.DONE


def test_pace_limits_what_is_shown(manager: JobManager) -> None:
    job = manager.submit(request(1000), speed=50.0)
    started = time.monotonic()
    wait_for(lambda: len(job.history) >= 20)
    seconds = time.monotonic() - started
    assert seconds > 0.3
    job.set_speed(math.inf)
    wait_for(is_over(job))


def test_a_finished_computation_is_replayed_at_the_pace_of_a_new_job(manager: JobManager) -> None:
    first = manager.submit(request(30))
    wait_for(is_over(first))
    second = manager.submit(request(30), speed=2.0)
    wait_for(lambda: len(second.history) >= 1)
    assert len(second.history) < 30
    assert second.state is JobState.RUNNING
    second.set_speed(math.inf)
    wait_for(is_over(second))


def test_long_jobs_do_not_block_short_ones(manager: JobManager) -> None:
    long = manager.submit(request(10**9, key="long", pause=0.001))
    wait_for(lambda: len(long.history) > 1)
    short = manager.submit(request(10, key="short"))
    wait_for(is_over(short))
    assert long.state is JobState.RUNNING
    long.cancel()


def test_devices_have_queues_of_their_own(manager: JobManager) -> None:
    def blocking(event: threading.Event) -> Iterator[int]:
        event.wait(10)
        yield 1

    gate = threading.Event()
    stuck = manager.submit(JobRequest("x", "x", "test", "cpu", lambda: blocking(gate), 1))
    other = manager.submit(request(3, device="elsewhere"))
    wait_for(is_over(other))
    assert not stuck.state.is_over
    gate.set()
    wait_for(is_over(stuck))


def test_a_job_left_alone_is_dropped_and_its_memory_freed() -> None:
    manager = JobManager(keep=0.3, max_finished=0)

    class Snapshot:
        pass

    made: list[weakref.ref[Snapshot]] = []

    def work() -> Iterator[Snapshot]:
        for _ in range(100):
            snapshot = Snapshot()
            made.append(weakref.ref(snapshot))
            yield snapshot

    job_id = manager.submit(JobRequest("w", "w", "test", "cpu", work, 100)).id
    wait_for(lambda: (job := manager.get(job_id)) is not None and job.state.is_over)
    wait_for(lambda: manager.jobs() == [])
    assert manager.get(job_id) is None
    manager.submit(request(1))  # wakes the worker, which forgets what nobody watches

    def freed() -> bool:
        gc.collect()
        return all(ref() is None for ref in made)

    wait_for(freed)
    manager.close()


def test_a_job_on_an_open_page_is_kept_and_one_that_no_page_shows_is_forgotten() -> None:
    manager = JobManager(keep=0.4)
    finished, paused = manager.submit(request(1), "a"), manager.submit(request(9), "a", paused=True)
    other = manager.submit(request(1, key="other"), "a")
    for _ in range(8):
        time.sleep(0.1)
        manager.note_presence("a", {finished.id, paused.id})
        assert manager.get(finished.id) is finished
        assert manager.get(paused.id) is paused
    manager.jobs()
    assert manager.get(other.id) is None
    manager.close()


def test_a_job_that_no_page_shows_stands_still_and_goes_on_when_one_does() -> None:
    log: list[int] = []
    manager = JobManager(lease=0.2)
    job = manager.submit(request(10**9, log=log, pause=0.001), "a")
    wait_for(lambda: len(log) > 3)
    for _ in range(5):
        time.sleep(0.1)
        manager.note_presence("a", {job.id})
    before = len(log)
    wait_for(lambda: len(log) > before)
    for _ in range(5):  # they look at another page now
        time.sleep(0.1)
        manager.note_presence("a", {"another"})
    before = len(log)
    time.sleep(0.3)
    assert len(log) == before
    assert manager.active("cpu") == 0
    assert not job.is_going_on
    job.touch()
    wait_for(lambda: len(log) > before)
    assert not job.state.is_over
    assert list(job.history[:before]) == list(range(1, before + 1))
    manager.close()


def test_what_goes_on_unattended_is_finished_and_does_not_give_way() -> None:
    manager = JobManager(lease=0.05, keep=0.05, max_jobs=2)
    wanted = replace(request(100, key="download", pause=0.004), unattended=True)
    job = manager.submit(wanted, "a")
    for i in range(5):
        manager.submit(request(1, key=str(i)), "b")
    wait_for(is_over(job))
    assert job.state is JobState.DONE
    manager.close()


def test_watched_jobs_go_first_and_take_turns() -> None:
    log: list[str] = []

    def work(name: str, gate: threading.Event) -> Iterator[int]:
        gate.wait(10)
        for i in range(10**9):
            time.sleep(0.002)
            log.append(name)
            yield i

    manager, gate = JobManager(), threading.Event()
    jobs = {
        name: manager.submit(
            JobRequest(name, name, "test", "cpu", lambda name=name: work(name, gate), 1), name
        )
        for name in ("left", "stayed", "stays too")
    }
    jobs["left"].last_seen -= 60.0  # its page was closed a minute ago: within the lease
    gate.set()
    start = len(log)
    deadline = time.monotonic() + 0.8
    while time.monotonic() < deadline:
        jobs["stayed"].touch()
        jobs["stays too"].touch()
        time.sleep(0.02)
    did = [name for name in log[start:] if name != "left"]
    assert "left" not in log[log.index("stayed") :]
    assert min(did.count("stayed"), did.count("stays too")) > len(did) / 4
    assert manager.active("cpu") == 2
    for name in ("stayed", "stays too"):
        jobs[name].cancel()
    before = log.count("left")
    wait_for(lambda: log.count("left") > before)  # an idle device is for whoever wants it
    manager.close()


def test_the_longest_unseen_give_way_and_nobody_is_refused() -> None:
    manager = JobManager(max_jobs=20, max_per_owner=5)
    watched = manager.submit(request(1, key="watched"), "teacher")
    for i in range(300):
        watched.touch()
        job = manager.submit(request(10**9, key=str(i), pause=0.001), f"visitor {i}")
        assert manager.get(job.id) is job
        assert len(manager.jobs()) <= 20
    assert manager.get(watched.id) is watched
    assert {j.owner for j in manager.jobs()} - {"teacher"} == {
        f"visitor {i}" for i in range(281, 300)
    }
    for i in range(50):
        greedy = manager.submit(request(1, key=f"mine {i}"), "greedy")
    assert len(manager.jobs("greedy")) == 5  # of one visitor's, theirs give way
    assert manager.jobs("greedy")[0] is greedy
    assert len(manager.jobs()) == 20
    assert manager.get(watched.id) is watched
    for job in manager.jobs():
        manager.drop(job)
    wait_for(lambda: manager.active("cpu") == 0 and not manager.jobs())
    manager.close()


def test_a_page_that_still_shows_a_job_which_has_given_way_sees_its_end(
    manager: JobManager,
) -> None:
    job = manager.submit(request(10**9, pause=0.001))
    wait_for(lambda: len(job.history) > 2)
    manager.drop(job)
    assert job.state is JobState.CANCELLED
    assert len(job.history) > 2


def test_histories_that_nobody_attends_are_bounded() -> None:
    def work() -> Iterator[np.ndarray]:
        for i in range(10):
            yield np.full(100_000, i, dtype=np.uint8)

    manager = JobManager(lease=0.2, max_bytes=3_500_000)
    jobs = [
        manager.submit(JobRequest(str(i), "large", "test", "cpu", work, 10), "a") for i in range(8)
    ]
    for job in jobs:
        wait_for(is_over(job))
    assert len(manager.jobs()) == 8  # the visitor is there
    kept = {job.id for job in jobs[5:]}
    for job in jobs:
        job.last_seen -= 60 - 1e-3 * jobs.index(job)
    assert {job.id for job in manager.jobs()} == kept
    manager.submit(request(1), "b")  # wakes the worker

    def held() -> int:
        return sum(c.history_bytes for c in manager._computations.values())

    wait_for(lambda: held() <= 2 * manager.max_bytes)  # of jobs, and for identical requests
    manager.close()


def test_the_size_of_a_snapshot_counts_arrays_in_full() -> None:
    @dataclass(frozen=True)
    class Inner:
        image: torch.Tensor

    @dataclass(frozen=True)
    class Snapshot:
        counts: tuple[int, ...]
        inner: Inner | None
        curve: np.ndarray

    snapshot = Snapshot((1,) * 1000, Inner(torch.zeros(3, 100, 100)), np.zeros(5_000))
    assert 8_000 + 120_000 + 40_000 < size_of(snapshot) < 300_000
    assert size_of(replace(snapshot, inner=None)) < size_of(snapshot) - 120_000


def test_a_stranger_gets_a_copy_at_the_same_place(manager: JobManager) -> None:
    mine = manager.submit(request(10), "me", paused=True)
    mine.step()
    mine.step()
    wait_for(lambda: len(mine.history) == 2)
    theirs = manager.adopt(mine.id, "count", "somebody else")
    assert theirs is not None
    assert theirs is not mine
    assert list(theirs.history) == [1, 2]
    theirs.step()
    wait_for(lambda: len(theirs.history) == 3)
    assert len(mine.history) == 2
    assert manager.adopt(mine.id, "count", "me") is mine


def test_a_link_that_does_not_fit_copies_nothing_and_one_that_fits_once(
    manager: JobManager,
) -> None:
    mine = manager.submit(request(10), "me", paused=True)
    for _ in range(50):
        for i in range(10):
            assert manager.adopt(mine.id, "another image", f"student {i}") is None
        assert manager.adopt("no such job", "count", "student 1") is None
    assert manager.jobs() == [mine]
    copies = {manager.adopt(mine.id, "count", "student 1") for _ in range(50)}
    assert len(copies) == 1
    assert len(manager.jobs()) == 2


def test_a_link_that_is_opened_later_again_stands_where_its_job_stands(
    manager: JobManager,
) -> None:
    mine = manager.submit(request(10), "me", paused=True)
    mine.step()
    wait_for(lambda: len(mine.history) == 1)
    theirs = manager.adopt(mine.id, "count", "student")
    assert theirs is not None
    theirs.resume()
    wait_for(is_over(theirs))
    assert manager.adopt(mine.id, "count", "student") is theirs
    assert theirs.state is JobState.DONE  # reloading takes nothing away
    theirs.last_seen -= 1_000.0  # the tab was closed a quarter of an hour ago
    assert manager.adopt(mine.id, "count", "student") is theirs
    assert (theirs.state, list(theirs.history)) == (JobState.PAUSED, [1])


def test_two_tabs_that_ask_at_once_share_a_job(manager: JobManager) -> None:
    start = threading.Barrier(8)

    def ask() -> Job:
        start.wait()
        return manager.ensure(request(5), "me")

    with ThreadPoolExecutor(8) as tabs:
        jobs = [task.result() for task in [tabs.submit(ask) for _ in range(8)]]
    assert len(set(jobs)) == len(manager.jobs()) == 1


def test_what_failed_is_not_started_in_a_circle(manager: JobManager) -> None:
    tries: list[int] = []

    def broken() -> Iterator[int]:
        tries.append(1)
        raise InvalidParameterError("no")
        yield

    wanted = JobRequest("broken", "broken", "test", "cpu", broken, 1)
    first = manager.ensure(wanted, "me")
    wait_for(is_over(first))
    assert manager.ensure(wanted, "me") is first
    first.created -= 60.0
    again = manager.ensure(wanted, "me")
    assert again is not first
    wait_for(is_over(again))
    assert len(tries) == 2
    assert manager.jobs() == [again]


def test_rate_and_time_left_are_in_the_requests_unit(manager: JobManager) -> None:
    wanted = JobRequest(
        "u",
        "u",
        "test",
        "cpu",
        lambda: count_to(100, pause=0.005),
        1000.0,
        "sample",
        amount=lambda i: 10.0 * i,
    )
    job = manager.submit(wanted)
    wait_for(lambda: len(job.history) > 20)
    assert 100 < job.rate < 4000  # sleeps are at least 5 ms; slices end in between
    left = job.seconds_left
    assert left is not None
    assert 0 < left < 10.0
    job.cancel()
