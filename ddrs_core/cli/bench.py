"""``bench``: speed of this machine, and the regret of sigma strategies."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.bench_sigma import add_sigma, run_sigma
from ddrs_core.cli.options import (
    add_command,
    add_device,
    add_json,
    add_quiet,
    add_seed,
    print_json,
)
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import InvalidParameterError, require_number, unknown_name
from ddrs_core.quantities import counted

if TYPE_CHECKING:
    from ddrs_core.bench.adaptive import AdaptiveBench
    from ddrs_core.bench.memory import MemoryBench
    from ddrs_core.bench.training import TrainingBench
    from ddrs_core.bench.votes import BenchResult
    from ddrs_core.runs.certify.config import CertifyConfig

_Columns = tuple[tuple[str, int, Callable[[Any], str]], ...]  # title, width, and text of a cell

_SIGMA = "sigma"
_N_ADAPTIVE, _N_SIGMA = 100_000, 10_000
_VOTES: _Columns = (
    ("network", 32, lambda r: r.network),
    ("precision", 9, lambda r: r.precision),
    ("batch", 6, lambda r: f"{r.batch}"),
    ("bare/s", 9, lambda r: f"{r.bare:,.0f}"),
    ("votes/s", 9, lambda r: f"{r.votes:,.0f}"),
    ("plain/s", 9, lambda r: f"{r.plain:,.0f}"),
    ("votes/bare", 11, lambda r: f"{r.votes_over_bare:.2f}"),
    ("votes/plain", 12, lambda r: f"{r.votes_over_plain:.2f}"),
    ("steps/s", 8, lambda r: f"{r.ascent_steps:.2f}"),
    ("ascent/bare", 12, lambda r: f"{r.ascent_over_bare:.2f}"),
    ("agree p", 8, lambda r: f"{r.agreement.p_value:.3f}"),
)
_TRAINING: _Columns = (
    ("data set", 10, lambda r: r.dataset),
    ("network", 16, lambda r: r.network),
    ("precision", 10, lambda r: r.precision),
    ("batch", 6, lambda r: f"{r.batch}"),
    ("bare/s", 9, lambda r: f"{r.bare:,.0f}"),
    ("gaussian/s", 11, lambda r: f"{r.gaussian:,.0f}"),
    ("gaussian/bare", 14, lambda r: f"{r.gaussian_over_bare:.2f}"),
    ("sigma bare", 11, lambda r: f"{1000 * r.sigma_bare:.1f}"),
    ("sigma extra", 12, lambda r: f"{1000 * r.sigma_extra:.1f}"),
    ("extra/bare", 11, lambda r: f"{r.sigma_extra_over_bare:.2f}"),
)


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(
        commands, "bench", "measure the speed of this machine, and the regret of sigma strategies"
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="votes",
        metavar="WHAT",
        help="votes; training; adaptive: the samples that adaptive certification saves; or memory: "
        "look-up in a large memory bank; sigma: the regret of every sigma strategy",
    )
    parser.add_argument(
        "--seconds", type=float, default=15.0, metavar="S", help="for each network and precision"
    )
    parser.add_argument(
        "--all-precisions", action="store_true", help="votes: bf16 also where it is not native"
    )
    _add_images(parser.add_argument_group("adaptive and sigma"))
    add_sigma(parser.add_argument_group("sigma"))
    parser.add_argument_group("memory").add_argument(
        "--balls", type=int, default=100_000, metavar="N", help="images in the bank"
    )
    add_device(parser)
    add_seed(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _add_images(group: Any) -> None:
    group.add_argument("--dataset", default="digits", metavar="D", help="see: datasets")
    group.add_argument("--model", default="digits-gaussian-0.50", metavar="M", help="see: models")
    group.add_argument("--sigma", type=float, metavar="S", help="default: the model's")
    group.add_argument(
        "--n",
        type=int,
        metavar="N",
        help=f"adaptive: fixed N, and the most (default: {_N_ADAPTIVE:,}); sigma: of each "
        f"certificate (default: {_N_SIGMA:,})",
    )
    group.add_argument(
        "--bound",
        default="two-sided",
        metavar="B",
        help="of the certificates: two-sided, or one-sided as in the literature",
    )
    group.add_argument("--skip", type=int, default=1, metavar="K", help="every K-th image")
    group.add_argument("--limit", type=int, metavar="L", help="at most L images; default: all")
    group.add_argument(
        "--sure",
        type=float,
        default=0.0,
        metavar="P",
        help="adaptive: do not draw an image to the end once its rank among the radii is known but "
        "for this probability; 0: always draw all",
    )


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.bench.votes import machine
    from ddrs_core.models import resolve_device

    if options.what == _SIGMA:
        run_sigma(options, None if options.report else _config(options, _N_SIGMA))
        return
    if options.what not in _BENCHES:
        raise unknown_name("bench", options.what, [*_BENCHES, _SIGMA])
    start, show = _BENCHES[options.what]
    total, steps = start(options)
    results: list[Any] = []
    unit = "image" if total else "measurement"
    with progress_bar(options, total=total, unit=unit) as bar:
        for result in steps:
            if is_dataclass(result):
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
    show(results)


def _votes(options: argparse.Namespace) -> tuple[int, Iterator[Any]]:
    """Number of images, 0 where it is not known, and the measurements as a generator."""
    from ddrs_core.bench.votes import bench_steps

    return 0, bench_steps(
        options.device, seconds=options.seconds, all_precisions=options.all_precisions
    )


def _training(options: argparse.Namespace) -> tuple[int, Iterator[Any]]:
    from ddrs_core.bench.training import bench_training

    return 0, bench_training(options.device, seconds=options.seconds)


def _adaptive(options: argparse.Namespace) -> tuple[int, Iterator[Any]]:
    from ddrs_core.bench.adaptive import AdaptiveBench, bench_adaptive
    from ddrs_core.runs.certify.config import open_plan

    require_number("--sure", options.sure, above=-1e-12, below=0.5)
    config = _config(options, _N_ADAPTIVE)
    _, plan = open_plan(config)
    steps = bench_adaptive(config, options.sure)
    return len(plan), (s if isinstance(s, AdaptiveBench) else None for s in steps)


def _config(options: argparse.Namespace, n: int) -> CertifyConfig:
    """The images of a bench, with one sigma for all of them; ``n`` is the default."""
    from ddrs_core.models import get_card
    from ddrs_core.runs.certify.config import CertifyConfig, Method
    from ddrs_core.smoothing import CertificationBudget

    sigma = get_card(options.model).sigma if options.sigma is None else options.sigma
    if sigma is None:
        raise InvalidParameterError(
            f"The noise level of the model {options.model!r} is not known: add --sigma."
        )
    return CertifyConfig(
        options.dataset,
        options.model,
        Method.FIXED,
        sigma,
        budget=CertificationBudget.of(
            n=n if options.n is None else options.n, bound=options.bound, seed=options.seed
        ),
        skip=options.skip,
        limit=options.limit,
        device=options.device,
    )


def _memory(options: argparse.Namespace) -> tuple[int, Iterator[Any]]:
    from ddrs_core.bench.memory import MemoryBench, bench_memory

    def steps() -> Iterator[Any]:
        for step in bench_memory(options.balls):
            yield from [step] if isinstance(step, MemoryBench) else [None] * step.images

    return options.balls, steps()


def _print_votes(results: list[BenchResult]) -> None:
    _print_table(_VOTES, results)
    print(
        "bare: forward pass alone; votes: noisy votes counted; plain: the published loop (fp32, "
        "NCHW, batch 1000);\nsteps: of the sigma optimiser on 32 images with 8 copies each; "
        "ascent/bare: against forward and backward alone."
    )


def _print_training(results: list[TrainingBench]) -> None:
    _print_table(_TRAINING, results)
    print(
        "bare: forward and backward pass alone, images a second; gaussian: the whole training "
        "step;\nsigma bare: the passes that choose the sigmas of a batch, in ms; sigma extra: what "
        "data-dependent sigma adds to a step."
    )


def _print_table(columns: _Columns, results: Sequence[Any]) -> None:
    print("".join(f"{title:>{width}}" for title, width, _ in columns))
    for result in results:
        print("".join(f"{cell(result):>{width}}" for _, width, cell in columns))


def _print_adaptive(results: list[AdaptiveBench]) -> None:
    for r in results:
        print(
            f"{r.model} on {counted(r.images, 'image')} of {r.dataset}, sigma {r.sigma:g}, alpha "
            f"{r.alpha:g}; fixed N = {r.n:,}, of which {100 * r.drawn:.1f} % were drawn"
        )
        rows = (
            ("fixed", 1.0, 0.0, r.table_fixed),
            ("adaptive", r.share_adaptive, r.worst_adaptive, r.table_adaptive),
            ("mixture", r.share_mixture, r.worst_mixture, r.table_mixture),
        )
        print(f"{'certified accuracy':>20}{'samples':>9}{'worst':>7}" + _sevens(r.radii, "g"))
        for name, share, worst, table in rows:
            print(f"{name:>20}{100 * share:>7.1f} %{worst:>7.2f}" + _sevens(table, ".3f"))
    print(
        "samples: share of those of fixed N; worst: largest difference of an entry, in points; "
        "mixture:\nthe same rule with a beta-binomial mixture, as a yardstick. Radii beyond 80 % "
        "of what N samples\ncan prove are left out."
    )


def _sevens(numbers: Sequence[float], spec: str) -> str:
    return "".join(f"{number:>7{spec}}" for number in numbers)


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


_Bench = tuple[Callable[[argparse.Namespace], tuple[int, Iterator[Any]]], Callable[[Any], None]]
_BENCHES: dict[str, _Bench] = {
    "votes": (_votes, _print_votes),
    "training": (_training, _print_training),
    "adaptive": (_adaptive, _print_adaptive),
    "memory": (_memory, _print_memory),
}
