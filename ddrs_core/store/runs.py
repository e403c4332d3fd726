"""The runs: made, claimed by a process, watched, steered and left."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from ddrs_core.errors import InvalidParameterError, require_count
from ddrs_core.store.database import Database
from ddrs_core.store.errors import RunClaimedError, StoreError
from ddrs_core.store.records import CERTIFY, RunProgress, RunRecord, RunState, Wanted
from ddrs_core.store.run_rows import find_row, to_record
from ddrs_core.store.schema import runs
from ddrs_core.store.worker_process import SAME_START, WorkerProcess

_LONGEST_TITLE, _LONGEST_ERROR = 300, 4000  # characters
_NOBODY = {"pid": None, "host": None, "process_started": None}


class RunStore(Database):
    """The part of the store that knows the runs."""

    def create_run(
        self,
        *,
        title: str,
        config: dict[str, Any],
        settings: Sequence[dict[str, Any]],
        total: int,
        kind: str = CERTIFY,
        owner: str = "",
        code_version: str = "",
        device: str = "",
    ) -> RunRecord:
        """Make a run, which then waits for a process to claim it.

        Args:
            title: what people call it.
            config: its whole configuration, as plain data for JSON.
            settings: what its certificates differ in; each certifies the same images.
            total: certificates planned, over all settings; of a training run, its epochs.
            kind: :data:`CERTIFY` or :data:`TRAIN`.
            owner: who may steer it.
            code_version: of the program.
            device: where it shall work.

        Raises:
            InvalidParameterError: if the configuration is no plain data, or nothing is planned.
            UnavailableError: if the database is damaged.
        """
        try:
            json.dumps([config, list(settings)], allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidParameterError(f"The run cannot be stored: {error}.") from None
        run_id = f"{time.strftime('%Y%m%d-%H%M')}-{secrets.token_hex(8)}"
        values = {
            "id": run_id,
            "title": title[:_LONGEST_TITLE],
            "owner": owner,
            "kind": kind,
            "config": config,
            "settings": list(settings),
            "stored": 0,
            "total": require_count("total", total),
            "code_version": code_version,
            "device": device,
            "state": RunState.WAITING.value,
            "error": "",
        }
        self.check_intact()
        with self._writing() as connection:
            connection.execute(insert(runs).values(**values, created=self._now()))
        return self.run(run_id)

    def run(self, run_id: str) -> RunRecord:
        """The run of that id, whoever made it.

        Raises:
            UnknownEntryError: if there is none.
        """
        with self._reading() as connection:
            return to_record(find_row(connection, run_id, self._select()))

    def adopt_run(self, run_id: str, **values: Any) -> None:
        """Store a run that was made elsewhere, unless there is one of that id.

        Args:
            run_id: its id.
            values: columns of the table; those that may be empty may be left out.
        """
        known = select(runs.c.id).where(runs.c.id == run_id)
        with self._writing() as connection:
            if connection.execute(known).first() is None:
                connection.execute(insert(runs).values(id=run_id, **values))

    def runs(self, owner: str | None = None, *, kind: str | None = None) -> list[RunRecord]:
        """All runs, or those of one owner or one kind, newest first."""
        chosen = self._select().order_by(runs.c.created.desc(), runs.c.id.desc())
        if owner is not None:
            chosen = chosen.where(runs.c.owner == owner)
        if kind is not None:
            chosen = chosen.where(runs.c.kind == kind)
        with self._reading() as connection:
            rows = connection.execute(chosen).mappings().all()
        return [to_record(row) for row in rows]

    def delete_run(self, run_id: str) -> None:
        """Remove a run and its certificates.

        Raises:
            UnknownEntryError: if there is none.
            StoreError: if it is under way.
        """
        with self._writing() as connection:
            if self._locked(connection, run_id).state.is_moving:
                raise StoreError("This run is under way. Pause or cancel it first.")
            connection.execute(delete(runs).where(runs.c.id == run_id))

    def claim(self, run_id: str, process: WorkerProcess | None = None) -> RunRecord:
        """Take a run to work on it; again by the same process changes nothing.

        A program that launches the worker may claim the run in the worker's name, so that
        the run is never without one.

        Args:
            run_id: which run.
            process: who takes it; default: this process.

        Raises:
            RunClaimedError: if another living process works on it.
            StoreError: if it has finished.
            UnknownEntryError: if there is none.
            UnavailableError: if the database is damaged.
        """
        process = process or WorkerProcess.current()
        self.check_intact()
        with self._writing() as connection:
            run = self._locked(connection, run_id)
            if run.state is RunState.FINISHED:
                raise StoreError("This run is finished, so there is nothing left to do.")
            if run.state.is_moving and run.process is not None:
                if run.process.is_same_as(process):
                    return run
                raise RunClaimedError(
                    f"Process {run.process.pid} on {run.process.host} works on this run. Pause or "
                    "cancel it there first."
                )
            values: dict[str, Any] = {
                "state": RunState.WAITING.value,
                "pid": process.pid,
                "host": process.host,
                "process_started": process.started,
                "heartbeat": self._now(),
                "ended": None,
                "progress": None,
                "error": "",
            }
            if not run.state.is_moving:  # else what was asked of a run on its way still counts
                values["wanted"] = None
            connection.execute(update(runs).where(runs.c.id == run_id).values(values))
        return self.run(run_id)

    def heartbeat(
        self,
        run_id: str,
        progress: RunProgress,
        *,
        state: RunState = RunState.RUNNING,
        stored: int | None = None,
        process: WorkerProcess | None = None,
    ) -> Wanted | None:
        """Say that the work goes on and how far it is; returns what somebody asked for meanwhile.

        Args:
            run_id: which run.
            progress: how far it is.
            state: ``RUNNING``, or ``WAITING`` for a turn.
            stored: results that are there, unless they are certificates, which are counted here.
            process: who works on it; default: this process.

        Raises:
            RunClaimedError: if the run is not this process's; then stop working on it.
            UnknownEntryError: if there is none.
        """
        values: dict[str, Any] = {
            "state": _one_of(state, RunState.RUNNING, RunState.WAITING),
            "heartbeat": self._now(),
            "progress": asdict(progress),
        }
        if stored is not None:
            values["stored"] = stored
        if state is RunState.RUNNING:
            values["started"] = func.coalesce(runs.c.started, self._now())
        wanted = self._update_own(run_id, process, values)
        return None if wanted is None else Wanted(wanted)

    def release(
        self, run_id: str, state: RunState, error: str = "", *, process: WorkerProcess | None = None
    ) -> None:
        """Stop working on a run.

        Args:
            run_id: which run.
            state: ``PAUSED``, ``CANCELLED``, ``FAILED`` or ``FINISHED``.
            error: why it failed, as a sentence for the user.
            process: who worked on it; default: this process.

        Raises:
            RunClaimedError: if the run is not this process's.
            UnknownEntryError: if there is none.
        """
        allowed = (RunState.PAUSED, RunState.CANCELLED, RunState.FAILED, RunState.FINISHED)
        values = {
            "state": _one_of(state, *allowed),
            "ended": self._now(),
            "wanted": None,
            **_NOBODY,
            "error": error[:_LONGEST_ERROR],
        }
        self._update_own(run_id, process, values)

    def request(self, run_id: str, wanted: Wanted | None) -> RunRecord:
        """Ask a run to pause or to end; ``None`` takes it back while it is under way.

        A run that nobody works on is cancelled at once; one that has finished stays as it is.

        Raises:
            UnknownEntryError: if there is none.
        """
        with self._writing() as connection:
            run = self._locked(connection, run_id)
            values: dict[str, Any] = {}
            if run.state.is_moving:
                values = {"wanted": wanted}
            elif run.state.can_resume and wanted is Wanted.CANCEL:
                values = {"state": RunState.CANCELLED.value, "wanted": None, "ended": self._now()}
                values |= _NOBODY
            if values:
                connection.execute(update(runs).where(runs.c.id == run_id).values(values))
        return self.run(run_id)

    def _select(self) -> Select[Any]:
        return select(runs, self._now().label("now"))

    def _locked(self, connection: Connection, run_id: str) -> RunRecord:
        """The run, which nobody else changes until the transaction ends."""
        return to_record(find_row(connection, run_id, self._select().with_for_update(of=runs)))

    def _update_own(
        self, run_id: str, process: WorkerProcess | None, values: dict[str, Any]
    ) -> str | None:
        """Change a run that the process holds; returns what was asked of it."""
        me = process or WorkerProcess.current()
        early, late = me.started - SAME_START, me.started + SAME_START
        mine = update(runs).where(
            runs.c.id == run_id,
            runs.c.pid == me.pid,
            runs.c.host == me.host,
            runs.c.process_started.between(early, late),
        )
        with self._writing() as connection:
            changed = connection.execute(mine.values(values).returning(runs.c.wanted)).all()
            if not changed:
                find_row(connection, run_id, self._select())
                raise RunClaimedError(
                    "This run is no longer this process's: another may have taken it."
                )
        return None if changed[0][0] is None else str(changed[0][0])


def _one_of(state: RunState, *allowed: RunState) -> str:
    if state not in allowed:
        raise InvalidParameterError(f"Expected one of {', '.join(allowed)}, not {state}.")
    return state.value
