"""The sigma strategies by name, and the presets that people choose from.

A new strategy is one file with a frozen dataclass that is a
:class:`~ddrs_core.smoothing.sigma.base.StrategyConfig`, one line in :data:`STRATEGIES`, and its
presets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ddrs_core.errors import unknown_name
from ddrs_core.parameters import values_of, with_values
from ddrs_core.smoothing.sigma.ascent import AscentConfig
from ddrs_core.smoothing.sigma.base import StrategyConfig
from ddrs_core.smoothing.sigma.search import SearchConfig
from ddrs_core.smoothing.sigma.surface import SurfaceConfig

STRATEGIES: dict[str, type[StrategyConfig]] = {
    "surface": SurfaceConfig,
    "ascent": AscentConfig,
    "search": SearchConfig,
}


@dataclass(frozen=True)
class Preset:
    """A named configuration of a strategy."""

    name: str
    title: str
    description: str
    config: StrategyConfig
    sigma_0: float | None = None  # the start that the source used; None: the model's sigma
    rise: float | None = None  # largest sigma, in sigma_0; None: as ``config`` has it
    span: float = 2.0  # with ``rise``: the largest sigma over the smallest, at least

    @property
    def strategy(self) -> str:
        """The name of the strategy."""
        return self.config.name

    def at(self, sigma_0: float) -> StrategyConfig:
        """The configuration for a start: with ``rise``, the largest sigma follows it.

        Under noise far beyond that of their training, networks give one class to everything, and
        the large radii of that class then say nothing about an image.
        """
        if self.rise is None or not sigma_0 > 0:
            return self.config
        largest = round(self.rise * sigma_0, 6)
        smallest = min(self.config.bounds[0], largest / self.span)
        bounds = {"sigma_min": smallest, "sigma_max": largest}
        return with_values(self.config, bounds)

    def changes(self, config: StrategyConfig, sigma_0: float) -> dict[str, float]:
        """The values in which a configuration differs from this preset for that start."""
        usual = values_of(self.at(sigma_0))
        return {name: v for name, v in values_of(config).items() if v != usual.get(name)}


_RISE = 1.5
_PRESETS = (
    Preset(
        "surface",
        "Surface fit",
        "Fits the whole radius curve to all votes and draws further ones where its maximum may "
        "lie; no gradients. At most 2.2 sigma_0.",
        SurfaceConfig(),
        rise=2.2,
        span=7.0,
    ),
    Preset(
        "guarded",
        "Guarded ascent",
        "Algorithm 1 on a sharper softmax, with a falling step size, averaged last iterates and a "
        "guard: sigma moves only if fresh votes promise a larger radius for the same class, and "
        "to 1.5 sigma_0 at most.",
        AscentConfig(
            lr=0.05,
            steps=60,
            samples=16,
            clamp=0.001,
            bounds=(0.05, 1.5),
            final_lr=0.05,
            average=0.25,
            beta=3.0,
            guard=400,
        ),
        rise=_RISE,
    ),
    Preset(
        "fast",
        "Paper, fast",
        "Algorithm 1 as it stands, with larger steps and 8 noisy copies a step.",
        AscentConfig(lr=0.02, steps=100, samples=8, clamp=0.001),
    ),
    Preset(
        "authors-repository",
        "Authors' repository",
        "What the paper's code does: one noisy copy a step and very small steps.",
        AscentConfig(lr=1e-4, steps=100, samples=1, clamp=0.02),
        sigma_0=0.12,
    ),
    Preset(
        "authors-package",
        "Authors' package",
        "What the authors' Python package does: 900 large steps with 100 noisy copies each.",
        AscentConfig(lr=0.04, steps=900, samples=100, clamp=0.001),
    ),
    Preset(
        "long",
        "Paper, long",
        "One noisy copy a step and very small steps, 900 of them.",
        AscentConfig(lr=1e-4, steps=900, samples=1, clamp=0.02),
    ),
    Preset(
        "qcrs",
        "Guarded bisection",
        "Halves the interval of sigma by comparing votes on both sides; no gradients. At most 1.5 "
        "sigma_0.",
        SearchConfig(),
        rise=_RISE,
    ),
)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _PRESETS}
DEFAULT_PRESET = "surface"


def list_presets(strategy: str | None = None) -> list[Preset]:
    """All presets, or those of one strategy; its default comes first.

    Raises:
        UnknownNameError: if there is no such strategy.
    """
    if strategy is not None and strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)
    return [p for p in _PRESETS if strategy in (None, p.strategy)]


def get_preset(name: str) -> Preset:
    """One preset by name.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]


def config_from_dict(data: dict[str, Any]) -> StrategyConfig:
    """A configuration from the plain data that ``dataclasses.asdict`` makes of it.

    Raises:
        TypeError: if it is something else.
    """
    known = (k for k in STRATEGIES.values() if {f.name for f in fields(k)} >= data.keys())
    kind = next(known, None)
    if kind is None:
        raise TypeError(f"no strategy has the parameters {', '.join(data)}")
    low, high = data["bounds"]
    return kind(**{**data, "bounds": (float(low), float(high))})
