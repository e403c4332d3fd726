"""The sigma strategies and presets that people choose from.

A new strategy is one file with a configuration and a generator of ``SigmaBatch``, one case in
:func:`choose_sigmas`, and its presets here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from ddrs_core.errors import unknown_name
from ddrs_core.models import NoisyForward
from ddrs_core.parameters import values_of
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.sigma.ascent import AscentConfig, ascend_sigmas
from ddrs_core.smoothing.sigma.search import SearchConfig, search_sigmas
from ddrs_core.smoothing.sigma.steps import SigmaBatch

StrategyConfig = AscentConfig | SearchConfig

STRATEGIES: dict[str, str] = {
    "ascent": "Gradient ascent on the radius (Algorithm 1 of the paper)",
    "search": "Bisection on the radius (QCRS)",
}


@dataclass(frozen=True)
class Preset:
    """A named configuration of a strategy."""

    name: str
    strategy: str
    title: str
    description: str
    config: StrategyConfig
    sigma_0: float | None = None  # the start that the source used; None: the model's sigma
    rise: float | None = None  # largest sigma, in sigma_0; None: as ``config`` has it

    def at(self, sigma_0: float) -> StrategyConfig:
        """The configuration for a start: with ``rise``, the largest sigma follows it.

        Under noise far beyond that of their training, networks give one class to everything, and
        the large radii of that class then say nothing about an image.
        """
        if self.rise is None or not sigma_0 > 0:
            return self.config
        largest = round(self.rise * sigma_0, 6)
        smallest = min(self.config.bounds[0], largest / 2)
        return replace(self.config, bounds=(smallest, largest))

    def changes(self, config: StrategyConfig, sigma_0: float) -> dict[str, float]:
        """The values in which a configuration differs from this preset for that start."""
        usual = values_of(self.at(sigma_0))
        return {name: v for name, v in values_of(config).items() if v != usual.get(name)}


_RISE = 1.5
_PRESETS = (
    Preset(
        "guarded",
        "ascent",
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
        "ascent",
        "Paper, fast",
        "Algorithm 1 as it stands, with larger steps and 8 noisy copies a step.",
        AscentConfig(lr=0.02, steps=100, samples=8, clamp=0.001),
    ),
    Preset(
        "authors-repository",
        "ascent",
        "Authors' repository",
        "What the paper's code does: one noisy copy a step and very small steps.",
        AscentConfig(lr=1e-4, steps=100, samples=1, clamp=0.02),
        sigma_0=0.12,
    ),
    Preset(
        "authors-package",
        "ascent",
        "Authors' package",
        "What the authors' Python package does: 900 large steps with 100 noisy copies each.",
        AscentConfig(lr=0.04, steps=900, samples=100, clamp=0.001),
    ),
    Preset(
        "long",
        "ascent",
        "Paper, long",
        "One noisy copy a step and very small steps, 900 of them.",
        AscentConfig(lr=1e-4, steps=900, samples=1, clamp=0.02),
    ),
    Preset(
        "qcrs",
        "search",
        "Guarded bisection",
        "Halves the interval of sigma by comparing votes on both sides; no gradients. At most 1.5 "
        "sigma_0.",
        SearchConfig(),
        rise=_RISE,
    ),
)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _PRESETS}
DEFAULT_PRESET = "guarded"


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
    kind = SearchConfig if "ratio" in data else AscentConfig
    low, high = data["bounds"]
    return kind(**{**data, "bounds": (float(low), float(high))})


def choose_sigmas(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    images: Tensor,
    sigma_0: Sequence[float] | Tensor,
    config: StrategyConfig,
    *,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    budget: CertificationBudget | None = None,
) -> Iterator[SigmaBatch]:
    """Run the strategy that ``config`` belongs to; see :func:`ascend_sigmas` for the arguments."""
    if isinstance(config, AscentConfig):
        return ascend_sigmas(f, images, sigma_0, config, seed=seed, indices=indices, budget=budget)
    return search_sigmas(f, images, sigma_0, config, seed=seed, indices=indices, budget=budget)
