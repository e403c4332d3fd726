"""A sigma strategy on one image together with looks at the votes along its way."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from ddrs_core.models import NoisyForward
from ddrs_core.models.inference.cost import affordable, pass_seconds
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.sigma.base import StrategyConfig, choose_sigma
from ddrs_core.smoothing.sigma.preview import COPIES, Probe, probe
from ddrs_core.smoothing.sigma.steps import SigmaStep

_PROBES = 60  # along one trajectory, so that looking costs little beside a long ascent
_PROBE_SAMPLES, _PROBE_SAMPLES_MIN, _PROBE_SECONDS = 200, 16, 0.08
_FINAL_SAMPLES, _FINAL_SAMPLES_MIN, _FINAL_SECONDS = 1_000, 48, 0.6
_LOOKING_SECONDS = 8.0  # in all, or as long as the strategy itself takes


@dataclass(frozen=True)
class SigmaFrame:
    """One step of the strategy and, where one was due, a look at the votes at its sigma."""

    step: SigmaStep
    probe: Probe | None
    final: Probe | None = None  # the last frame: votes at the chosen sigma


def watch_sigma(
    forward: NoisyForward,
    x: Tensor,
    *,
    sigma_0: float,
    config: StrategyConfig,
    seed: int = 0,
    index: int = 0,
    budget: CertificationBudget | None = None,
) -> Iterator[SigmaFrame]:
    """Run a strategy on ``x`` [C, H, W] and probe the votes every few steps; see
    :func:`plan_previews`.

    The steps are exactly those of ``choose_sigmas``: probes draw noise of their own.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.
    """
    steps = choose_sigma(forward, x, sigma_0, config, seed=seed, index=index, budget=budget)
    return _watch(forward, x, steps, plan_previews(forward, x.shape, config), seed, index)


def _watch(
    forward: NoisyForward,
    x: Tensor,
    steps: Iterator[SigmaStep],
    looks: PreviewPlan,
    seed: int,
    index: int,
) -> Iterator[SigmaFrame]:
    for step in steps:
        look = final = None
        if (step.step - 1) % looks.every == 0:
            look = probe(
                forward, x, sigma=step.sigma, samples=looks.samples, seed=seed, index=index
            )
        if step.chosen is not None:
            final = probe(
                forward, x, sigma=step.chosen, samples=looks.final, seed=seed, index=index
            )
        yield SigmaFrame(step, look, final)


@dataclass(frozen=True)
class PreviewPlan:
    """How often to look along a trajectory, and at how many votes."""

    every: int  # steps
    samples: int
    final: int


def plan_previews(
    forward: NoisyForward, shape: Sequence[int], config: StrategyConfig
) -> PreviewPlan:
    """The previews that a network of this cost affords at images of shape [C, H, W].

    They take some seconds in all, or about as long as the strategy itself where that is longer;
    by an assumed speed, so that every run on a machine looks alike.
    """
    samples = affordable(forward, shape, _PROBE_SAMPLES, _PROBE_SECONDS, _PROBE_SAMPLES_MIN)
    final = affordable(forward, shape, _FINAL_SAMPLES, _FINAL_SECONDS, _FINAL_SAMPLES_MIN)
    one = pass_seconds(forward, shape)
    allowed = max(_LOOKING_SECONDS, config.passes() * one) - final * one
    a_look = (samples + COPIES) * one
    number = max(2, int(allowed / a_look)) if a_look else config.steps
    every = max(1, config.steps // _PROBES, math.ceil(config.steps / number))
    return PreviewPlan(every, samples, final)
