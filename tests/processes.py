"""The command line in processes that are forked from one that has imported everything."""

from __future__ import annotations

import io
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from types import ModuleType
from unittest.mock import patch

from ddrs_core.cli import main

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["ddrs_core.runs.worker", "ddrs_core.runs.logs.columns"])


def start_command(argv: Sequence[str], **environment: str) -> BaseProcess:
    """Start the program with these arguments and environment variables."""
    return start_process(_run, list(argv), environment)


def start_process(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a process that calls a function."""
    process = SERVER.Process(target=target, args=arguments)
    # A page that was tested before may have left its script there, which the process would run.
    with patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):
        process.start()
    return process


def _run(argv: list[str], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        code = main(argv)
    if code:
        sys.stderr.write(output.getvalue())
    sys.exit(code)
