"""Our own command line as a process that outlives page and server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

import ddrs_core
from ddrs_core.paths import HOME_VARIABLE, home

_NICENESS = 5  # pages go first


def launch_command(argv: Sequence[str], output: Path) -> int:
    """Start ``python`` with these arguments in a session of its own; returns the process id.

    Args:
        argv: what follows ``python``.
        output: file that its output replaces.

    Raises:
        OSError: if the file cannot be written or the process cannot be started.
    """
    root = Path(ddrs_core.__file__).parents[1]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *argv],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, HOME_VARIABLE: str(home().absolute())},
        )
    threading.Thread(target=process.wait, daemon=True).start()  # else it would stay as a zombie
    with suppress(psutil.Error):  # it may be gone already; its output says why
        psutil.Process(process.pid).nice(_NICENESS if os.name == "posix" else None)
    return process.pid
