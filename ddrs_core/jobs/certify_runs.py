"""Certification runs that pages start: each a process of its own that outlives page and server.

The database says all that there is to know of a run, so every server and every reload sees the
same; here are the processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from ddrs_core.errors import BusyError, DDRSError
from ddrs_core.jobs.processes import launch_command
from ddrs_core.paths import home
from ddrs_core.quantities import counted
from ddrs_core.runs.certify.config import CertifyConfig
from ddrs_core.runs.worker import record_run
from ddrs_core.store import RunRecord, Store, StoreError, Wanted, WorkerProcess, open_store

MAX_UNFINISHED = 8  # waiting and running, on this server


def start_run(configs: Sequence[CertifyConfig], owner: str = "", *, title: str = "") -> RunRecord:
    """Start a run; it waits for its turn on the device.

    Args:
        configs: its settings, see :func:`~ddrs_core.runs.worker.record_run`.
        owner: who may steer it.
        title: what people call it.

    Raises:
        BusyError: if as many runs are unfinished as the server takes.
        DDRSError: if the settings make no sense, or it cannot be stored or started.
    """
    store = open_store()
    with _registry():
        _check_bound(store)
        run = record_run(store, configs, title=title, owner=owner)
        return _launch(store, run)


def resume_run(run_id: str) -> RunRecord:
    """Let a run that has not finished go on where it was.

    Raises:
        BusyError: if as many runs are unfinished as the server takes.
        DDRSError: if it is under way or has finished.
    """
    store = open_store()
    with _registry():
        run = store.run(run_id)
        if not run.state.can_resume:
            raise DDRSError(f"This run is {run.state}, so there is nothing to resume.")
        _check_bound(store)
        return _launch(store, run)


def pause_run(run_id: str) -> RunRecord:
    """Ask a run to end for now; it obeys within about a second."""
    return open_store().request(run_id, Wanted.PAUSE)


def cancel_run(run_id: str) -> RunRecord:
    """Ask a run to end; what it has certified stays."""
    return open_store().request(run_id, Wanted.CANCEL)


def _launch(store: Store, run: RunRecord) -> RunRecord:
    output = _folder() / f"{run.id}.txt"
    pid = launch_command(["-m", "ddrs_core", "certify", "--run", run.id, "--quiet"], output)
    with suppress(StoreError, ProcessLookupError):  # it was quicker
        store.claim(run.id, WorkerProcess.of(pid))
    return store.run(run.id)


def _check_bound(store: Store) -> None:
    unfinished = sum(run.state.is_moving for run in store.runs())
    if unfinished >= MAX_UNFINISHED:
        raise BusyError(
            f"This server has {counted(unfinished, 'unfinished certification run')}, which is as "
            "many as it takes. Wait until one has ended, or cancel one that you no longer need."
        )


def _folder() -> Path:
    return home().absolute() / "certify"


@contextmanager
def _registry() -> Iterator[None]:
    """Only one server or page starts runs at a time."""
    try:
        _folder().mkdir(parents=True, exist_ok=True)
        with FileLock(_folder() / ".lock", timeout=30):
            yield
    except OSError as error:
        raise DDRSError(
            f"The folder of certification runs, {_folder()}, cannot be used: "
            f"{error.strerror or error}."
        ) from None
