"""Training runs are processes of their own: they wait, stop, go on, break, and say so."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ddrs_core.errors import BusyError, DDRSError
from ddrs_core.jobs import training_runs
from ddrs_core.jobs.training_runs import (
    RunState,
    TrainingRun,
    delete_run,
    get_run,
    list_runs,
    note_registered,
    resume_run,
    start_run,
    stop_run,
)
from ddrs_core.models import load_checkpoint
from ddrs_core.runs.training.log import read_training_log
from ddrs_core.training import TrainConfig, recipe


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of its own; processes that a test leaves behind are ended."""
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    yield tmp_path
    for run in list_runs():
        if run.state.is_moving:
            psutil.Process(record(run)["pid"]).kill()


def config(epochs: int, **changes: Any) -> TrainConfig:
    return recipe("digits", "digits_cnn", "gaussian", 0.5, epochs=epochs, **changes)


def record(run: TrainingRun) -> dict[str, Any]:
    return dict(json.loads((run.folder / "run.json").read_text()))


def wait(run: TrainingRun, done: Callable[[TrainingRun], bool]) -> TrainingRun:
    deadline = time.monotonic() + 120
    while not done(run := get_run(run.id)):
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
    return run


def trains(run: TrainingRun) -> bool:
    return run.state is RunState.RUNNING and run.progress is not None and run.progress.epoch >= 2


def has_ended(run: TrainingRun) -> bool:
    return not run.state.is_moving


def write_run(folder: Path, name: str, **changes: Any) -> Path:
    """A run that somebody's process left behind."""
    run = folder / "training" / name
    run.mkdir(parents=True)
    data = {
        "owner": "me",
        "created": time.time(),
        "name": "model",
        "config": {},
        "words": [],
        "device": "cpu",
        "pid": 2**22 + 1,
        "process_started": 1.0,
        **changes,
    }
    (run / "run.json").write_text(json.dumps(data))
    return run


def test_a_run_stops_goes_on_and_ends_as_if_undisturbed(home: Path) -> None:
    run = start_run(config(20, data_dependent=True), "me")
    assert run.state is RunState.WAITING
    run = wait(run, trains)
    assert run.progress is not None
    assert run.progress.pid == record(run)["pid"] != os.getpid()
    stop_run(run)
    run = wait(run, has_ended)
    assert (run.state, run.error) == (RunState.STOPPED, "")
    assert run.files.state.exists()
    assert run.progress is not None
    stopped_in = run.progress.epoch
    assert 2 <= stopped_in < 20
    resumed = resume_run(run)
    assert resumed.state is RunState.WAITING
    assert resumed.progress is not None
    assert resumed.progress.epoch == stopped_in  # what is known of it is not forgotten
    with pytest.raises(DDRSError, match="nothing to resume"):
        resume_run(run)
    with pytest.raises(DDRSError, match="Stop it first"):
        delete_run(run)
    run = wait(run, has_ended)
    assert run.state is RunState.FINISHED, run.error
    epochs = read_training_log(run.files.log).epochs
    assert [e.epoch for e in epochs] == list(range(1, 21))
    assert load_checkpoint(run.files.model).card.name == "digits-gaussian-ds2-0.50"
    assert run.command.startswith("python -m ddrs_core train --dataset digits")
    note_registered(run, "mine")
    assert get_run(run.id).registered == "mine"
    delete_run(run)
    assert list_runs() == []


def test_runs_take_turns_and_a_killed_one_makes_room(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = wait(start_run(config(2000), "me"), trains)
    second, third = start_run(config(1), "me"), start_run(config(1), "somebody else")
    monkeypatch.setattr(training_runs, "MAX_UNFINISHED", 3)
    with pytest.raises(BusyError, match="3 unfinished training runs"):
        start_run(config(1), "me")
    second = wait(second, lambda run: run.progress is not None and run.progress.ahead == 1)
    third = wait(third, lambda run: run.progress is not None and run.progress.ahead > 0)
    assert {second.state, third.state} == {RunState.WAITING}
    assert [run.id for run in list_runs("me")] == [second.id, first.id]
    stop_run(third)
    assert wait(third, has_ended).state is RunState.STOPPED
    os.kill(record(first)["pid"], signal.SIGKILL)
    first = wait(first, has_ended)
    assert first.state is RunState.INTERRUPTED
    assert first.state.can_resume
    assert wait(second, has_ended).state is RunState.FINISHED


def test_a_run_that_cannot_be_says_why(home: Path) -> None:
    run = wait(start_run(config(1, init="digits-gausian-0.50")), has_ended)
    assert run.state is RunState.FAILED
    assert "no model 'digits-gausian-0.50'" in run.error
    assert "\n" not in run.error


def test_a_later_process_of_the_same_number_is_not_the_run(home: Path) -> None:
    write_run(home, "old", pid=os.getpid())
    assert get_run("old").state is RunState.INTERRUPTED
    born = psutil.Process().create_time()
    write_run(home, "ours", pid=os.getpid(), process_started=born)
    assert get_run("ours").state is RunState.WAITING
    (home / "training" / "ours" / "run.json").unlink()


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "", "a/b", "/etc", "x\0y", "nobody", "a" * 500, ".lock"]
)
def test_hostile_names_find_nothing(name: str, home: Path) -> None:
    write_run(home, "there")
    (home / "run.json").write_text((home / "training" / "there" / "run.json").read_text())
    with pytest.raises(DDRSError, match="no training run"):
        get_run(name)


def test_a_damaged_run_hides_no_other(home: Path) -> None:
    write_run(home, "whole")
    (write_run(home, "broken") / "run.json").write_text("{")
    assert [run.id for run in list_runs()] == ["whole"]
    with pytest.raises(DDRSError, match="cannot be read"):
        get_run("broken")


def test_the_oldest_runs_give_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_runs, "MAX_KEPT", training_runs.MAX_UNFINISHED + 2)
    monkeypatch.setattr(training_runs, "launch", lambda folder, queue, data: None)
    for age in range(5):
        write_run(home, f"run{age}", created=1000.0 - age)
    with pytest.raises(DDRSError):  # nothing was launched
        start_run(config(1))
    assert [run.id for run in list_runs()] == ["run0", "run1"]
