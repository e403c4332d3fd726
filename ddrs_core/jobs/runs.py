"""Runs that pages start: each a process of its own that outlives page and server.

The database has all that is known of a run, whatever its kind, so every server and every reload
sees the same; here are the processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock

from ddrs_core.errors import BusyError, DDRSError
from ddrs_core.jobs.processes import launch_command
from ddrs_core.paths import home
from ddrs_core.quantities import counted
from ddrs_core.runs.certify.config import CertifyConfig
from ddrs_core.runs.training.recorded import delete_training, record_training, training_runs
from ddrs_core.runs.worker import record_run
from ddrs_core.store import (
    CERTIFY,
    TRAIN,
    RunRecord,
    Store,
    StoreError,
    Wanted,
    WorkerProcess,
    open_store,
)
from ddrs_core.training import TrainConfig

MAX_UNFINISHED = 8  # of each kind, waiting and running, on this server
MAX_TRAINING_RUNS = 200  # in all; the oldest that have ended are removed with their files
_KINDS = {CERTIFY: "certification", TRAIN: "training"}


def list_runs(owner: str | None = None) -> list[RunRecord]:
    """Runs of every kind, or those of one owner, newest first."""
    store = open_store()
    training_runs(store)  # adopts folders that this database does not know
    return store.runs(owner)


def start_certification(
    configs: Sequence[CertifyConfig], owner: str = "", *, title: str = ""
) -> RunRecord:
    """Start a certification run; it waits for its turn on the device.

    Args:
        configs: its settings, see :func:`~ddrs_core.runs.worker.record_run`.
        owner: who may steer it.
        title: what people call it.

    Raises:
        BusyError: if as many runs are unfinished as the server accepts.
        DDRSError: if the settings make no sense, or it cannot be stored or started.
    """
    store = open_store()
    with _registry():
        _check_bound(store, CERTIFY)
        return _launch(store, record_run(store, configs, title=title, owner=owner))


def start_training(config: TrainConfig, owner: str = "", *, device: str = "auto") -> RunRecord:
    """Start a training run; it waits for its turn on the device.

    Args:
        config: the run.
        owner: who may steer it.
        device: where to train.

    Raises:
        BusyError: if as many runs are unfinished as the server accepts.
        DDRSError: if the settings make no sense, or it cannot be stored or started.
    """
    store = open_store()
    with _registry():
        _check_bound(store, TRAIN)
        ended = [run for run in training_runs(store) if not run.state.is_moving]
        for run in ended[MAX_TRAINING_RUNS - MAX_UNFINISHED :]:
            delete_training(store, run)
        return _launch(store, record_training(store, config, owner=owner, device=device))


def resume_run(run_id: str) -> RunRecord:
    """Let a run that has not finished go on where it was.

    Raises:
        BusyError: if as many runs are unfinished as the server accepts.
        DDRSError: if it is under way or has finished.
    """
    store = open_store()
    with _registry():
        run = store.run(run_id)
        if not run.state.can_resume:
            raise DDRSError(f"This run is {run.state}, so there is nothing to resume.")
        _check_bound(store, run.kind)
        return _launch(store, run)


def pause_run(run_id: str) -> RunRecord:
    """Ask a run to save its state and end for now; it obeys within about a second."""
    return open_store().request(run_id, Wanted.PAUSE)


def cancel_run(run_id: str) -> RunRecord:
    """Ask a run to end; what it has made stays."""
    return open_store().request(run_id, Wanted.CANCEL)


def stop_at_once(run_id: str) -> RunRecord:
    """Ask a run to end for now, and its process on this machine to end in the middle of its work.

    What it has saved stays.
    """
    run = pause_run(run_id)
    if run.process is not None and run.process.lives(silent=math.inf):
        with suppress(psutil.Error):
            psutil.Process(run.process.pid).terminate()
    return run


def delete_run(run_id: str) -> None:
    """Remove a run with all that it has made.

    Raises:
        StoreError: if it is under way.
    """
    store = open_store()
    with _registry():
        run = store.run(run_id)
        if run.kind == TRAIN:
            delete_training(store, run)
        else:
            store.delete_run(run_id)
        _output(run).unlink(missing_ok=True)


def _launch(store: Store, run: RunRecord) -> RunRecord:
    pid = launch_command(["-m", "ddrs_core", run.kind, "--run", run.id, "--quiet"], _output(run))
    with suppress(StoreError, ProcessLookupError):  # it was quicker
        store.claim(run.id, WorkerProcess.of(pid))
    return store.run(run.id)


def _check_bound(store: Store, kind: str) -> None:
    unfinished = sum(run.state.is_moving for run in store.runs(kind=kind))
    if unfinished >= MAX_UNFINISHED:
        raise BusyError(
            f"This server has {counted(unfinished, f'unfinished {_KINDS[kind]} run')}, which is as "
            "many as it accepts. Wait until one has ended, or end one that you no longer need."
        )


def _folder() -> Path:
    return home().absolute() / "runs"


def _output(run: RunRecord) -> Path:
    """What the last process of a run printed."""
    return _folder() / f"{run.id}.txt"


@contextmanager
def _registry() -> Iterator[None]:
    """Only one server or page starts or removes runs at a time."""
    try:
        _folder().mkdir(parents=True, exist_ok=True)
        with FileLock(_folder() / ".lock", timeout=30):
            yield
    except OSError as error:
        raise DDRSError(
            f"The folder of runs, {_folder()}, cannot be used: {error.strerror or error}."
        ) from None
