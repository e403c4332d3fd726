"""The child process of :func:`ddrs_core.models.importing.sandbox.read_isolated`.

``python -m ddrs_core.models.importing.sandbox_worker FILE FOLDER MEMORY CPU_SECONDS``
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from ddrs_core.errors import DDRSError
from ddrs_core.models.importing.pickle_calls import plain
from ddrs_core.models.importing.read_state import read_state
from ddrs_core.models.importing.sandbox import REPORT, WEIGHTS


def _limit(memory: int, cpu_seconds: int) -> None:
    """Bind this process; on Windows there is nothing to bind with, and the clock has to do."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def _read(path: Path, folder: Path) -> dict[str, Any]:
    raw = read_state(path)
    save_file(raw.state, folder / WEIGHTS)
    report = {
        key: getattr(raw, key)
        for key in ("prefix", "entry", "arch_hint", "epoch", "extras", "notes", "size")
    }
    normalization = asdict(raw.normalization) if raw.normalization else None
    return {**report, "layout": str(raw.layout), "normalization": normalization}


def main(arguments: list[str]) -> None:
    path, folder = Path(arguments[0]), Path(arguments[1])
    _limit(int(arguments[2]), int(arguments[3]))
    try:
        report = _read(path, folder)
    except DDRSError as error:
        report = {"error": str(error)}
    except MemoryError:
        name = plain(path.name, 80)
        report = {"error": f"{name} needs more memory than this server gives to one file."}
    (folder / REPORT).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
