"""The options of ``certify``, and the runs that they describe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddrs_core.cli.options import (
    add_device,
    add_json,
    add_parameters,
    add_quiet,
    add_recorded,
    add_seed,
    given,
)
from ddrs_core.cli.resolve_inputs import (
    add_foreign_options,
    find_dataset,
    find_model,
    warn_of_noise,
)
from ddrs_core.errors import InvalidParameterError
from ddrs_core.parameters import Parameter, joined_parameters, option, parameters_of, with_values

if TYPE_CHECKING:
    from ddrs_core.models import ModelCard
    from ddrs_core.runs.certify.config import CertifyConfig, Method
    from ddrs_core.smoothing import Preset, StopRule, StrategyConfig

_BUDGET = ("n0", "n", "alpha")
_NETWORK = ("precision", "batch_size")
_IMAGES = ("split", "start", "skip", "limit", "indices")


def add_certify_options(parser: argparse.ArgumentParser, bank: bool = True) -> None:
    """Everything that may follow ``certify``; without ``--bank`` where a command has its own."""
    from ddrs_core.runs.certify.config import CertifyConfig

    fields = parameters_of(CertifyConfig)
    add_parameters(parser, {name: fields[name] for name in ("dataset", "model")})
    add_foreign_options(parser)
    parser.add_argument(
        "--method",
        nargs="+",
        metavar="M",
        help="fixed, tuned (one sigma, chosen on training images), ds (data-dependent) or "
        "ds-memory (with a bank), or several",
    )
    parser.add_argument(
        "--sigma",
        type=float,
        nargs="+",
        metavar="S",
        help="noise level, around which tuned searches and where ds starts, or several; "
        "default: the preset's or the model's",
    )
    _add_strategy(parser.add_argument_group("data-dependent sigma (--method ds)"))
    group = parser.add_argument_group("certification")
    add_parameters(group, {name: fields[name] for name in (*_BUDGET, *_NETWORK)}, defaults=True)
    add_parameters(
        group,
        {"bound": fields["bound"]},
        note="; default: two-sided, or that of the rows that --resume goes on with",
    )
    _add_adaptive(group)
    group = parser.add_argument_group("images")
    add_parameters(group, {name: fields[name] for name in _IMAGES})
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
    add_recorded(parser.add_mutually_exclusive_group())
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="let the workers of a Ray cluster do it: HOST:PORT, ray://HOST:PORT, or auto for the "
        "one that this machine belongs to, else for all of this machine; with --record or --run",
    )
    if bank:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only tell what it would cost on this machine: forward passes, time, disk space",
        )
        add_parameters(parser, {"bank": fields["bank"]}, defaults=True)
    add_seed(parser)
    add_device(parser)
    add_json(parser)
    add_quiet(parser)


def _add_strategy(group: Any) -> None:
    group.add_argument("--strategy", metavar="S", help="surface (the default), ascent or search")
    group.add_argument("--preset", metavar="P", help="default: the strategy's first")
    add_parameters(group, _strategy_fields(), note="; default: preset")


def _strategy_fields() -> dict[str, Parameter]:
    from ddrs_core.smoothing import list_presets

    return joined_parameters({preset.strategy: preset.config for preset in list_presets()})


def _add_adaptive(group: Any) -> None:
    group.add_argument(
        "--adaptive",
        nargs="?",
        const="table",
        metavar="RULE",
        help="draw no more samples than it takes, at most N, to settle: which of the radii 0, "
        "0.25, ... are certified (table, the default), which of others (such as 0.5 or 0,0.3,0.6), "
        "or the radius to a relative width (such as width=0.05)",
    )


def certify_configs(options: argparse.Namespace) -> list[CertifyConfig]:
    """The runs that the options describe: each method with each sigma.

    Raises:
        DDRSError: if a name is unknown or options contradict each other.
    """
    from ddrs_core.models import get_card
    from ddrs_core.runs.certify.config import ONE_SIGMA, Method

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
    if all(method in ONE_SIGMA for method in methods):
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
    from ddrs_core.runs.certify.config import ONE_SIGMA, CertifyConfig, Method
    from ddrs_core.smoothing import CertificationBudget

    preset = None if method in ONE_SIGMA else _preset(options)
    if sigma is None:
        sigma = preset.sigma_0 if preset is not None and preset.sigma_0 else card.sigma
    if sigma is None or (not sigma and options.sigma is None):
        known = "was trained without noise" if sigma == 0 else "does not tell its noise level"
        raise InvalidParameterError(f"Model {card.name!r} {known}: add --sigma.")
    strategy = None if preset is None else _strategy(options, preset, sigma)
    numbers = given(options, (*_BUDGET, "bound", "seed"))
    plain = given(options, (*_NETWORK, *_IMAGES, "device"))
    if "indices" in plain:
        if plain.keys() & {"start", "skip", "limit"}:
            raise InvalidParameterError("--index does not go with --start, --skip or --limit.")
        plain["indices"] = tuple(plain["indices"])
    return CertifyConfig(
        dataset=dataset,
        model=card.name,
        method=method,
        sigma=sigma,
        strategy=strategy,
        bank=options.bank if method is Method.DS_MEMORY else "",
        budget=CertificationBudget.of(**numbers, stop=_stop_rule(options.adaptive)),
        **plain,
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


def _stop_rule(rule: str | None) -> StopRule | None:
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
    for name in ("strategy", "preset", *_strategy_fields()):
        if getattr(options, name) is not None:
            raise InvalidParameterError(f"{option(name)} goes with --method ds only.")


def _strategy(options: argparse.Namespace, preset: Preset, sigma_0: float) -> StrategyConfig:
    from ddrs_core.smoothing import STRATEGIES

    changes = given(options, _strategy_fields())
    for name, side, sign in (("sigma_min", "above", 1), ("sigma_max", "below", -1)):
        if sign * (changes.get(name, sigma_0) - sigma_0) > 0:
            raise InvalidParameterError(
                f"{option(name)} {changes[name]:g} is {side} --sigma {sigma_0:g}, where every "
                "image starts."
            )
    for name in changes.keys() - parameters_of(preset.config).keys():
        having = [n for n, kind in STRATEGIES.items() if name in parameters_of(kind())]
        raise InvalidParameterError(
            f"{option(name)} means nothing to strategy {preset.strategy!r}, only to "
            f"{' and '.join(having)}."
        )
    return with_values(preset.at(sigma_0), changes)
