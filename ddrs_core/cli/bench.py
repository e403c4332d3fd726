"""``bench``: speed of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import add_command, add_device, add_json, add_quiet, print_json
from ddrs_core.cli.progress import progress_bar

if TYPE_CHECKING:
    from ddrs_core.runs.bench import BenchResult
    from ddrs_core.runs.bench_training import TrainingBench

_COLUMNS = (
    ("network", 32), ("precision", 9), ("batch", 6), ("bare/s", 9), ("votes/s", 9), ("plain/s", 9),
    ("votes/bare", 11), ("votes/plain", 12), ("steps/s", 8), ("ascent/bare", 12), ("agree p", 8),
)  # fmt: skip


_TRAINING_COLUMNS = (
    ("data set", 10), ("network", 16), ("precision", 10), ("batch", 6), ("bare/s", 9),
    ("gaussian/s", 11), ("gaussian/bare", 14), ("sigma bare", 11), ("sigma extra", 12),
    ("extra/bare", 11),
)  # fmt: skip


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "bench", "measure the speed of this machine")
    parser.add_argument(
        "--seconds", type=float, default=15.0, metavar="S", help="for each network and precision"
    )
    parser.add_argument(
        "--all-precisions", action="store_true", help="bf16 also where it is emulated (slow)"
    )
    parser.add_argument("--training", action="store_true", help="measure training instead")
    add_device(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.models import resolve_device
    from ddrs_core.runs.bench import bench_steps, machine
    from ddrs_core.runs.bench_training import bench_training

    results: list[Any] = []
    steps: Iterator[Any]
    if options.training:
        steps = bench_training(options.device, seconds=options.seconds)
    else:
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
    _print_training(results) if options.training else _print_votes(results)


def _print_votes(results: list[BenchResult]) -> None:
    _print_table(_COLUMNS, [_cells(result) for result in results])
    print(
        "bare: forward pass alone; votes: noisy votes counted; plain: the published loop (fp32, "
        "NCHW, batch 1000);\nsteps: of the sigma optimiser on 32 images with 8 copies each; "
        "ascent/bare: against forward and backward alone."
    )


def _print_training(results: list[TrainingBench]) -> None:
    _print_table(_TRAINING_COLUMNS, [_training_cells(result) for result in results])
    print(
        "bare: forward and backward pass alone, images a second; gaussian: the whole training "
        "step;\nsigma bare: the passes that choose the sigmas of a batch, in ms; sigma extra: what "
        "data-dependent sigma adds to a step."
    )


def _print_table(columns: tuple[tuple[str, int], ...], rows: list[tuple[str, ...]]) -> None:
    for row in [tuple(title for title, _ in columns), *rows]:
        print("".join(f"{cell:>{width}}" for cell, (_, width) in zip(row, columns, strict=True)))


def _training_cells(r: TrainingBench) -> tuple[str, ...]:
    return (
        r.dataset, r.network, r.precision, str(r.batch), f"{r.bare:,.0f}", f"{r.gaussian:,.0f}",
        f"{r.gaussian_over_bare:.2f}", f"{1000 * r.sigma_bare:.1f}", f"{1000 * r.sigma_extra:.1f}",
        f"{r.sigma_extra_over_bare:.2f}",
    )  # fmt: skip


def _cells(r: BenchResult) -> tuple[str, ...]:
    return (
        r.network, r.precision, str(r.batch), f"{r.bare:,.0f}", f"{r.votes:,.0f}",
        f"{r.plain:,.0f}", f"{r.votes_over_bare:.2f}", f"{r.votes_over_plain:.2f}",
        f"{r.ascent_steps:.2f}", f"{r.ascent_over_bare:.2f}", f"{r.agreement.p_value:.3f}",
    )  # fmt: skip
