"""Training runs that pages start: each a process of its own that outlives page and server.

A run is a folder ``training/<id>/`` in the user's data folder, with what its ``train`` command
writes, the command's own words in ``output.txt``, and ``run.json``: whose it is, its settings and
its process. Nothing is kept in memory, so that every server and every reload sees the same.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from ddrs_core.errors import BusyError, DDRSError
from ddrs_core.jobs.training_process import (
    RECORD,
    last_error,
    launch,
    living_process,
    read_record,
    write_record,
)
from ddrs_core.paths import home
from ddrs_core.quantities import counted
from ddrs_core.runs.argv import to_argv
from ddrs_core.runs.device_queue import queue_folder
from ddrs_core.runs.training.progress import TrainingProgress, TrainingStage, read_progress
from ddrs_core.runs.training.run import TrainingFiles
from ddrs_core.training import TrainConfig

MAX_UNFINISHED = 8  # waiting and running, on this server
MAX_KEPT = 200  # runs in all; the oldest that have ended give way
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,160}")


class RunState(StrEnum):
    """Where a training run stands."""

    WAITING = "waiting"
    RUNNING = "running"
    MEASURING = "measuring"
    STOPPED = "stopped"  # as somebody asked
    INTERRUPTED = "interrupted"  # its process is gone, and nobody asked it to stop
    FAILED = "failed"
    FINISHED = "finished"

    @property
    def is_moving(self) -> bool:
        """Whether a process works on it, or waits to."""
        return self in (RunState.WAITING, RunState.RUNNING, RunState.MEASURING)

    @property
    def can_resume(self) -> bool:
        """Whether it can go on."""
        return self in (RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED)


_MOVING = {  # what a run does whose process lives
    TrainingStage.WAITING: RunState.WAITING,
    TrainingStage.TRAINING: RunState.RUNNING,
    TrainingStage.MEASURING: RunState.MEASURING,
    TrainingStage.STOPPED: RunState.RUNNING,  # it is about to leave
    TrainingStage.FINISHED: RunState.MEASURING,
}


@dataclass(frozen=True)
class TrainingRun:
    """A run as it stands at this moment."""

    id: str
    folder: Path
    owner: str
    created: float  # seconds since 1970
    name: str  # of the model
    config: dict[str, Any]  # as TrainConfig.to_dict gives it
    words: tuple[str, ...]  # of the command, but for its folder
    state: RunState
    progress: TrainingProgress | None  # None: its process has not said anything yet
    stopping: bool = False  # it was asked to stop and has not yet
    error: str = ""  # why it failed
    registered: str = ""  # name under which its model was added to the library

    @property
    def command(self) -> str:
        """The command line that makes this model again."""
        return shlex.join(["python", *self.words, "--out", "my-models"])

    @property
    def files(self) -> TrainingFiles:
        """Where the command writes."""
        return TrainingFiles(self.folder, self.name)


def runs_folder() -> Path:
    """Where the runs lie."""
    return home().absolute() / "training"


def start_run(config: TrainConfig, owner: str = "", *, device: str = "auto") -> TrainingRun:
    """Start a training run; it waits for its turn on the device.

    Args:
        config: the run, checked.
        owner: who may stop it.
        device: where to train.

    Raises:
        BusyError: if as many runs are unfinished as the server takes.
        DDRSError: if its folder cannot be made.
    """
    day = time.strftime("%Y%m%d-%H%M")
    run_id = f"{day}-{config.model_name[:100]}-{secrets.token_hex(8)}"
    record = {
        "owner": owner,
        "created": time.time(),
        "name": config.model_name,
        "config": config.to_dict(),
        "words": ["-m", "ddrs_core", *to_argv(config)],
        "device": device,
    }
    with _registry():
        _make_room()
        folder = runs_folder() / run_id
        folder.mkdir()
        launch(folder, queue_folder(), record)
    return get_run(run_id)


def resume_run(run: TrainingRun) -> TrainingRun:
    """Let a run that has not finished go on where it was.

    Raises:
        BusyError: if as many runs are unfinished as the server takes.
        DDRSError: if it is under way or has finished.
    """
    with _registry():
        run = get_run(run.id)
        if not run.state.can_resume:
            raise DDRSError(f"This run is {run.state}, so there is nothing to resume.")
        _check_bound()
        launch(run.folder, queue_folder(), read_record(run.folder))
    return get_run(run.id)


def stop_run(run: TrainingRun) -> None:
    """Ask a run to save its state and end, asked twice to end at once; it can be resumed."""
    with _registry():
        record = read_record(run.folder)
        process = living_process(record)
        if process is None:
            return
        write_record(run.folder, {**record, "stop_asked": True})
        with suppress(psutil.NoSuchProcess):
            process.terminate()


def delete_run(run: TrainingRun) -> None:
    """Remove a run and its files; a model that was registered stays in the library.

    Raises:
        DDRSError: if it is under way.
    """
    with _registry():
        if get_run(run.id).state.is_moving:
            raise DDRSError("This run is under way. Stop it first.")
        shutil.rmtree(run.folder, ignore_errors=True)


def note_registered(run: TrainingRun, name: str) -> None:
    """Remember under which name the run's model was added to the library."""
    with _registry():
        write_record(run.folder, {**read_record(run.folder), "registered": name})


def get_run(run_id: str) -> TrainingRun:
    """The run of that id, whoever started it.

    Raises:
        DDRSError: if there is none (any more).
    """
    folder = runs_folder() / run_id
    if not _ID.fullmatch(run_id) or not (folder / RECORD).is_file():
        raise DDRSError(f"There is no training run {run_id[:60]!r} here (any more).")
    return _look(folder)


def list_runs(owner: str | None = None) -> list[TrainingRun]:
    """All runs, or those of one owner, newest first."""
    runs = []
    for folder in _folders():
        try:
            record = read_record(folder)
            if owner is None or record["owner"] == owner:
                runs.append(_look(folder))
        except DDRSError:  # deleted just now, or damaged
            continue
    return sorted(runs, key=lambda run: -run.created)


def _look(folder: Path) -> TrainingRun:
    record = read_record(folder)
    files = TrainingFiles(folder, record["name"])
    process = living_process(record)
    progress = read_progress(files.progress)
    if progress is not None and progress.pid != record.get("pid"):
        # An earlier process told how far the run is, but not what the present one does.
        progress = replace(
            progress, stage=TrainingStage.WAITING, images_per_second=0.0, seconds_left=None, ahead=0
        )
    stage = progress.stage if progress is not None else TrainingStage.WAITING
    error = "" if process is not None else last_error(folder)
    if process is not None:
        state = _MOVING[stage]
    elif files.model.exists() and files.model.with_suffix(".json").exists():
        state, error = RunState.FINISHED, ""
    elif error:
        state = RunState.FAILED
    elif stage is TrainingStage.STOPPED or record.get("stop_asked"):
        state = RunState.STOPPED
    else:
        state = RunState.INTERRUPTED
    return TrainingRun(
        id=folder.name,
        folder=folder,
        owner=record["owner"],
        created=record["created"],
        name=record["name"],
        config=record["config"],
        words=tuple(record["words"]),
        state=state,
        progress=progress,
        stopping=process is not None and bool(record.get("stop_asked")),
        error=error,
        registered=record.get("registered", ""),
    )


def _make_room() -> None:
    """Raises BusyError if there is no room; drops the oldest runs beyond the number kept."""
    _check_bound()
    ended = [run for run in list_runs() if not run.state.is_moving]
    for run in ended[MAX_KEPT - MAX_UNFINISHED :]:
        shutil.rmtree(run.folder, ignore_errors=True)


def _check_bound() -> None:
    unfinished = sum(run.state.is_moving for run in list_runs())
    if unfinished >= MAX_UNFINISHED:
        raise BusyError(
            f"This server has {counted(unfinished, 'unfinished training run')}, which is as many "
            "as it takes. Wait until one has ended, or stop one that you no longer need."
        )


def _folders() -> Iterator[Path]:
    try:
        names = os.listdir(runs_folder())
    except OSError:
        return
    for name in names:
        if _ID.fullmatch(name) and (runs_folder() / name / RECORD).is_file():
            yield runs_folder() / name


@contextmanager
def _registry() -> Iterator[None]:
    """Only one server or page starts, stops or removes runs at a time."""
    try:
        runs_folder().mkdir(parents=True, exist_ok=True)
        lock = FileLock(runs_folder() / ".lock", timeout=30)
        with lock:
            yield
    except OSError as error:
        raise DDRSError(
            f"The folder of training runs, {runs_folder()}, cannot be used: "
            f"{error.strerror or error}."
        ) from None
