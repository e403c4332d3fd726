"""Options that several commands share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ddrs_core.parameters import Parameter, option, prefixed


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, where there is one to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.required or action.default in (None, False, "", argparse.SUPPRESS):
            return action.help
        return super()._get_help_string(action)


class LazyParser(argparse.ArgumentParser):
    """An ArgumentParser that gets its options when it is first used, since the classes that
    describe them import torch."""

    fill: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self.fill is not None:
            fill, self.fill = self.fill, None
            fill(self)
        return super().parse_known_args(args, namespace)


def add_command(
    commands: argparse._SubParsersAction[Any],
    name: str,
    summary: str,
    fill: Callable[[argparse.ArgumentParser], None] | None = None,
    **details: Any,
) -> argparse.ArgumentParser:
    """Add the parser of one command, with defaults shown in its help.

    Args:
        commands: what the command is added to; its parsers are of :class:`LazyParser` if there is
            a ``fill``.
        name: of the command.
        summary: what it does.
        fill: adds its options when they are needed.
        details: for its ``ArgumentParser``.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
        **details,
    )
    if fill is not None:
        assert isinstance(parser, LazyParser)
        parser.fill = fill
    return parser


def add_parameters(
    group: Any,
    described: Mapping[str, Parameter],
    *,
    prefix: str = "",
    note: str = "",
    defaults: bool = False,
    required: bool = False,
) -> None:
    """Add an option for each field of a configuration.

    Args:
        group: parser or group that gets them.
        described: the fields, by name.
        prefix: of the options' names.
        note: added to each help text.
        defaults: whether the fields' defaults are those of the options, which are None otherwise.
        required: whether they must be given.
    """
    for name, field in described.items():
        choices = f": {', '.join(field.choices)}" if field.choices else ""
        details: dict[str, Any] = {"action": "store_true"}
        if field.kind is not bool:
            details = {"type": field.kind, "metavar": "N" if field.kind is int else "X"}
            details |= {"nargs": "+"} if field.many else {}
            details |= {"required": True} if required else {}
            details |= {"default": field.default} if defaults else {}
        name = prefixed(name, prefix)
        group.add_argument(
            option(field.flag or name), dest=name, help=field.meaning + choices + note, **details
        )


def given(options: argparse.Namespace, names: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """The values that were given for fields of a configuration, by field."""
    values = {name: getattr(options, prefixed(name, prefix)) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu or cuda[:i]")


def add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="run seed")


def add_recorded(group: Any) -> None:
    """``--record`` and ``--run``, which exclude each other."""
    group.add_argument(
        "--record",
        nargs="?",
        const="",
        metavar="TITLE",
        help="store the run in the database, where the dashboard and `runs` find it",
    )
    group.add_argument(
        "--run",
        dest="run_id",
        metavar="ID",
        help="continue a run that is in the database; no other option is needed",
    )


def add_json(parser: argparse.ArgumentParser, **details: Any) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print JSON for other programs", **details
    )


def add_json_below(parser: argparse.ArgumentParser) -> None:
    """``--json`` after an action; without it the one before the action stays as it was."""
    add_json(parser, default=argparse.SUPPRESS)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def answer(options: argparse.Namespace, data: object, text: str) -> None:
    """Print ``data`` with ``--json``, else ``text``."""
    if options.json:
        print_json(data)
    else:
        print(text)


def print_json(data: object) -> None:
    """Write JSON to stdout; NaN and infinity become null, which every reader understands."""
    print(json.dumps(data, indent=2, allow_nan=False))
