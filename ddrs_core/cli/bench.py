"""``bench``: speed of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import add_command, add_device, add_json, add_quiet, print_json
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import InvalidParameterError, require_number, unknown_name
from ddrs_core.quantities import counted

if TYPE_CHECKING:
    from ddrs_core.bench.adaptive import AdaptiveBench
    from ddrs_core.bench.memory import MemoryBench
    from ddrs_core.bench.training import TrainingBench
    from ddrs_core.bench.votes import BenchResult

_COLUMNS = (
    ("network", 32),
    ("precision", 9),
    ("batch", 6),
    ("bare/s", 9),
    ("votes/s", 9),
    ("plain/s", 9),
    ("votes/bare", 11),
    ("votes/plain", 12),
    ("steps/s", 8),
    ("ascent/bare", 12),
    ("agree p", 8),
)


_TRAINING_COLUMNS = (
    ("data set", 10),
    ("network", 16),
    ("precision", 10),
    ("batch", 6),
    ("bare/s", 9),
    ("gaussian/s", 11),
    ("gaussian/bare", 14),
    ("sigma bare", 11),
    ("sigma extra", 12),
    ("extra/bare", 11),
)


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "bench", "measure the speed of this machine")
    parser.add_argument(
        "what",
        nargs="?",
        default="votes",
        metavar="WHAT",
        help="votes; training; adaptive: the samples that adaptive certification saves; or memory: "
        "look-up in a large memory bank",
    )
    parser.add_argument(
        "--seconds", type=float, default=15.0, metavar="S", help="for each network and precision"
    )
    parser.add_argument(
        "--all-precisions", action="store_true", help="votes: bf16 also where it is emulated (slow)"
    )
    _add_adaptive(parser.add_argument_group("adaptive"))
    parser.add_argument_group("memory").add_argument(
        "--balls", type=int, default=100_000, metavar="N", help="images in the bank"
    )
    add_device(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _add_adaptive(group: Any) -> None:
    group.add_argument("--dataset", default="digits", metavar="D", help="see: datasets")
    group.add_argument("--model", default="digits-gaussian-0.50", metavar="M", help="see: models")
    group.add_argument("--sigma", type=float, metavar="S", help="default: the model's")
    group.add_argument("--n", type=int, default=100_000, metavar="N", help="fixed N, and the most")
    group.add_argument("--skip", type=int, default=1, metavar="K", help="every K-th image")
    group.add_argument("--limit", type=int, metavar="L", help="at most L images; default: all")
    group.add_argument(
        "--sure",
        type=float,
        default=0.0,
        metavar="P",
        help="do not draw an image to the end once its place among the radii is known but for this "
        "probability; 0: always draw all",
    )


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.bench.training import bench_training
    from ddrs_core.bench.votes import bench_steps, machine
    from ddrs_core.models import resolve_device

    if options.what not in _PRINTERS:
        raise unknown_name("bench", options.what, _PRINTERS)
    results: list[Any] = []
    steps: Iterator[Any]
    total = 0
    if options.what == "training":
        steps = bench_training(options.device, seconds=options.seconds)
    elif options.what == "adaptive":
        total, steps = _adaptive(options)
    elif options.what == "memory":
        total, steps = options.balls, _memory(options)
    else:
        steps = bench_steps(
            options.device, seconds=options.seconds, all_precisions=options.all_precisions
        )
    unit = "image" if total else "measurement"
    with progress_bar(options, total=total, unit=unit) as bar:
        for result in steps:
            results.append(result)
            bar.update()
    results = [result for result in results if is_dataclass(result)]
    about = machine(resolve_device(options.device))
    if options.json:
        print_json({**about, "results": [asdict(result) for result in results]})
        return
    print(
        f"{about['device']}: {about['device_title']}, torch {about['torch']}, "
        f"native bf16: {'yes' if about['native_bf16'] else 'no'}"
    )
    _PRINTERS[options.what](results)


def _adaptive(options: argparse.Namespace) -> tuple[int, Iterator[Any]]:
    """Number of images, and the comparison as a generator."""
    from ddrs_core.bench.adaptive import AdaptiveBench, bench_adaptive
    from ddrs_core.models import get_card
    from ddrs_core.runs.certify.config import CertifyConfig, Method, open_plan
    from ddrs_core.smoothing import CertificationBudget

    sigma = options.sigma or get_card(options.model).sigma
    if sigma is None:
        raise InvalidParameterError(
            f"Model {options.model!r} does not tell its noise level: add --sigma."
        )
    require_number("--sure", options.sure, above=-1e-12, below=0.5)
    config = CertifyConfig(
        options.dataset,
        options.model,
        Method.FIXED,
        sigma,
        budget=CertificationBudget(n=options.n),
        skip=options.skip,
        limit=options.limit,
        device=options.device,
    )
    _, plan = open_plan(config)
    steps = bench_adaptive(config, options.sure)
    return len(plan), (s if isinstance(s, AdaptiveBench) else None for s in steps)


def _memory(options: argparse.Namespace) -> Iterator[Any]:
    from ddrs_core.bench.memory import MemoryProgress, bench_memory

    for step in bench_memory(options.balls):
        if isinstance(step, MemoryProgress):
            yield from [None] * step.images
        else:
            yield step


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
        r.dataset,
        r.network,
        r.precision,
        str(r.batch),
        f"{r.bare:,.0f}",
        f"{r.gaussian:,.0f}",
        f"{r.gaussian_over_bare:.2f}",
        f"{1000 * r.sigma_bare:.1f}",
        f"{1000 * r.sigma_extra:.1f}",
        f"{r.sigma_extra_over_bare:.2f}",
    )


def _cells(r: BenchResult) -> tuple[str, ...]:
    return (
        r.network,
        r.precision,
        str(r.batch),
        f"{r.bare:,.0f}",
        f"{r.votes:,.0f}",
        f"{r.plain:,.0f}",
        f"{r.votes_over_bare:.2f}",
        f"{r.votes_over_plain:.2f}",
        f"{r.ascent_steps:.2f}",
        f"{r.ascent_over_bare:.2f}",
        f"{r.agreement.p_value:.3f}",
    )


def _print_adaptive(results: list[AdaptiveBench]) -> None:
    for r in results:
        print(
            f"{r.model} on {counted(r.images, 'image')} of {r.dataset}, sigma {r.sigma:g}, alpha "
            f"{r.alpha:g}; fixed N = {r.n:,}, of which {100 * r.drawn:.1f} % were drawn"
        )
        _print_table(
            (
                ("certified accuracy", 20),
                ("samples", 9),
                ("worst", 7),
                *((f"{radius:g}", 7) for radius in r.radii),
            ),
            [
                _adaptive_cells("fixed", 1.0, 0.0, r.table_fixed),
                _adaptive_cells("adaptive", r.share_adaptive, r.worst_adaptive, r.table_adaptive),
                _adaptive_cells("mixture", r.share_mixture, r.worst_mixture, r.table_mixture),
            ],
        )
    print(
        "samples: share of those of fixed N; worst: largest difference of an entry, in points; "
        "mixture:\nthe same rule with a beta-binomial mixture, as a yardstick. Radii beyond 80 % "
        "of what N samples\ncan prove are left out."
    )


def _adaptive_cells(
    name: str, share: float, worst: float, table: tuple[float, ...]
) -> tuple[str, ...]:
    return (name, f"{100 * share:.1f} %", f"{worst:.2f}", *(f"{entry:.3f}" for entry in table))


def _print_memory(results: list[MemoryBench]) -> None:
    for r in results:
        print(
            f"{counted(r.balls, 'ball')}, {r.indexed:,} of them indexed in "
            f"{r.index_megabytes:.1f} MB; "
            f"filled with {r.settled_per_second:,.0f} a second, index loaded in "
            f"{r.load_seconds:.2f} s\n"
            f"look-up: median {r.lookup_median_ms:.2f} ms, 95 % below {r.lookup_p95_ms:.2f} ms; "
            f"settled and stored: median {r.settle_median_ms:.2f} ms\n"
            f"all balls compared: median {r.brute_median_ms:,.0f} ms, "
            f"{r.brute_over_lookup:,.0f} times as long\n"
            f"exactly compared: {r.measured_mean:.2f} balls a query, at most {r.measured_most}; "
            f"the same settlement in {r.agreeing} of {r.compared}"
        )


_PRINTERS: dict[str, Callable[[list[Any]], None]] = {
    "votes": _print_votes,
    "training": _print_training,
    "adaptive": _print_adaptive,
    "memory": _print_memory,
}
