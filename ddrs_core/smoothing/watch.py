"""A sigma strategy on one image together with looks at the votes along its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from ddrs_core.models import NoisyForward
from ddrs_core.smoothing.classifier import as_batch
from ddrs_core.smoothing.probe import Probe, probe
from ddrs_core.smoothing.steps import Budget, SigmaStep
from ddrs_core.smoothing.strategies import StrategyConfig, choose_sigmas

_PROBES = 60  # along one trajectory, so that looking costs little beside a long ascent
_PROBE_SAMPLES = 200
_FINAL_SAMPLES = 1_000


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
    budget: Budget | None = None,
) -> Iterator[SigmaFrame]:
    """Run a strategy on ``x`` [C, H, W] and probe the votes every few steps.

    The steps are exactly those of ``choose_sigmas``: probes draw noise of their own.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.
    """
    steps = choose_sigmas(
        forward, as_batch(x), [sigma_0], config, seed=seed, indices=[index], budget=budget
    )
    return _watch(forward, x, (batch.one(0) for batch in steps), seed, index)


def _watch(
    forward: NoisyForward, x: Tensor, steps: Iterator[SigmaStep], seed: int, index: int
) -> Iterator[SigmaFrame]:
    for step in steps:
        every = max(1, step.steps // _PROBES)
        look = final = None
        if (step.step - 1) % every == 0:
            look = probe(
                forward, x, sigma=step.sigma, samples=_PROBE_SAMPLES, seed=seed, index=index
            )
        if step.chosen is not None:
            final = probe(
                forward, x, sigma=step.chosen, samples=_FINAL_SAMPLES, seed=seed, index=index
            )
        yield SigmaFrame(step, look, final)
