"""Training runs that lie in a folder only: each becomes a row of the database.

Earlier versions of the program kept all that they knew of a run in its folder, as ``run.json``.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Set
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddrs_core.atomic_write import one_at_a_time
from ddrs_core.errors import DDRSError
from ddrs_core.paths import home
from ddrs_core.runs.training.files import TrainingFiles
from ddrs_core.runs.training.progress import TrainingStage, read_progress
from ddrs_core.store import TRAIN, RunState, Store, WorkerProcess

RECORD = "run.json"
_DAMAGED: dict[Path, int] = {}  # records that could not be read, by when they were written
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,160}")


def adopt_folders(store: Store, known: Set[str]) -> bool:
    """Make rows for folders of training runs; returns whether there were any.

    Args:
        store: the database.
        known: runs that it knows.
    """
    if not _folders() - known:
        return False
    with one_at_a_time(training_folder()):
        for name in _folders() - {run.id for run in store.runs(kind=TRAIN)}:
            record = training_folder() / name / RECORD
            with suppress(DDRSError, OSError):
                written = record.stat().st_mtime_ns
                try:
                    _adopt(store, name)
                except (KeyError, TypeError, ValueError):
                    _DAMAGED[record] = written
    return True


def _adopt(store: Store, name: str) -> None:
    folder = training_folder() / name
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    config, model = dict(record["config"]), str(record["name"])
    files = TrainingFiles(folder, model)
    progress = read_progress(files.progress)
    process = _living_process(record)
    error = _last_error(folder)
    stopped = progress is not None and progress.stage is TrainingStage.STOPPED
    if process is not None:
        state = RunState.RUNNING
    elif files.model.exists() and files.model.with_suffix(".json").exists():
        state = RunState.FINISHED
    elif error:
        state = RunState.FAILED
    else:
        asked = stopped or record.get("stop_asked")
        state = RunState.PAUSED if asked else RunState.INTERRUPTED
    epochs = int(config["epochs"])
    done = progress.done if progress is not None else 0.0
    created = float(record["created"])
    store.adopt_run(
        name,
        title=str(record.get("title", model)),
        owner=str(record["owner"]),
        kind=TRAIN,
        created=created,
        started=created,
        ended=None if process else time.time(),
        config=config,
        settings=[],
        total=epochs,
        stored=epochs if state is RunState.FINISHED else int(epochs * done),
        code_version="",
        device=str(record["device"]),
        state=state.value,
        error=error if state is RunState.FAILED else "",
        pid=process and process.pid,
        host=process and process.host,
        process_started=process and process.started,
    )


def training_folder() -> Path:
    """Where the folders of training runs lie on this machine."""
    return home().absolute() / "training"


def _folders() -> set[str]:
    try:
        names = os.listdir(training_folder())
    except OSError:
        return set()
    return {n for n in names if _ID.fullmatch(n) and _is_readable(training_folder() / n / RECORD)}


def _is_readable(record: Path) -> bool:
    """Whether there is a record that was not found damaged, or was written since."""
    try:
        return record.is_file() and record.stat().st_mtime_ns != _DAMAGED.get(record)
    except OSError:
        return False


def _living_process(record: dict[str, Any]) -> WorkerProcess | None:
    """The process that an earlier version of the program noted, if it still lives."""
    with suppress(ProcessLookupError):
        process = WorkerProcess.of(int(record.get("pid", 0)))
        noted = replace(process, started=float(record.get("process_started", 0.0)))
        return process if noted.lives(silent=math.inf) else None
    return None


def _last_error(folder: Path) -> str:
    """The complaint with which a process of an earlier version ended."""
    try:
        text = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    said = [line for line in text.split("\n") if line.strip()]
    complained = said and said[-1].startswith("error: ")
    return said[-1].removeprefix("error: ") if complained else ""
