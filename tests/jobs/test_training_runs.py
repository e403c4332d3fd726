"""Training runs are processes of their own: they wait, stop, go on, break, and say so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from ddrs_core.errors import BusyError, DDRSError
from ddrs_core.jobs import runs as jobs
from ddrs_core.jobs.runs import (
    cancel_run,
    delete_run,
    list_runs,
    pause_run,
    resume_run,
    start_training,
    stop_at_once,
)
from ddrs_core.models import load_checkpoint
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.runs.training.adopt import adopt_folders
from ddrs_core.runs.training.log import read_training_log
from ddrs_core.runs.training.recorded import (
    run_command,
    run_files,
    run_folder,
    run_progress,
    training_run,
    training_runs,
)
from ddrs_core.runs.worker import record_run
from ddrs_core.store import RunRecord, RunState, WorkerProcess, open_store
from ddrs_core.training import TrainConfig, recipe


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own; processes that a test leaves behind are ended."""
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    yield tmp_path
    for run in list_runs():
        if run.state.is_moving and run.process is not None and run.process.pid != os.getpid():
            psutil.Process(run.process.pid).kill()


def config(epochs: int, **changes: Any) -> TrainConfig:
    return recipe("digits", "digits_cnn", "gaussian", 0.5, epochs=epochs, **changes)


def get(run: RunRecord) -> RunRecord:
    return training_run(open_store(), run.id)


def wait(run: RunRecord, done: Callable[[RunRecord], bool]) -> RunRecord:
    deadline = time.monotonic() + 120
    while not done(run := get(run)):
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
    return run


def epoch(run: RunRecord) -> int:
    progress = run_progress(run)
    return progress.epoch if progress is not None else 0


def trains(run: RunRecord) -> bool:
    return run.state is RunState.RUNNING and epoch(run) >= 2


def has_ended(run: RunRecord) -> bool:
    return not run.state.is_moving


def write_run(folder: Path, name: str, **changes: Any) -> Path:
    """A run of an earlier version, as its process left it behind."""
    run = folder / "training" / name
    run.mkdir(parents=True)
    data = {
        "owner": "me",
        "created": time.time(),
        "name": "model",
        "config": config(3, name="model").to_dict(),
        "words": [],
        "device": "cpu",
        "pid": 2**22 + 1,
        "process_started": 1.0,
        **changes,
    }
    (run / "run.json").write_text(json.dumps(data))
    return run


@pytest.mark.slow
def test_a_run_stops_goes_on_and_ends_as_if_undisturbed(home: Path) -> None:
    run = start_training(config(12, data_dependent=True), "me", device="cpu")
    assert run.state is RunState.WAITING
    run = wait(run, trains)
    assert run.process is not None
    progress = run_progress(run)
    assert progress is not None
    assert progress.pid == run.process.pid != os.getpid()
    pause_run(run.id)
    run = wait(run, has_ended)
    assert (run.state, run.error) == (RunState.PAUSED, "")
    assert run_files(run).state.exists()
    stopped_in = epoch(run)
    assert 2 <= stopped_in < 12
    assert 0 < run.share < 1
    resumed = resume_run(run.id)
    assert resumed.state is RunState.WAITING
    assert epoch(resumed) == stopped_in  # what is known of it is not forgotten
    with pytest.raises(DDRSError, match="nothing to resume"):
        resume_run(run.id)
    with pytest.raises(DDRSError, match="under way"):
        delete_run(run.id)
    run = wait(run, has_ended)
    assert run.state is RunState.FINISHED, run.error
    assert (run.stored, run.share) == (12, 1.0)
    epochs = read_training_log(run_files(run).log).epochs
    assert [e.epoch for e in epochs] == list(range(1, 13))
    assert load_checkpoint(run_files(run).model).card.name == "digits-gaussian-ds2-0.50"
    assert run_command(run).startswith("python -m ddrs_core train --dataset digits")
    delete_run(run.id)
    assert list_runs() == []
    assert not run_folder(run).exists()


@pytest.mark.slow
def test_runs_take_turns_and_a_killed_one_makes_room(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = wait(start_training(config(2000), "me", device="cpu"), trains)
    assert first.process is not None
    psutil.Process(first.process.pid).suspend()  # it need not compute while others wait for it
    second = start_training(config(1), "me", device="cpu")
    third = start_training(config(1), "somebody else", device="cpu")
    monkeypatch.setattr(jobs, "MAX_UNFINISHED", 3)
    with pytest.raises(BusyError, match="3 unfinished training runs"):
        start_training(config(1), "me")

    def waits(run: RunRecord) -> bool:
        progress = run_progress(run)
        return progress is not None and progress.ahead > 0

    second, third = wait(second, waits), wait(third, waits)
    assert {second.state, third.state} == {RunState.WAITING}
    assert [run.id for run in training_runs(open_store(), "me")] == [second.id, first.id]
    cancel_run(third.id)
    assert wait(third, has_ended).state is RunState.CANCELLED
    os.kill(first.process.pid, signal.SIGKILL)
    first = wait(first, has_ended)
    assert first.state is RunState.INTERRUPTED
    assert first.state.can_resume
    assert wait(second, has_ended).state is RunState.FINISHED
    resume_run(first.id)
    assert epoch(wait(first, trains)) >= 2
    stop_at_once(first.id)
    assert wait(first, has_ended).state is RunState.PAUSED


@pytest.mark.slow
def test_a_run_that_cannot_be_says_why(home: Path) -> None:
    run = start_training(config(1, init="digits-gausian-0.50"), device="cpu")
    run = wait(run, has_ended)
    assert run.state is RunState.FAILED
    assert "no model 'digits-gausian-0.50'" in run.error


def test_the_process_of_an_earlier_version_is_stopped_too(home: Path) -> None:
    """It was noted with its time of birth since 1970."""
    store = open_store()
    run = record_run(store, [CertifyConfig("digits", "digits-gaussian-0.50", Method.FIXED, 0.5)])
    process = subprocess.Popen(["sleep", "600"])
    try:
        born = psutil.Process(process.pid).create_time()
        store.claim(run.id, replace(WorkerProcess.of(process.pid), started=born))
        stop_at_once(run.id)
        assert process.wait(20) == -signal.SIGTERM
    finally:
        process.kill()


def test_folders_without_a_row_are_adopted_as_they_stand(home: Path) -> None:
    write_run(home, "old", pid=os.getpid())  # the process of that number is a later one
    born = psutil.Process().create_time()
    write_run(home, "ours", pid=os.getpid(), process_started=born)
    write_run(home, "asked", stop_asked=True)
    (write_run(home, "failed") / "output.txt").write_text("error: The sky has fallen.\n")
    (write_run(home, "broken") / "run.json").write_text("{")
    finished = write_run(home, "finished", created=5.0)
    for name in ("model.safetensors", "model.json"):
        (finished / name).touch()
    found = {run.id: run for run in list_runs("me")}
    assert {name: run.state for name, run in found.items()} == {
        "old": RunState.INTERRUPTED,
        "ours": RunState.RUNNING,
        "asked": RunState.PAUSED,
        "failed": RunState.FAILED,
        "finished": RunState.FINISHED,
    }
    assert found["ours"].process == WorkerProcess.current()
    assert found["failed"].error == "The sky has fallen."
    assert (found["finished"].created, found["finished"].stored) == (5.0, 3)
    with pytest.raises(DDRSError, match="no training run"):
        training_run(open_store(), "broken")
    assert not adopt_folders(open_store(), set(found))  # a damaged record is not read again
    damaged = home / "training" / "broken" / "run.json"
    damaged.write_text((home / "training" / "old" / "run.json").read_text())
    assert adopt_folders(open_store(), set(found))  # until it changes
    (home / "training" / "ours" / "run.json").unlink()
    open_store().release("ours", RunState.PAUSED)


@pytest.mark.slow
def test_a_run_comes_back_into_a_database_that_does_not_know_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_training(config(2), "me", device="cpu")
    assert wait(run, has_ended).state is RunState.FINISHED
    monkeypatch.setenv("DDRS_DATABASE_URL", f"sqlite:///{home}/other.sqlite3")
    (again,) = list_runs()
    assert (again.id, again.owner, again.state) == (run.id, "me", RunState.FINISHED)
    assert run_command(again) == run_command(run)


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "", "a/b", "/etc", "x\0y", "nobody", "a" * 500, ".lock"]
)
def test_hostile_names_find_nothing(name: str, home: Path) -> None:
    write_run(home, "there")
    (home / "run.json").write_text((home / "training" / "there" / "run.json").read_text())
    with pytest.raises(DDRSError, match="no training run"):
        training_run(open_store(), name)


def test_the_oldest_runs_are_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_TRAINING_RUNS", jobs.MAX_UNFINISHED + 2)
    monkeypatch.setattr(jobs, "_launch", lambda store, run: run)
    for age in range(5):
        write_run(home, f"run{age}", created=1000.0 - age)
    run = start_training(config(1), device="cpu")
    assert [found.id for found in list_runs()] == [run.id, "run0", "run1"]
    assert not (home / "training" / "run2").exists()
