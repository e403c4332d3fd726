"""The command lines that do the same as a certification run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from ddrs_core.dashboard.common.strategy_parameters import config_changes
from ddrs_core.runs.certify.config import CertifyConfig
from ddrs_core.smoothing import (
    AscentConfig,
    Bound,
    StopAtRadii,
    StopRule,
    StrategyConfig,
    list_presets,
)

_START = ("python", "-m", "ddrs_core", "certify")


def certify_commands(configs: Sequence[CertifyConfig]) -> str:
    """One line where every method goes with every sigma, else a line a setting."""
    methods = list(dict.fromkeys(config.method.value for config in configs))
    sigmas = list(dict.fromkeys(config.sigma for config in configs))
    strategies = {config.strategy for config in configs if config.strategy is not None}
    if len(methods) * len(sigmas) == len(configs) and len(strategies) <= 1:
        return shlex.join(_words(configs, methods, sigmas))
    return "\n".join(shlex.join(_words([c], [c.method.value], [c.sigma])) for c in configs)


def show_commands(configs: Sequence[CertifyConfig]) -> None:
    """The command lines, to be copied."""
    st.code(certify_commands(configs), language="bash", wrap_lines=True)
    if any(config.bank for config in configs):
        st.caption(
            "The command line has memory banks of its own: it makes, or goes on with, the one of "
            "that name there. `memory import` brings one that you download from the memory page."
        )


def _words(
    configs: Sequence[CertifyConfig], methods: Sequence[str], sigmas: Sequence[float]
) -> list[str]:
    first = configs[0]
    words = [
        *_START,
        "--dataset",
        first.dataset,
        "--model",
        first.model,
        "--method",
        *methods,
        "--sigma",
        *(repr(float(sigma)) for sigma in sigmas),
    ]
    bank = next((c.bank for c in configs if c.bank), None)
    words += [] if bank is None else ["--bank", bank]
    strategy = next((c.strategy for c in configs if c.strategy is not None), None)
    if strategy is not None:
        words += _strategy_words(strategy, sigmas)
    words += ["--n0", str(first.n0), "--n", str(first.n)]
    if first.until is not None:
        words += ["--adaptive", *_rule_words(first.until)]
    words += ["--alpha", repr(float(first.alpha)), "--bound", first.bound.value]
    if first.indices is not None:
        words += ["--index", *(str(index) for index in first.indices)]
    else:
        words += ["--split", first.split, "--start", str(first.start), "--skip", str(first.skip)]
        words += [] if first.limit is None else ["--limit", str(first.limit)]
    words += ["--precision", first.precision, "--device", first.device, "--seed", str(first.seed)]
    words += [] if first.batch_size is None else ["--batch-size", str(first.batch_size)]
    defaults = {
        ("--bound", Bound.ONE_SIDED.value),
        ("--split", "test"),
        ("--start", "0"),
        ("--skip", "1"),
        ("--precision", "auto"),
        ("--device", "auto"),
    }
    return [*_without(words, defaults), "--record"]


def _without(words: Sequence[str], defaults: set[tuple[str, str]]) -> list[str]:
    """The words, but for options that say what would be so anyway."""
    pairs = list(zip(words, [*words[1:], ""], strict=True))
    left_out = {i for i, pair in enumerate(pairs) if pair in defaults}
    return [w for i, w in enumerate(words) if i not in left_out and i - 1 not in left_out]


def _strategy_words(config: StrategyConfig, sigmas: Sequence[float]) -> list[str]:
    """The preset that is nearest, and what differs from it."""
    kind = "ascent" if isinstance(config, AscentConfig) else "search"

    def changes(preset: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for sigma in sigmas:  # each would give the preset bounds of its own
            found |= config_changes(preset, config, sigma)
        return found

    nearest = min(list_presets(kind), key=lambda p: len(changes(p.name)))
    words = ["--preset", nearest.name]
    for name, value in changes(nearest.name).items():
        words += [f"--{name.replace('_', '-')}", repr(value)]
    return words


def _rule_words(until: StopRule) -> list[str]:
    if not isinstance(until, StopAtRadii):
        return [f"width={until.width!r}"]
    if until.radii == StopAtRadii().radii:
        return []
    return [",".join(repr(radius) for radius in until.radii)]
