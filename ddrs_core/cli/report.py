"""``report``: what certification logs say, as a table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import add_command, add_json, print_json
from ddrs_core.errors import InvalidParameterError

if TYPE_CHECKING:
    from ddrs_core.runs.summary import Summary


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(
        commands, "report", "summarize certification logs",
        epilog="Certified at r means: correct with a radius of at least r. Wrong answers and "
        "abstentions count as radius 0 in the average.",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.tsv", help="from certify")
    parser.add_argument(
        "--radii", default="0,0.25,0.5,0.75,1", metavar="R", help="separated by commas"
    )
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.runs.log import read_log
    from ddrs_core.runs.summary import summarize

    radii = _radii(options.radii)
    summaries = [
        (str(path), summarize([row.certificate for row in read_log(path)], radii))
        for path in options.files
    ]
    if options.json:
        print_json([{"file": name, **summary.to_dict()} for name, summary in summaries])
        return
    print(_table(summaries, radii))


def _radii(text: str) -> tuple[float, ...]:
    try:
        radii = tuple(float(part) for part in text.split(","))
    except ValueError:
        radii = ()
    if not radii or not all(0 <= r < 1e6 for r in radii):
        raise InvalidParameterError(
            f"--radii takes numbers from 0 on, separated by commas, unlike {text[:40]!r}."
        )
    return radii


def _table(summaries: list[tuple[str, Summary]], radii: tuple[float, ...]) -> str:
    """A Markdown table, which reads well as it is; radii are rounded down."""
    from ddrs_core.smoothing import round_down

    head = ["log", "images", "N", *(f"r = {r:g}" for r in radii), "ACR", "clean", "abstained"]
    rows = [head, ["---"] * len(head)]
    for name, s in summaries:
        rows.append(
            [
                Path(name).stem,
                str(s.images),
                f"{s.n:,}",
                *(f"{s.certified_accuracy[r]:.3f}" for r in radii),
                str(round_down(s.average_certified_radius)),
                f"{s.clean_accuracy:.3f}",
                f"{s.abstention_rate:.3f}",
            ]
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
