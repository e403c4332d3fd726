"""``serve``: the dashboard."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ddrs_core.cli.options import add_command
from ddrs_core.errors import DDRSError, InvalidParameterError, require_count

ROOT = Path(__file__).resolve().parents[2]


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "serve", "open the dashboard in a browser")
    parser.add_argument("--port", type=int, default=8501, metavar="P", help="port to listen on")
    parser.add_argument("--address", default="localhost", metavar="A", help="0.0.0.0 for a network")
    parser.set_defaults(run=_run)


def serve_command(port: int, address: str) -> list[str]:
    """The command that starts the dashboard.

    Raises:
        InvalidParameterError: if the port or the address makes no sense.
        DDRSError: if the dashboard is not installed.
    """
    require_count("The port", port, at_most=65_535)
    if not address or address.startswith("-"):
        raise InvalidParameterError(f"{address[:40]!r} is not an address to listen on.")
    if find_spec("streamlit") is None:
        raise DDRSError("Streamlit is not installed. Run: pip install -r requirements.txt")
    if not (ROOT / "app.py").is_file():
        raise DDRSError(f"The dashboard, app.py, is missing from {ROOT}.")
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--server.address",
        address,
    ]


def _run(options: argparse.Namespace) -> None:
    command = serve_command(options.port, options.address)
    os.chdir(ROOT)
    os.execv(command[0], command)  # signals reach the server itself
