"""The configuration of a sigma strategy as flat numbers, as forms, links and commands have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ddrs_core.smoothing import StrategyConfig, get_preset


def parameters(config: StrategyConfig) -> dict[str, float]:
    """The configuration as flat numbers, the bounds as ``sigma_min`` and ``sigma_max``."""
    flat: dict[str, float] = {}
    for item in fields(config):
        value = getattr(config, item.name)
        if item.name == "bounds":
            flat["sigma_min"], flat["sigma_max"] = value
        else:
            flat[item.name] = value
    return flat


def with_parameters(config: StrategyConfig, changes: Mapping[str, float]) -> StrategyConfig:
    """Change flat numbers of a configuration; whole numbers stay whole."""
    flat = parameters(config)
    for name, value in changes.items():
        if name in flat:
            whole = isinstance(flat[name], int) and float(value).is_integer()
            flat[name] = int(value) if whole else float(value)
    bounds = (flat.pop("sigma_min"), flat.pop("sigma_max"))
    known: dict[str, Any] = {**flat, "bounds": bounds}
    return replace(config, **known)


def config_changes(preset: str, config: StrategyConfig, sigma_0: float) -> dict[str, float]:
    """The numbers in which a configuration differs from its preset for that start."""
    usual = parameters(get_preset(preset).at(sigma_0))
    return {k: v for k, v in parameters(config).items() if v != usual.get(k)}
