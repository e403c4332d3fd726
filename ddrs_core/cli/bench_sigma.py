"""``bench sigma``: the regret of every sigma strategy, measured or read from files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import print_json
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import InvalidParameterError
from ddrs_core.quantities import counted

if TYPE_CHECKING:
    from ddrs_core.bench.sigma_report import MethodDifference, SigmaBench
    from ddrs_core.runs.certify.config import CertifyConfig

_LEGEND = (
    "radius: mean of certificates of the class that leads at sigma_0, all others 0; regret: its "
    "relative loss\nagainst the oracle, which is no method: it spends the votes of many levels on "
    "every image; ACR: of certificates\nof the label. Passes and seconds are those that chose "
    "sigma for an image. Intervals: 95 %, bootstrap over images,\nnone where fewer than ten "
    "differ. Accuracy: exact McNemar tests, p-values by Holm over all radii."
)


def add_sigma(group: Any) -> None:
    """The options that no other bench has."""
    group.add_argument(
        "--presets",
        metavar="A,B",
        help="presets to compare, separated by commas; default: all but authors-package, which "
        "takes minutes an image",
    )
    group.add_argument(
        "--out", type=Path, metavar="FILE", help="keep the measurements there, as JSON lines"
    )
    group.add_argument("--resume", action="store_true", help="go on with the file --out")
    group.add_argument(
        "--report",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measure nothing; print what such files hold",
    )


def run_sigma(options: argparse.Namespace, config: CertifyConfig | None) -> None:
    """Measure what ``config`` says, or report what files hold where it is None."""
    from ddrs_core.bench.sigma_report import mean_regrets

    results = _read(options.report) if config is None else [_measure(options, config)]
    regrets, networks = mean_regrets(results), len({(r.dataset, r.model) for r in results})
    if options.json:
        found = [asdict(result) for result in results]
        print_json({"networks": networks, "mean_regret": regrets, "results": found})
        return
    for result in results:
        _show(result)
    if len(results) > 1:
        listed = ", ".join(f"{name} {regret:.3f}" for name, regret in regrets.items())
        over = f"{counted(len(results), 'file')} of {counted(networks, 'network')}"
        print(f"mean regret over {over}: {listed}")
    print(_LEGEND)


def _measure(options: argparse.Namespace, config: CertifyConfig) -> SigmaBench:
    from ddrs_core.bench.sigma import bench_sigma
    from ddrs_core.bench.sigma_choices import default_presets
    from ddrs_core.bench.sigma_report import SigmaBench

    if options.resume and options.out is None:
        raise InvalidParameterError("--resume needs the file to go on with: add --out FILE.")
    names = options.presets.split(",") if options.presets else default_presets()
    with progress_bar(options, total=0, unit="image") as bar:
        for step in bench_sigma(config, names, out=options.out, resume=options.resume):
            if isinstance(step, SigmaBench):
                return step
            bar.total, bar.n = step.total, step.done
            bar.set_description(step.text)
    raise AssertionError("a bench ends with its result")


def _read(files: Sequence[Path]) -> list[SigmaBench]:
    from ddrs_core.bench.sigma_log import BenchLog
    from ddrs_core.bench.sigma_report import summarize_bench

    return [summarize_bench(BenchLog.read(path)) for path in files]


def _show(r: SigmaBench) -> None:
    from ddrs_core.runs.results.summary import average_text

    print(
        f"{r.model} on {counted(r.images, 'image')} of {r.dataset}: sigma_0 {r.sigma_0:g}, levels "
        f"{r.low:g} to {r.high:g}, N = {r.n:,}, alpha {r.alpha:g}, {r.bound}, seed {r.seed}\n"
        f"tuned on training images: sigma {r.tuned:.4g}; {r.precision}, {r.machine}\n"
    )
    radii = "".join(f"{f'r={radius:g}':>7}" for radius in r.radii)
    print(f"{'':20}  sigma  radius  regret     ACR  abst.  passes  seconds{radii}")
    for m in r.methods:
        regret = "-" if m.regret is None else f"{m.regret:.3f}"
        print(
            f"{m.name:20}{m.sigma:7.3f}{average_text(m.mean_radius):>8}{regret:>8}"
            f"{average_text(m.acr):>8}{m.abstention_rate:7.3f}{m.passes:8,.0f}{m.seconds:9.3f}"
            + "".join(f"{share:7.3f}" for share in m.certified_accuracy)
        )
    print()
    for m in r.methods:
        print(f"{m.name:20}radius: " + "; ".join(_difference(d) for d in m.against))
        print(f"{'':20}accuracy: " + "; ".join(_accuracy(d) for d in m.against if d.radii))
    print()


def _difference(d: MethodDifference) -> str:
    interval = "" if d.low is None else f" [{d.low:+.4f}, {d.high:+.4f}]"
    return f"{d.difference:+.4f}{interval} against {d.baseline}, {d.verdict}"


def _accuracy(d: MethodDifference) -> str:
    """At which radii certified accuracy differs from a baseline's."""
    found = [
        f"{verdict} at r = {', '.join(f'{t.radius:g} (p = {t.p_value:.2g})' for t in tests)}"
        for verdict in ("above", "below")
        if (tests := [t for t in d.radii if t.verdict == verdict])
    ]
    return f"against {d.baseline} {', '.join(found) or 'within the noise'}"
