"""Options that several commands share."""

from __future__ import annotations

import argparse
import json
from typing import Any


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, where there is one to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.required or action.default in (None, False, "", argparse.SUPPRESS):
            return action.help
        return super()._get_help_string(action)


def add_command(
    commands: argparse._SubParsersAction[Any], name: str, summary: str, **details: Any
) -> argparse.ArgumentParser:
    """Add the parser of one command, with defaults shown in its help."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
        **details,
    )
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu or cuda[:i]")


def add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="run seed")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON for other programs")


def add_json_below(parser: argparse.ArgumentParser) -> None:
    """``--json`` after an action; without it the one before the action stays as it was."""
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print JSON for other programs",
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def print_json(data: object) -> None:
    """Write JSON to stdout; NaN and infinity become null, which every reader understands."""
    print(json.dumps(data, indent=2, allow_nan=False))
