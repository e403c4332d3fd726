"""Sigma by bisection: Kung and Chen, "QCRS: Improve Randomized Smoothing using Quasi-Concave
Optimization" (2024).

R(sigma) = sigma * Phi^-1(p(sigma)) is quasi-concave for most inputs, so the sign of
R(sigma * t) - R(sigma / t) tells on which side the maximum lies. Forward passes only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from ddrs_core.models import NoisyForward
from ddrs_core.parameters import Configuration, parameter
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import most_of_others
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.sigma.base import choose_sigma
from ddrs_core.smoothing.sigma.guard import expected_radius, select_by_validation
from ddrs_core.smoothing.sigma.steps import SigmaBatch, SigmaStep, SigmaTask, sigma_bounds


@dataclass(frozen=True)
class SearchConfig(Configuration):
    """Parameters of the bisection."""

    name: ClassVar[str] = "search"
    title: ClassVar[str] = "Bisection (QCRS)"
    fits_curve: ClassVar[bool] = False

    steps: int = parameter(6, "number of steps K", "Steps K", low=1, high=60, step=1)
    samples: int = parameter(
        200, "votes at both points of a step", "Noisy copies n", low=1, high=100_000, step=8
    )
    ratio: float = parameter(
        1.12,
        "the two points of a step are sigma / ratio and sigma * ratio",
        "Ratio",
        above=1.0,
        below=4.0,
        step=0.01,
    )
    bounds: tuple[float, float] = sigma_bounds(0.05, 1.5)
    guard: int = parameter(
        500,
        "fresh votes for each candidate of the guard",
        "Guard votes",
        low=1,
        high=100_000,
        step=100,
    )

    @property
    def depends_on_budget(self) -> bool:
        """The guard compares the radii to be proved."""
        return True

    def passes(self) -> float:
        """Forward passes for one image."""
        return (2 * self.steps + 1) * self.samples + 3 * self.guard

    def run(self, task: SigmaTask) -> Iterator[SigmaBatch]:
        """Bisection for M images at once.

        A class other than the one at sigma_0 counts as R = 0, and sigma_0 is kept unless fresh
        votes promise more.
        """
        lowest, highest = self.bounds
        start = task.sigma_0.clip(lowest, highest)
        low, high = np.full_like(start, math.log(lowest)), np.full_like(start, math.log(highest))
        step_ratio = math.log(self.ratio)
        held_class = task.votes(start, self.samples, "sigma").argmax(axis=1)  # [M]
        rows = np.arange(len(start))
        for step in range(1, self.steps + 1):
            middle = (low + high) / 2
            sides = []
            for side in (middle - step_ratio, middle + step_ratio):
                sigma = np.exp(side).clip(lowest, highest)
                counts = task.votes(sigma, self.samples, "sigma")
                held = counts[rows, held_class].astype(np.float64)
                other = most_of_others(counts)[rows, held_class]
                radius = expected_radius(held, other, self.samples, sigma, task.budget)
                radius[counts.argmax(axis=1) != held_class] = 0.0
                sides.append((sigma, radius, held / self.samples))
            (sigma_a, radius_a, share_a), (sigma_b, radius_b, share_b) = sides
            flat = (radius_a == 0) & (radius_b == 0)  # nothing on either side: back to the start
            up = np.where(flat, np.log(start) > middle, radius_b > radius_a)
            low, high = np.where(up, middle, low), np.where(up, high, middle)
            chosen: Floats | None = None
            reasons: tuple[str, ...] = ()
            if step == self.steps:
                found = np.exp((low + high) / 2)
                candidates = np.stack([np.sqrt(start * found), found])
                chosen, reasons = select_by_validation(task, start, candidates, self.guard)
            share = (share_a + share_b) / 2
            yield SigmaBatch(
                step,
                self.steps,
                np.exp(middle),
                (radius_a + radius_b) / 2,
                (radius_b - radius_a) / np.maximum(sigma_b - sigma_a, 1e-12),
                share,
                1.0 - share,
                held_class,
                chosen,
                reasons,
            )


def search_sigma(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    sigma_0: float,
    config: SearchConfig | None = None,
    seed: int = 0,
    index: int = 0,
    budget: CertificationBudget | None = None,
) -> Iterator[SigmaStep]:
    """Bisection for one image ``x`` [C, H, W]; see :func:`choose_sigmas`.

    >>> from ddrs_core.data import load_dataset
    >>> from ddrs_core.models import load_model
    >>> f, (x, _) = load_model("digits-gaussian-0.50", "cpu"), load_dataset("digits")[58]
    >>> *_, last = search_sigma(f, x, sigma_0=0.5)
    >>> last.chosen < 0.5
    True
    """
    return choose_sigma(
        f, x, sigma_0, config or SearchConfig(), seed=seed, index=index, budget=budget
    )
