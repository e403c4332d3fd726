"""Runs are made, claimed by one living process, steered by others, and never lie about it."""

from __future__ import annotations

import math
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import event, text

from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.store import (
    RunProgress,
    RunRecord,
    RunState,
    Store,
    StoreError,
    Wanted,
    WorkerProcess,
    open_store,
    run_rows,
)
from ddrs_core.store.errors import RunClaimedError
from tests.store.conftest import certificate

FORK = multiprocessing.get_context("fork")
PROGRESS = RunProgress("certify", done=1.5, rate=0.25, seconds_left=None)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def age(store: Store, run_id: str, seconds: float) -> None:
    """Let the run's last signs of life lie further back."""
    with store._engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE runs SET created = created - :s, heartbeat = heartbeat - :s WHERE id = :i"
            ),
            {"s": seconds, "i": run_id},
        )


def test_a_run_comes_back_as_it_was_made(store: Store) -> None:
    config: dict[str, Any] = {"sigma": 0.1 + 0.2, "words": "σ \x00 \ud800 ☃", "none": None}
    before = time.time()
    made = store.create_run(
        title="fixed\0 σ",
        owner="ada",
        kind="certify",
        config=config,
        settings=[{"sigma": 0.25}, {"sigma": 0.5}],
        total=20,
        code_version="1.0",
        device="cuda:0",
    )
    found = store.run(made.id)
    assert found == made
    assert found.config == config
    assert found.settings == ({"sigma": 0.25}, {"sigma": 0.5})
    assert (found.title, found.owner, found.total, found.stored) == ("fixed σ", "ada", 20, 0)
    assert (found.code_version, found.device) == ("1.0", "cuda:0")
    assert before - 2 < found.created < time.time() + 2
    assert found.state is RunState.WAITING
    assert (found.started, found.ended, found.process, found.progress) == (None,) * 4
    assert all(letter.isalnum() or letter in "-_" for letter in made.id)


def test_what_cannot_be_stored_is_refused(store: Store) -> None:
    with pytest.raises(InvalidParameterError):
        store.create_run(title="x", config={"x": math.nan}, settings=[], total=1)
    with pytest.raises(InvalidParameterError):
        store.create_run(title="x", config={"x": Path()}, settings=[], total=1)
    with pytest.raises(InvalidParameterError, match="total"):
        store.create_run(title="x", config={}, settings=[], total=0)
    assert store.runs() == []


def test_runs_come_newest_first_with_their_counts_in_one_query(store: Store) -> None:
    made = []
    for i in range(12):
        owner = "ada" if i % 3 else "bob"
        run = store.create_run(title=str(i), owner=owner, config={}, settings=[{}], total=20)
        store.add_certificates(run.id, [(0, p, certificate(p)) for p in range(i)])
        made.append(run.id)
    queries: list[str] = []
    event.listen(
        store._engine, "before_cursor_execute", lambda c, d, query, *rest: queries.append(query)
    )
    listed = store.runs()
    asked = [query for query in queries if query.startswith("SELECT runs")]
    assert len(asked) == 1
    assert len(queries) <= 2  # PostgreSQL: a connection may be tried first
    assert [run.id for run in listed] == made[::-1]
    assert [run.stored for run in listed] == list(range(12))[::-1]
    assert [run.title for run in store.runs("bob")] == ["9", "6", "3", "0"]
    assert store.runs("nobody") == []


def test_a_run_goes_through_its_states(store: Store, run: RunRecord) -> None:
    assert store.claim(run.id).state is RunState.WAITING
    assert store.claim(run.id).process is not None  # again: nothing changes
    assert store.heartbeat(run.id, PROGRESS, state=RunState.WAITING) is None
    waiting = store.run(run.id)
    assert (waiting.state, waiting.started, waiting.progress) == (RunState.WAITING, None, PROGRESS)
    store.heartbeat(run.id, PROGRESS)
    started = store.run(run.id).started
    assert store.run(run.id).state is RunState.RUNNING
    assert started is not None
    store.heartbeat(run.id, PROGRESS)
    assert store.run(run.id).started == started  # the first time
    with pytest.raises(InvalidParameterError):
        store.heartbeat(run.id, PROGRESS, state=RunState.FINISHED)
    with pytest.raises(InvalidParameterError):
        store.release(run.id, RunState.RUNNING)
    with pytest.raises(StoreError, match="under way"):
        store.delete_run(run.id)
    store.release(run.id, RunState.FAILED, "no memory")
    failed = store.run(run.id)
    assert (failed.state, failed.error, failed.process) == (RunState.FAILED, "no memory", None)
    assert failed.ended is not None
    again = store.claim(run.id)
    assert (again.error, again.ended, again.started) == ("", None, started)
    store.release(run.id, RunState.FINISHED)
    with pytest.raises(StoreError, match="finished"):
        store.claim(run.id)
    assert store.request(run.id, Wanted.CANCEL).state is RunState.FINISHED
    store.delete_run(run.id)
    with pytest.raises(DDRSError, match="There is no run"):
        store.heartbeat(run.id, PROGRESS)


def test_states_say_what_can_be_done() -> None:
    moving = {state for state in RunState if state.is_moving}
    assert moving == {RunState.WAITING, RunState.RUNNING}
    resumable = {state for state in RunState if state.can_resume}
    assert resumable == set(RunState) - moving - {RunState.FINISHED}
    with pytest.raises(DDRSError, match="state"):
        RunState("nonsense")
    with pytest.raises(DDRSError, match="request"):
        Wanted("nonsense")


def test_a_run_has_one_living_process(
    store: Store, run: RunRecord, sleeper: subprocess.Popen[bytes]
) -> None:
    other = WorkerProcess.of(sleeper.pid)
    assert store.claim(run.id, other).process == other
    with pytest.raises(RunClaimedError, match=f"Process {sleeper.pid} on"):
        store.claim(run.id)
    with pytest.raises(RunClaimedError, match="no longer"):
        store.heartbeat(run.id, PROGRESS)
    with pytest.raises(RunClaimedError, match="no longer"):
        store.release(run.id, RunState.FAILED)
    assert store.heartbeat(run.id, PROGRESS, process=other) is None
    sleeper.kill()
    deadline = time.monotonic() + 60
    while store.run(run.id).state is not RunState.INTERRUPTED:  # not waited for: a zombie
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert store.runs()[0].state is RunState.INTERRUPTED
    assert store.run(run.id).state.can_resume
    mine = store.claim(run.id)
    assert mine.state is RunState.WAITING
    assert mine.progress is None  # that was said by the dead one
    with pytest.raises(RunClaimedError):
        store.heartbeat(run.id, PROGRESS, process=other)


def test_a_later_process_of_the_same_number_is_another(
    store: Store, run: RunRecord, sleeper: subprocess.Popen[bytes]
) -> None:
    now = WorkerProcess.of(sleeper.pid)
    store.claim(run.id, WorkerProcess(now.pid, now.host, now.started - 1000))
    age(store, run.id, 15)
    assert store.run(run.id).state is RunState.INTERRUPTED
    assert store.claim(run.id, now).process == now


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a birth without the clock")
def test_a_silent_process_is_the_same_one_after_the_clock_was_set(
    store: Store, run: RunRecord, monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes]
) -> None:
    process = WorkerProcess.of(sleeper.pid)
    store.claim(run.id, process)
    born = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: born(process) + 30)
    age(store, run.id, 15)
    assert store.run(run.id).state.is_moving
    assert WorkerProcess.of(sleeper.pid) == process
    sleeper.kill()
    sleeper.wait()
    assert store.run(run.id).state is RunState.INTERRUPTED


def test_setting_the_clock_takes_no_run_away(
    store: Store, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.claim(run.id)
    born = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: born(process) + 30)
    assert store.heartbeat(run.id, PROGRESS) is None
    assert store.run(run.id).state is RunState.RUNNING
    with pytest.raises(RunClaimedError):
        store.claim(run.id, WorkerProcess(1, "elsewhere.invalid", 1e9))
    store.release(run.id, RunState.PAUSED)


def test_a_run_that_is_cancelled_after_its_process_died_is_not_asked_for_more(
    store: Store, run: RunRecord, sleeper: subprocess.Popen[bytes]
) -> None:
    store.claim(run.id, WorkerProcess.of(sleeper.pid))
    store.request(run.id, Wanted.PAUSE)
    sleeper.kill()
    sleeper.wait()
    cancelled = store.request(run.id, Wanted.CANCEL)
    assert (cancelled.state, cancelled.wanted) == (RunState.CANCELLED, None)


def test_a_process_of_another_host_counts_until_it_is_silent(store: Store, run: RunRecord) -> None:
    far = WorkerProcess(1, "elsewhere.invalid", 1e9)
    store.claim(run.id, far)
    store.heartbeat(run.id, PROGRESS, process=far)
    age(store, run.id, 50)
    assert store.run(run.id).state is RunState.RUNNING
    with pytest.raises(RunClaimedError, match=r"elsewhere\.invalid"):
        store.claim(run.id)
    store.add_certificates(run.id, [(0, 0, certificate())])  # a sign of life, too
    age(store, run.id, 50)
    assert store.run(run.id).state is RunState.RUNNING
    age(store, run.id, 15)
    assert store.run(run.id).state is RunState.INTERRUPTED
    store.claim(run.id)


def test_a_run_that_nobody_takes_is_interrupted(store: Store, run: RunRecord) -> None:
    age(store, run.id, run_rows.LAUNCH_SECONDS - 10)
    assert store.run(run.id).state is RunState.WAITING
    age(store, run.id, 11)
    assert store.run(run.id).state is RunState.INTERRUPTED
    assert store.claim(run.id).state is RunState.WAITING


@pytest.mark.parametrize("wanted", list(Wanted))
def test_a_run_hears_what_is_asked(store: Store, run: RunRecord, wanted: Wanted) -> None:
    store.request(run.id, wanted)  # before its process is there
    store.claim(run.id)
    assert store.heartbeat(run.id, PROGRESS) is wanted
    store.request(run.id, None)
    assert store.heartbeat(run.id, PROGRESS) is None
    assert store.request(run.id, wanted).wanted is wanted
    assert store.heartbeat(run.id, PROGRESS) is wanted
    store.release(run.id, wanted.state)
    left = store.run(run.id)
    assert (left.state, left.wanted) == (wanted.state, None)


@pytest.mark.parametrize("wanted", list(Wanted))
def test_a_process_that_dies_when_asked_to_stop_has_stopped(
    store: Store, run: RunRecord, wanted: Wanted, sleeper: subprocess.Popen[bytes]
) -> None:
    store.claim(run.id, WorkerProcess.of(sleeper.pid))
    store.request(run.id, wanted)
    sleeper.kill()
    sleeper.wait()
    assert store.run(run.id).state is wanted.state
    assert store.claim(run.id).wanted is None  # it does not stop again at once
    assert store.heartbeat(run.id, PROGRESS) is None


def test_a_run_without_process_is_cancelled_at_once(store: Store, run: RunRecord) -> None:
    store.claim(run.id)
    store.release(run.id, RunState.PAUSED)
    assert store.request(run.id, Wanted.PAUSE).state is RunState.PAUSED
    assert store.request(run.id, Wanted.CANCEL).state is RunState.CANCELLED
    assert store.claim(run.id).state is RunState.WAITING  # somebody has thought better of it


def _claim(store: Store, run_id: str, go: Any, said: Any, stay: Any) -> None:
    go.wait()
    try:
        store.claim(run_id)
        said.put("mine")
    except RunClaimedError:
        said.put("taken")
    stay.wait()


@pytest.mark.slow
def test_of_ten_processes_one_gets_the_run(store: Store, run: RunRecord) -> None:
    go, said, stay = FORK.Event(), FORK.Queue(), FORK.Event()
    args = (store, run.id, go, said, stay)
    processes = [FORK.Process(target=_claim, args=args) for _ in range(10)]
    for process in processes:
        process.start()
    go.set()
    answers = sorted(said.get(timeout=60) for _ in processes)
    stay.set()
    for process in processes:
        process.join()
    assert answers == ["mine"] + ["taken"] * 9


def test_the_same_database_is_seen_from_everywhere(store: Store, run: RunRecord) -> None:
    url = store._engine.url.render_as_string(hide_password=False)
    assert open_store(url).run(run.id) == run
    assert open_store(url)._engine is store._engine
