"""The command line: the same jobs as on the pages, without a browser.

A new command is one module with ``add_parser(commands)`` and one entry in ``_COMMANDS``. Modules
import torch only once a command is chosen, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from ddrs_core.cli.options import LazyParser
from ddrs_core.errors import DDRSError, unknown_name

OK, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
DEBUG_VARIABLE = "DDRS_DEBUG"

_COMMANDS: dict[str, str] = {  # command -> module of this package
    "datasets": "datasets",
    "models": "models",
    "certify": "certify",
    "runs": "runs",
    "memory": "memory",
    "report": "report",
    "diagnose": "diagnose",
    "train": "train",
    "bench": "bench",
    "serve": "serve",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for wrong input, 130 when interrupted.

    ``argparse`` leaves by SystemExit(2) on malformed options and SystemExit(0) after ``--help``.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and not arguments[0].startswith("-") and arguments[0] not in _COMMANDS:
            raise unknown_name("command", arguments[0], _COMMANDS)
        options = _parser().parse_args(arguments)
        options.run(options)
        sys.stdout.flush()  # a full disk is noticed here, not when the interpreter ends
    except DDRSError as error:
        return _report(str(error), WRONG_INPUT)
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt or 'Interrupted.'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        place = error.filename or "What this command reads or writes (perhaps its output)"
        return _report(f"{place}: {error.strerror or error}", WRONG_INPUT)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        return _report(
            f"this should not have happened: {type(error).__name__}: {error}. "
            f"Set {DEBUG_VARIABLE}=1 to see where.",
            FAILED,
        )
    return OK


def _report(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


class _Parser(LazyParser):
    """An ArgumentParser whose complaints are one line, as all others."""

    def error(self, message: str) -> NoReturn:
        sys.exit(_report(f"{message}. See {self.prog} --help.", WRONG_INPUT))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m ddrs_core",
        description="Data-dependent randomized smoothing on the command line.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in dict.fromkeys(_COMMANDS.values()):
        import_module(f"{__name__}.{module}").add_parser(commands)
    return parser
