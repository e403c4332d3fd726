"""``bench``: speed of this machine."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import add_command, add_device, add_json, add_quiet, print_json
from ddrs_core.cli.progress import progress_bar

if TYPE_CHECKING:
    from ddrs_core.runs.bench import BenchResult

_COLUMNS = (
    ("network", 32), ("precision", 9), ("batch", 6), ("bare/s", 9), ("votes/s", 9), ("plain/s", 9),
    ("votes/bare", 11), ("votes/plain", 12), ("steps/s", 8), ("ascent/bare", 12), ("agree p", 8),
)  # fmt: skip


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "bench", "measure the speed of this machine")
    parser.add_argument(
        "--seconds", type=float, default=15.0, metavar="S", help="for each network and precision"
    )
    parser.add_argument(
        "--all-precisions", action="store_true", help="bf16 also where it is emulated (slow)"
    )
    add_device(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.models import resolve_device
    from ddrs_core.runs.bench import bench_steps, machine

    results = []
    steps = bench_steps(
        options.device, seconds=options.seconds, all_precisions=options.all_precisions
    )
    with progress_bar(options, total=0, unit="measurement") as bar:
        for result in steps:
            results.append(result)
            bar.update()
    about = machine(resolve_device(options.device))
    if options.json:
        print_json({**about, "results": [asdict(result) for result in results]})
        return
    print(
        f"{about['device']}: {about['device_title']}, torch {about['torch']}, "
        f"native bf16: {'yes' if about['native_bf16'] else 'no'}"
    )
    print("".join(f"{title:>{width}}" for title, width in _COLUMNS))
    for result in results:
        cells = zip(_cells(result), _COLUMNS, strict=True)
        print("".join(f"{cell:>{width}}" for cell, (_, width) in cells))
    print(
        "bare: forward pass alone; votes: noisy votes counted; plain: the published loop (fp32, "
        "NCHW, batch 1000);\nsteps: of the sigma optimiser on 32 images with 8 copies each; "
        "ascent/bare: against forward and backward alone."
    )


def _cells(r: BenchResult) -> tuple[str, ...]:
    return (
        r.network, r.precision, str(r.batch), f"{r.bare:,.0f}", f"{r.votes:,.0f}",
        f"{r.plain:,.0f}", f"{r.votes_over_bare:.2f}", f"{r.votes_over_plain:.2f}",
        f"{r.ascent_steps:.2f}", f"{r.ascent_over_bare:.2f}", f"{r.agreement.p_value:.3f}",
    )  # fmt: skip
