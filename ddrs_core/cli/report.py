"""``report``: what certification logs say, as a table, and how they differ."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import add_command, add_json, print_json
from ddrs_core.errors import DDRSError, InvalidParameterError

if TYPE_CHECKING:
    from ddrs_core.runs.results.paired import PairedComparison
    from ddrs_core.runs.results.results import ResultSet
    from ddrs_core.smoothing import Bound


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(
        commands,
        "report",
        "summarize certification logs",
        epilog="Certified at r means: correct with a radius of at least r. Wrong answers and "
        "abstentions count as radius 0 in the average (ACR), which is rounded down, as radii are. "
        "A difference is more or less than chance where both its 95 % interval and McNemar's "
        "exact test say so; where they disagree, the table names the one that decides. Every row "
        "with votes is recomputed from them. Logs of Cohen et al.'s certify.py and its relatives "
        "are read as well; what was found in them is said on standard error.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.tsv", help="from certify")
    parser.add_argument(
        "--radii", default="0,0.25,0.5,0.75,1", metavar="R", help="separated by commas"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE.tsv",
        help="also the differences to this log on the shared images, with 95 %% intervals",
    )
    parser.add_argument(
        "--bound",
        metavar="B",
        help="also a row for each log as its votes are under this bound: one-sided or two-sided. "
        "It is a claim of its own, with an alpha of its own; the better of two rows, chosen image "
        "by image, is none",
    )
    parser.add_argument("--format", default="markdown", metavar="F", help="markdown, latex or csv")
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.runs.logs.reading import read_log
    from ddrs_core.runs.logs.text import distinct_titles
    from ddrs_core.runs.results.comparison import mismatches, missing_baseline
    from ddrs_core.runs.results.memory_effect import memory_effect
    from ddrs_core.runs.results.paired import compare
    from ddrs_core.runs.results.results import titled
    from ddrs_core.runs.results.tables import (
        TableFormat,
        clean_note,
        comparison_table,
        paired_table,
        render,
    )
    from ddrs_core.smoothing import Bound

    form = TableFormat(options.format)
    radii = _radii(options.radii)
    paths = [*options.files, *([] if options.against is None else [options.against])]
    titles = distinct_titles(paths)
    read = [titled(read_log(p), t) for p, t in zip(paths, titles, strict=True)]
    bound = None if options.bound is None else Bound(options.bound)
    again = [None if bound is None else _under(results, bound) for results in read]
    rows = [
        (path, results, theirs)
        for path, *found in zip(options.files, read, again, strict=False)
        for results, theirs in zip(found, (read[-1], again[-1] or read[-1]), strict=True)
        if results is not None
    ]
    sets = [results for _, results, _ in rows]
    compared = rows if options.against is not None else []
    pairs = [compare(results, theirs, radii) for _, results, theirs in compared]
    for path, results in zip(paths, read, strict=True):
        _say(path, results.notes)
    for (path, _, _), comparison in zip(compared, pairs, strict=True):
        _say(f"{path} against {options.against}", comparison.warnings)
    if options.against is None and len(options.files) > 1:
        _say("these logs", mismatches(read))
    _say("these logs", missing_baseline(read))
    if options.json:
        print_json(_as_data(options, rows, pairs, radii))
        return
    for path, results in zip(options.files, read, strict=False):
        effect = memory_effect(results)
        _say(path, () if effect is None else (str(effect),))
    if note := clean_note(read[: len(options.files)]):
        _say("table", (note,))
    print(render(comparison_table(sets, radii), form))
    for against in [read[-1], *filter(None, again[-1:])] if compared else []:
        others = [
            (results, comparison)
            for (path, results, theirs), comparison in zip(compared, pairs, strict=True)
            if theirs is against and path != options.against  # with itself nothing is to compare
        ]
        print()
        print(render(paired_table(others, against), form))


def _under(results: ResultSet, bound: Bound) -> ResultSet | None:
    """The results once more under a bound, unless they are; else it is said why they cannot be."""
    from ddrs_core.runs.results.other_bound import under_bound

    if results.bound == bound:
        return None
    try:
        return under_bound(results, bound)
    except DDRSError as error:
        _say("these logs", (str(error),))
        return None


def _say(name: object, sentences: tuple[str, ...]) -> None:
    for sentence in sentences:
        print(f"{name}: {sentence}", file=sys.stderr)


def _as_data(
    options: argparse.Namespace,
    rows: list[tuple[Path, ResultSet, ResultSet]],
    pairs: list[PairedComparison],
    radii: tuple[float, ...],
) -> list[dict[str, Any]]:
    from ddrs_core.runs.results.comparison import figures_of
    from ddrs_core.runs.results.memory_effect import memory_effect
    from ddrs_core.runs.results.summary import clean_source
    from ddrs_core.runs.results.tuning import tuning_of

    listed = []
    for i, (path, results, _) in enumerate(rows):
        figures = figures_of(results, radii)
        data = {
            "file": str(path),
            **figures.summary.to_dict(),
            "clean_source": clean_source(results),
            "high_probability_accuracy": figures.lower,
            "interval": figures.interval,
            "dialect": results.dialect,
            "method": results.method,
            "notes": results.notes,
        }
        effect = memory_effect(results)
        if effect is not None:
            data["memory"] = effect.to_dict()
        tuning = tuning_of(results)
        if tuning is not None:
            data["tuning"] = tuning.to_dict()
        if pairs:
            data["against"] = {"file": str(options.against), **asdict(pairs[i])}
        listed.append(data)
    return listed


def _radii(text: str) -> tuple[float, ...]:
    try:
        radii = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        radii = ()
    if not radii or not all(0 <= r < 1e6 for r in radii):
        raise InvalidParameterError(
            f"--radii takes numbers from 0 on, separated by commas, unlike {text[:40]!r}."
        )
    return radii
