"""The options of ``certify``, and the runs that they describe."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import add_device, add_json, add_quiet, add_seed
from ddrs_core.cli.resolve_inputs import (
    add_foreign_options,
    find_dataset,
    find_model,
    warn_of_noise,
)
from ddrs_core.errors import InvalidParameterError

if TYPE_CHECKING:
    from ddrs_core.models import ModelCard
    from ddrs_core.runs.certify.config import CertifyConfig, Method
    from ddrs_core.smoothing import Preset, StopRule, StrategyConfig

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
_BOUND_OPTIONS = {
    "sigma_min": "smallest sigma; default: preset",
    "sigma_max": "largest sigma; default: preset (guarded and qcrs: 1.5 times --sigma)",
}
_SELECTION = {"skip": 1, "start": 0}


def add_certify_options(parser: argparse.ArgumentParser) -> None:
    """Everything that may follow ``certify``."""
    parser.add_argument(
        "--dataset",
        metavar="D",
        help="see: datasets; or the path of a folder, a parquet file or a picture",
    )
    parser.add_argument("--model", metavar="M", help="see: models; or the path of a checkpoint")
    add_foreign_options(parser)
    parser.add_argument(
        "--method",
        nargs="+",
        metavar="M",
        help="fixed, ds (data-dependent) or ds-memory (with a bank), or several",
    )
    parser.add_argument(
        "--sigma",
        type=float,
        nargs="+",
        metavar="S",
        help="noise level, where ds starts, or several; default: the preset's or the model's",
    )
    _add_strategy(parser.add_argument_group("data-dependent sigma (--method ds)"))
    _add_samples(parser.add_argument_group("certification"))
    _add_selection(parser.add_argument_group("images"))
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.tsv",
        help="a file, or a folder that is there (several methods or sigmas always fill a folder); "
        "default: the standard output",
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="continue the file where it ends")
    again.add_argument("--overwrite", action="store_true", help="replace the file")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument(
        "--record",
        nargs="?",
        const="",
        metavar="TITLE",
        help="keep the run in the database, where the dashboard and `runs` find it",
    )
    kept.add_argument(
        "--run",
        metavar="ID",
        dest="run_id",
        help="go on with a run that is in the database; nothing else is asked for",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="let the workers of a Ray cluster do it: HOST:PORT, ray://HOST:PORT, or auto for the "
        "one that this machine belongs to, else for all of this machine; with --record or --run",
    )
    add_seed(parser)
    add_device(parser)
    add_json(parser)
    add_quiet(parser)


def _add_strategy(group: Any) -> None:
    group.add_argument("--strategy", metavar="S", help="ascent or search; default: the preset's")
    group.add_argument("--preset", metavar="P", help="default: the strategy's first")
    for name, (kind, meaning) in _STRATEGY_OPTIONS.items():
        group.add_argument(_flag(name), type=kind, metavar="X", help=f"{meaning}; default: preset")
    for name, meaning in _BOUND_OPTIONS.items():
        group.add_argument(_flag(name), type=float, metavar="X", help=meaning)


def _add_samples(group: Any) -> None:
    group.add_argument("--n0", type=int, default=100, metavar="N", help="samples for the class")
    group.add_argument("--n", type=int, default=100_000, metavar="N", help="samples for the bound")
    group.add_argument(
        "--adaptive",
        nargs="?",
        const="table",
        metavar="RULE",
        help="draw no more samples than it takes, at most N, to settle: which of the radii 0, "
        "0.25, ... are certified (table, the default), which of others (such as 0.5 or 0,0.3,0.6), "
        "or the radius to a relative width (such as width=0.05)",
    )
    group.add_argument(
        "--alpha", type=float, default=0.001, metavar="A", help="failure probability"
    )
    group.add_argument("--bound", default="one-sided", metavar="B", help="one-sided or two-sided")
    group.add_argument("--precision", default="auto", metavar="P", help="auto, fp32 or bf16")
    group.add_argument(
        "--batch-size",
        type=int,
        metavar="B",
        help="samples a batch; default: by image and free memory. A row records it, and --resume "
        "keeps it: the same seed, machine, software and batch size give the same counts, others "
        "may count single votes differently",
    )


def _add_selection(group: Any) -> None:
    group.add_argument("--split", default="test", metavar="S", help="test or train")
    group.add_argument("--start", type=int, metavar="I", help="first image; default: 0")
    group.add_argument("--skip", type=int, metavar="K", help="every K-th image; default: 1")
    group.add_argument("--limit", type=int, metavar="L", help="at most L images; default: all")
    group.add_argument("--index", type=int, nargs="+", metavar="I", help="these images instead")


def certify_configs(options: argparse.Namespace) -> list[CertifyConfig]:
    """The runs that the options describe: each method with each sigma.

    Raises:
        DDRSError: if a name is unknown or options contradict each other.
    """
    from ddrs_core.models import get_card
    from ddrs_core.runs.certify.config import Method

    for name in ("dataset", "model", "method"):
        if not getattr(options, name):
            raise InvalidParameterError(f"Nothing to certify: add --{name}.")
    methods = [Method(name) for name in options.method]
    for name, values in (("method", methods), ("sigma", options.sigma or [])):
        if len(set(values)) < len(values):
            raise InvalidParameterError(f"--{name} names the same twice.")
    if Method.DS_MEMORY in methods and not options.bank:
        raise InvalidParameterError("Method ds-memory needs a memory bank: add --bank NAME.")
    if Method.DS_MEMORY not in methods and options.bank:
        raise InvalidParameterError("--bank goes with --method ds-memory.")
    if methods == [Method.FIXED]:
        _refuse_strategy(options)
    dataset = find_dataset(options.dataset)
    card = get_card(find_model(options, dataset))
    sigmas = options.sigma or [None]
    configs = [
        _config(options, dataset, card, method, sigma) for method in methods for sigma in sigmas
    ]
    warn_of_noise(card, dataset, max(config.sigma for config in configs))
    return configs


def _config(
    options: argparse.Namespace, dataset: str, card: ModelCard, method: Method, sigma: float | None
) -> CertifyConfig:
    from ddrs_core.runs.certify.config import CertifyConfig, Method
    from ddrs_core.smoothing import Bound

    preset = None if method is Method.FIXED else _preset(options)
    if sigma is None:
        sigma = preset.sigma_0 if preset is not None and preset.sigma_0 else card.sigma
    if sigma is None or (not sigma and options.sigma is None):
        known = "was trained without noise" if sigma == 0 else "does not tell its noise level"
        raise InvalidParameterError(f"Model {card.name!r} {known}: add --sigma.")
    strategy = None if preset is None else _strategy(options, preset, sigma)
    if options.index is not None and any(
        getattr(options, name) is not None for name in (*_SELECTION, "limit")
    ):
        raise InvalidParameterError("--index does not go with --start, --skip or --limit.")
    selection: dict[str, Any] = {
        name: default if getattr(options, name) is None else getattr(options, name)
        for name, default in _SELECTION.items()
    }
    return CertifyConfig(
        dataset=dataset,
        model=card.name,
        method=method,
        sigma=sigma,
        strategy=strategy,
        bank=options.bank if method is Method.DS_MEMORY else "",
        n0=options.n0,
        n=options.n,
        until=_until(options.adaptive),
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


def _until(rule: str | None) -> StopRule | None:
    """The rule that ``--adaptive`` names."""
    from ddrs_core.smoothing import StopAtRadii, StopAtRelativeWidth

    if rule is None:
        return None
    if rule == "table":
        return StopAtRadii()
    try:
        if rule.startswith("width="):
            return StopAtRelativeWidth(float(rule.removeprefix("width="))).check()
        return StopAtRadii(tuple(float(part) for part in rule.split(","))).check()
    except ValueError:
        raise InvalidParameterError(
            f"--adaptive takes table, radii such as 0.5 or 0,0.25,0.5, or width=0.05, not "
            f"{rule[:40]!r}."
        ) from None


def _refuse_strategy(options: argparse.Namespace) -> None:
    for name in ("strategy", "preset", *_STRATEGY_OPTIONS, *_BOUND_OPTIONS):
        if getattr(options, name) is not None:
            raise InvalidParameterError(f"{_flag(name)} goes with --method ds only.")


def _strategy(options: argparse.Namespace, preset: Preset, sigma_0: float) -> StrategyConfig:
    given = {
        name: getattr(options, name)
        for name in (*_STRATEGY_OPTIONS, *_BOUND_OPTIONS)
        if getattr(options, name) is not None
    }
    usual = preset.at(sigma_0)
    low, high = usual.bounds
    for name, side, sign in (("sigma_min", "above", 1), ("sigma_max", "below", -1)):
        if sign * (given.get(name, sigma_0) - sigma_0) > 0:
            raise InvalidParameterError(
                f"{_flag(name)} {given[name]:g} is {side} --sigma {sigma_0:g}, where every image "
                "starts."
            )
    bounds = (given.pop("sigma_min", low), given.pop("sigma_max", high))
    changes = {name: value for name, value in given.items() if name in _STRATEGY_OPTIONS}
    known = {field.name for field in fields(preset.config)}
    for name in changes:
        if name not in known:
            raise InvalidParameterError(
                f"{_flag(name)} means nothing to strategy {preset.strategy!r}."
            )
    return replace(usual, bounds=bounds, **changes)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
