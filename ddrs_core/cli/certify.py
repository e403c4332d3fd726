"""``certify``: class and certified radius of images of a data set, as a table."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.bring import add_foreign_options, find_dataset, find_model
from ddrs_core.cli.options import add_command, add_device, add_json, add_quiet, add_seed, print_json
from ddrs_core.cli.progress import progress_bar
from ddrs_core.errors import DDRSError, InvalidParameterError

if TYPE_CHECKING:
    from ddrs_core.runs.certify import CertifyConfig, CertifyRun
    from ddrs_core.runs.log import LogFile, LogRow
    from ddrs_core.smoothing import Preset, StrategyConfig

_STRATEGY_OPTIONS: dict[str, tuple[type, str]] = {  # field of a strategy's configuration -> kind
    "lr": (float, "step size"),
    "steps": (int, "number of steps K"),
    "samples": (int, "noisy copies a step"),
    "clamp": (float, "probabilities are kept in [c, 1 - c]"),
    "beta": (float, "logits are multiplied by it before the softmax"),
    "final_lr": (float, "share of lr that the last step has"),
    "average": (float, "share of the last iterates that is averaged"),
    "guard": (int, "votes for each candidate of the guard"),
    "ratio": (float, "half the distance of the two points of a bisection step, as a factor"),
}
_BOUND_OPTIONS = {"sigma_min": "smallest sigma", "sigma_max": "largest sigma"}
_SELECTION = {"skip": 1, "start": 0}


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    parser = add_command(commands, "certify", "certify images of a data set")
    parser.add_argument(
        "--dataset", required=True, metavar="D",
        help="see: datasets; or the path of a folder, a parquet file or a picture",
    )  # fmt: skip
    parser.add_argument(
        "--model", required=True, metavar="M", help="see: models; or the path of a checkpoint"
    )
    add_foreign_options(parser)
    parser.add_argument("--method", required=True, metavar="M", help="fixed or ds (data-dependent)")
    parser.add_argument(
        "--sigma", type=float, metavar="S",
        help="noise level, where ds starts; default: the preset's or the model's",
    )  # fmt: skip
    _add_strategy(parser.add_argument_group("data-dependent sigma (--method ds)"))
    _add_samples(parser.add_argument_group("certification"))
    _add_selection(parser.add_argument_group("images"))
    parser.add_argument("--out", type=Path, metavar="FILE.tsv", help="default: the standard output")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="continue the file where it ends")
    again.add_argument("--overwrite", action="store_true", help="replace the file")
    add_seed(parser)
    add_device(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _add_strategy(group: Any) -> None:
    group.add_argument("--strategy", metavar="S", help="ascent or search; default: the preset's")
    group.add_argument("--preset", metavar="P", help="default: the strategy's first")
    for name, (kind, meaning) in _STRATEGY_OPTIONS.items():
        group.add_argument(_flag(name), type=kind, metavar="X", help=f"{meaning}; default: preset")
    for name, meaning in _BOUND_OPTIONS.items():
        group.add_argument(_flag(name), type=float, metavar="X", help=f"{meaning}; default: preset")


def _add_samples(group: Any) -> None:
    group.add_argument("--n0", type=int, default=100, metavar="N", help="samples for the class")
    group.add_argument("--n", type=int, default=100_000, metavar="N", help="samples for the bound")
    group.add_argument(
        "--alpha", type=float, default=0.001, metavar="A", help="failure probability"
    )
    group.add_argument("--bound", default="one-sided", metavar="B", help="one-sided or two-sided")
    group.add_argument("--precision", default="auto", metavar="P", help="auto, fp32 or bf16")
    group.add_argument("--batch-size", type=int, metavar="B", help="samples a batch")


def _add_selection(group: Any) -> None:
    group.add_argument("--split", default="test", metavar="S", help="test or train")
    group.add_argument("--start", type=int, metavar="I", help="first image; default: 0")
    group.add_argument("--skip", type=int, metavar="K", help="every K-th image; default: 1")
    group.add_argument("--limit", type=int, metavar="L", help="at most L images; default: all")
    group.add_argument("--index", type=int, nargs="+", metavar="I", help="these images instead")


def _run(options: argparse.Namespace) -> None:
    from ddrs_core.runs.certify import CertifyRun
    from ddrs_core.runs.log import HEADER, LogRow, run_settings
    from ddrs_core.runs.summary import summarize

    if options.out is None and (options.resume or options.overwrite):
        raise InvalidParameterError("--resume and --overwrite need a file: add --out FILE.tsv.")
    run = CertifyRun(certify_config(options))
    settings = run_settings(run)
    table = options.out is None and not options.json
    with ExitStack() as stack:
        log = _open_log(options, run, settings)
        rows: list[LogRow] = []
        if log is not None:
            stack.enter_context(log)
            rows += log.rows
        if table:
            print(HEADER)
        bar = stack.enter_context(
            progress_bar(options, total=len(run.plan), unit="image", done=len(rows))
        )
        try:
            for step in run.steps(len(rows)):
                bar.set_postfix_str(
                    "choosing sigma" if step.stage == "sigma" else "", refresh=False
                )
                bar.update(0)
                if step.certificate is None:
                    continue
                row = LogRow(step.certificate, settings)
                rows.append(row)
                bar.update()
                if log is not None:
                    log.append(row)
                elif table:
                    bar.clear()  # the bar and the table may share a terminal
                    print(row.to_line(), flush=True)
                    bar.refresh()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_interrupted(len(rows), options.out)) from None
    certificates = [row.certificate for row in rows]
    summary = summarize(certificates)
    if options.json:
        data: dict[str, Any] = {"summary": summary.to_dict(), "settings": settings}
        print_json({**data, "certificates": [c.to_dict() for c in certificates]})
    else:
        print(summary, file=sys.stderr if table else sys.stdout)


def _interrupted(done: int, out: Path | None) -> str:
    if out is None:
        return f"Interrupted after {done} images."
    return f"Interrupted: {done} certificates are in {out}; the same command with --resume goes on."


def _open_log(
    options: argparse.Namespace, run: CertifyRun, settings: dict[str, str]
) -> LogFile | None:
    from ddrs_core.runs.log import LogFile

    path: Path | None = options.out
    if path is None:
        return None
    if options.resume:
        return LogFile.resume(path, settings, run.plan)
    if path.exists() and not options.overwrite:
        raise DDRSError(
            f"{path} is there already: add --resume to continue it or --overwrite to replace it."
        )
    return LogFile.create(path)


def certify_config(options: argparse.Namespace) -> CertifyConfig:
    """The run that the options describe.

    Raises:
        DDRSError: if a name is unknown or options contradict each other.
    """
    from ddrs_core.models import get_card
    from ddrs_core.runs.certify import CertifyConfig, Method
    from ddrs_core.smoothing import Bound

    dataset = find_dataset(options.dataset)
    card = get_card(find_model(options, dataset))
    method = Method(options.method)
    preset = _preset(options) if method is Method.DS else None
    strategy = _strategy(options, preset)
    sigma = options.sigma
    if sigma is None:
        sigma = preset.sigma_0 if preset is not None and preset.sigma_0 else card.sigma
    if sigma is None:
        raise InvalidParameterError(
            f"Model {card.name!r} does not tell its noise level: add --sigma."
        )
    if options.index is not None and any(
        getattr(options, name) is not None for name in (*_SELECTION, "limit")
    ):
        raise InvalidParameterError("--index does not go with --start, --skip or --limit.")
    selection = {
        name: default if getattr(options, name) is None else getattr(options, name)
        for name, default in _SELECTION.items()
    }
    return CertifyConfig(
        dataset=dataset,
        model=card.name,
        method=method,
        sigma=sigma,
        strategy=strategy,
        n0=options.n0,
        n=options.n,
        alpha=options.alpha,
        bound=Bound(options.bound),
        split=options.split,
        limit=options.limit,
        indices=None if options.index is None else tuple(options.index),
        precision=options.precision,
        device=options.device,
        seed=options.seed,
        batch_size=options.batch_size,
        **selection,
    )


def _preset(options: argparse.Namespace) -> Preset:
    from ddrs_core.smoothing import DEFAULT_PRESET, get_preset, list_presets

    if options.preset is None:
        return list_presets(options.strategy)[0] if options.strategy else get_preset(DEFAULT_PRESET)
    preset = get_preset(options.preset)
    if options.strategy not in (None, preset.strategy):
        raise InvalidParameterError(
            f"Preset {preset.name!r} belongs to the strategy {preset.strategy!r}; leave --strategy "
            "out or choose another preset."
        )
    return preset


def _strategy(options: argparse.Namespace, preset: Preset | None) -> StrategyConfig | None:
    given = {
        name: getattr(options, name)
        for name in ("strategy", "preset", *_STRATEGY_OPTIONS, *_BOUND_OPTIONS)
        if getattr(options, name) is not None
    }
    if preset is None:
        if given:
            raise InvalidParameterError(f"{_flag(next(iter(given)))} goes with --method ds only.")
        return None
    low, high = preset.config.bounds
    bounds = (given.pop("sigma_min", low), given.pop("sigma_max", high))
    changes = {name: value for name, value in given.items() if name in _STRATEGY_OPTIONS}
    known = {field.name for field in fields(preset.config)}
    for name in changes:
        if name not in known:
            raise InvalidParameterError(
                f"{_flag(name)} means nothing to strategy {preset.strategy!r}."
            )
    return replace(preset.config, bounds=bounds, **changes)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
