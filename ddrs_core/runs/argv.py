"""The command lines that do the same as a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from ddrs_core.parameters import argument, arguments, option, with_argument
from ddrs_core.runs.certify.config import CertifyConfig, Method
from ddrs_core.smoothing import StopAtRadii, StopRule, StrategyConfig, list_presets
from ddrs_core.training import TrainConfig

_FROM_PLACES = ("start", "skip", "limit")  # which ``indices`` stands instead of


def to_argv(config: CertifyConfig | TrainConfig) -> list[str]:
    """What follows ``python -m ddrs_core`` to do a run: the command and its options.

    Options that are read back give the same configuration, whatever the presets and recipes that
    stand behind them will be by then. Where results go is not part of it.
    """
    if isinstance(config, CertifyConfig):
        return _certify_argv([config])
    argv = ["train", *arguments(config), "--method", config.method.name]
    argv += arguments(config.method)
    if config.data_dependent is not None:
        argv += ["--data-dependent", *arguments(config.data_dependent, "sigma_")]
    return argv


def command_lines(configs: Sequence[CertifyConfig | TrainConfig], *more: str) -> str:
    """The command lines of runs, for a shell, with ``more`` options at the end of each.

    Certification runs share a line where every method goes with every sigma.
    """
    certify = [config for config in configs if isinstance(config, CertifyConfig)]
    shared = len(certify) == len(configs) and _share_a_line(certify)
    lines = [_certify_argv(certify)] if shared else [to_argv(config) for config in configs]
    return "\n".join(shlex.join(["python", "-m", "ddrs_core", *line, *more]) for line in lines)


def _share_a_line(configs: Sequence[CertifyConfig]) -> bool:
    methods, sigmas = {c.method for c in configs}, {c.sigma for c in configs}
    strategies = {c.strategy for c in configs if c.strategy is not None}
    plain = {"method": Method.FIXED, "sigma": 1.0, "strategy": None, "bank": "", "tuned": None}
    others = {replace(c, **plain) for c in configs}  # type: ignore[arg-type]
    banks = {c.bank for c in configs if c.bank}
    every_pair = len(methods) * len(sigmas) == len(configs) == len(set(configs))
    return every_pair and all(len(kind) <= 1 for kind in (strategies, others, banks))


def _certify_argv(configs: Sequence[CertifyConfig]) -> list[str]:
    """One command for configurations that differ in method, sigma and what belongs to a method."""
    first = configs[0]
    methods = dict.fromkeys(argument(config.method) for config in configs)
    sigmas = dict.fromkeys(config.sigma for config in configs)
    skip = () if first.indices is None else _FROM_PLACES
    argv = ["certify", *arguments(first, skip=(*skip, "bank")), "--method", *methods]
    argv += ["--sigma", *(argument(float(sigma)) for sigma in sigmas)]
    strategy = next((c.strategy for c in configs if c.strategy is not None), None)
    if strategy is not None:
        argv += _strategy_argv(strategy, list(sigmas))
    if first.budget.stop is not None:
        argv += ["--adaptive", *_rule_argv(first.budget.stop)]
    bank = next((config.bank for config in configs if config.bank), "")
    return [*argv, *with_argument("--bank", bank)] if bank else argv


def _strategy_argv(config: StrategyConfig, sigmas: Sequence[float]) -> list[str]:
    """The preset that is nearest, and what differs from it at any of the sigmas, each of which
    would give the preset its own bounds."""
    found = []
    for preset in list_presets(config.name):
        changes: dict[str, float] = {}
        for sigma in sigmas:
            changes |= preset.changes(config, sigma)
        found.append((preset.name, changes))
    name, changes = min(found, key=lambda one: len(one[1]))
    argv = ["--preset", name]
    for field, value in changes.items():
        argv += [option(field), argument(value)]
    return argv


def _rule_argv(stop: StopRule) -> list[str]:
    if not isinstance(stop, StopAtRadii):
        return [f"width={stop.width!r}"]
    if stop.radii == StopAtRadii().radii:
        return []
    return [",".join(repr(radius) for radius in stop.radii)]
