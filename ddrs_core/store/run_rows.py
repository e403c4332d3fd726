"""A row of the table of runs as a record, and where the run stands."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, RowMapping, Select

from ddrs_core.store.errors import UnknownEntryError
from ddrs_core.store.records import RunProgress, RunRecord, RunState, Wanted
from ddrs_core.store.schema import runs
from ddrs_core.store.worker_process import WorkerProcess

LAUNCH_SECONDS = 60.0  # a new run that no process has taken by then never will be
_MADE = {"settings", "state", "wanted", "process", "progress"}  # from one or several columns
_PLAIN = [field.name for field in fields(RunRecord) if field.name not in _MADE]


def unknown_run(run_id: str) -> UnknownEntryError:
    """The error for a run that is not there."""
    return UnknownEntryError(f"There is no run {str(run_id)[:60]!r} here.")


def find_row(connection: Connection, run_id: str, query: Select[Any]) -> RowMapping:
    """The row of a run.

    Raises:
        UnknownEntryError: if there is none.
    """
    row = connection.execute(query.where(runs.c.id == run_id)).mappings().first()
    if row is None:
        raise unknown_run(run_id)
    return row


def to_record(row: RowMapping) -> RunRecord:
    """The record of a row that was selected together with the time, as ``now``."""
    data = {name: row[name] for name in _PLAIN}
    progress = row["progress"]
    process = None
    if row["pid"] is not None:
        process = WorkerProcess(row["pid"], row["host"], row["process_started"])
    return RunRecord(
        **data,
        settings=tuple(row["settings"]),
        state=_standing(row, process),
        wanted=None if row["wanted"] is None else Wanted(row["wanted"]),
        process=process,
        progress=None if progress is None else RunProgress(**progress),
    )


def _standing(row: RowMapping, process: WorkerProcess | None) -> RunState:
    """Where a run stands, given that its process may have ended without a word."""
    state = RunState(row["state"])
    if not state.is_moving:
        return state
    if process is None:
        moves = row["now"] - row["created"] < LAUNCH_SECONDS
    else:
        moves = process.lives(row["now"] - (row["heartbeat"] or row["created"]))
    if moves:
        return state
    return RunState.INTERRUPTED if row["wanted"] is None else Wanted(row["wanted"]).state
