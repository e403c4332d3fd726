"""The process of a training run, and the file in its folder that says which one it is."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from ddrs_core.atomic_write import replacing
from ddrs_core.errors import DDRSError
from ddrs_core.jobs.processes import launch_command

RECORD = "run.json"
_OUTPUT = "output.txt"
_SAME_START = 2.0  # seconds; the clock that times of birth are computed from may be adjusted
_LONGEST_ERROR = 600  # letters


def read_record(folder: Path) -> dict[str, Any]:
    """What is known of the run in a folder.

    Raises:
        DDRSError: if the file is missing or damaged.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        for key in ("owner", "created", "name", "config", "device", "words"):
            record[key]
    except (OSError, ValueError, KeyError, TypeError):
        raise DDRSError(f"The training run {folder.name[:60]!r} cannot be read.") from None
    return dict(record)


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Replace what is known, so that no reader ever sees half of it."""
    with replacing(folder / RECORD) as partial:
        partial.write_text(json.dumps(record, indent=1), encoding="utf-8")


def last_error(folder: Path) -> str:
    """The command's complaint, if it ended with one."""
    try:
        lines = (folder / _OUTPUT).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    said = [line for line in lines if line.strip()]
    if not said or not said[-1].startswith("error: "):
        return ""
    return said[-1].removeprefix("error: ")[:_LONGEST_ERROR]


def launch(folder: Path, queue: Path, record: dict[str, Any]) -> None:
    """Start the process of a run, and write down which one it is."""
    words = [
        *record["words"],
        "--out",
        str(folder),
        "--device",
        record["device"],
        "--queue",
        str(queue),
        "--resume",
        "--quiet",
    ]
    pid, born = launch_command(words, folder / _OUTPUT), 0.0
    with suppress(psutil.Error):  # it may be gone already; output.txt says why
        born = psutil.Process(pid).create_time()
    record = {**record, "pid": pid, "process_started": born, "stop_asked": False}
    write_record(folder, record)


def living_process(record: dict[str, Any]) -> psutil.Process | None:
    """The living process of a run; a later one that was given its id is another."""
    try:
        process = psutil.Process(int(record.get("pid", 0)))
        same = abs(process.create_time() - record["process_started"]) < _SAME_START
        alive = same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError, KeyError):
        return None
    return process if alive else None
