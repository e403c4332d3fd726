"""Sigma by gradient ascent on the radius: Alfarra et al. (UAI 2022), Algorithm 1.

Presets with a guard go beyond the paper; those named after the authors do exactly what the
authors' code does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ddrs_core.models import GRADIENT_PASSES, NoisyForward
from ddrs_core.parameters import Configuration, parameter
from ddrs_core.quantities import counted
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.sigma.base import choose_sigma
from ddrs_core.smoothing.sigma.guard import select_by_validation
from ddrs_core.smoothing.sigma.soft_radius import soft_radius
from ddrs_core.smoothing.sigma.steps import (
    BETA,
    GUARD,
    SigmaBatch,
    SigmaStep,
    SigmaTask,
    sigma_bounds,
)

_GUARD_SHARES = (0.5, 1.0, 1.5)  # of the way from sigma_0 to the average, on a logarithmic scale


@dataclass(frozen=True)
class AscentConfig(Configuration):
    """Parameters of Algorithm 1 and of what we add to it (neutral by default)."""

    name: ClassVar[str] = "ascent"
    title: ClassVar[str] = "Gradient ascent"
    fits_curve: ClassVar[bool] = False

    lr: float = parameter(
        0.02,
        "step size: sigma moves by lr times the gradient of R",
        "Step size lr",
        above=0.0,
        step=0.01,
    )
    steps: int = parameter(100, "number of steps K", "Steps K", low=1, high=20_000, step=10)
    samples: int = parameter(
        8,
        "noisy copies a step; more make the gradient steadier",
        "Noisy copies n",
        low=1,
        high=10_000,
        step=8,
    )
    clamp: float = parameter(
        0.001, "probabilities are kept in [c, 1 - c]", "Clamp c", above=0.0, below=0.5, step=0.001
    )
    bounds: tuple[float, float] = sigma_bounds(0.01, 2.0)
    final_lr: float = parameter(
        1.0,
        "the step size falls to this share of lr, along a cosine",
        "Final step size",
        above=0.0,
        high=1.0,
        step=0.05,
    )
    average: float = parameter(
        0.0,
        "share of the last iterates that is averaged; 0: the last one alone",
        "Average",
        low=0.0,
        high=1.0,
        step=0.05,
    )
    beta: float = parameter(1.0, BETA, "Sharpness beta", above=0.0, below=1e3, step=1.0)
    guard: int = parameter(0, GUARD, "Guard votes", low=0, high=100_000, step=100)

    @property
    def averaged(self) -> int:
        """How many of the last iterates are averaged."""
        return max(1, round(self.average * self.steps))

    @property
    def depends_on_budget(self) -> bool:
        """The guard compares the radii to be proved."""
        return self.guard > 0

    def passes(self) -> float:
        """Forward passes for one image, see :data:`GRADIENT_PASSES`."""
        guard = (1 + len(_GUARD_SHARES)) * self.guard
        return GRADIENT_PASSES * self.steps * self.samples + guard

    def run(self, task: SigmaTask) -> Iterator[SigmaBatch]:
        """Algorithm 1 for M images at once, each with its own sigma and its own noise."""
        low, high = self.bounds
        device, generators = task.forward.device, task.generators("sigma")
        with torch.inference_mode(False):  # whatever mode the consumer is in
            images = task.images.to(device, torch.float32)
            sigma = torch.from_numpy(task.sigma_0).to(device).clamp(low, high)  # [M], float64
            shape = (len(images), self.samples, *images.shape[1:])
            noise = torch.empty(shape, device=device)
            total = torch.zeros_like(sigma)
        for step in range(1, self.steps + 1):
            with torch.inference_mode(False):
                for i, generator in enumerate(generators):
                    noise[i].normal_(generator=generator)
                value = soft_radius(task.forward, images, sigma, noise, self.clamp, self.beta)
                lr = self.lr * _share_of_lr(step, self.steps, self.final_lr)
                moved = (sigma + lr * value.gradient).clamp(low, high)
                numbers = torch.stack([sigma, value.radius, value.gradient, value.p_a, value.p_b])
                if step > self.steps - self.averaged:
                    total += moved
            chosen: Floats | None = None
            reasons: tuple[str, ...] = ()
            if step == self.steps:
                found = (total / self.averaged).cpu().numpy()
                chosen, reasons = self._settle(task, found)
            at, radius, gradient, p_a, p_b = numbers.cpu().numpy()
            classes = value.prediction.cpu().numpy()
            yield SigmaBatch(
                step, self.steps, at, radius, gradient, p_a, p_b, classes, chosen, reasons
            )
            sigma = moved

    def _settle(self, task: SigmaTask, found: Floats) -> tuple[Floats, tuple[str, ...]]:
        if not self.guard:
            return found, tuple(self._unguarded_reason(float(sigma)) for sigma in found)
        start = task.sigma_0.clip(*self.bounds)
        shares = np.array(_GUARD_SHARES)[:, None]
        candidates = (start ** (1 - shares) * found**shares).clip(*self.bounds)
        return select_by_validation(task, start, candidates, self.guard)

    def _unguarded_reason(self, sigma: float) -> str:
        iterates = counted(self.steps, "iterate")
        if self.averaged > 1:
            said = f"The average of the last {self.averaged} of {iterates}"
        else:
            said = f"The last of {iterates}, as in the paper's Algorithm 1"
        for name, bound in zip(("smallest", "largest"), self.bounds, strict=True):
            if sigma == bound:
                said += f", at the {name} noise level allowed"
        return f"{said}; no votes compared it with other noise levels."


def ascend_sigma(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    sigma_0: float,
    lr: float = 0.02,
    steps: int = 100,
    samples: int = 8,
    clamp: float = 0.001,
    bounds: tuple[float, float] = (0.01, 2.0),
    seed: int = 0,
    index: int = 0,
) -> Iterator[SigmaStep]:
    """Algorithm 1 for one image ``x`` [C, H, W]: sigma <- sigma + lr * dR/dsigma.

    R(sigma) = sigma/2 (Phi^-1(E_A) - Phi^-1(E_B)), E being the mean of the softmax outputs over
    ``samples`` fresh noisy copies. See :func:`choose_sigmas` for many images at once.

    Yields:
        One :class:`SigmaStep` a step; the last one carries the chosen sigma.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.

    >>> from ddrs_core.data import load_dataset
    >>> from ddrs_core.models import load_model
    >>> f, (x, _) = load_model("digits-gaussian-0.50", "cpu"), load_dataset("digits")[58]
    >>> *_, last = ascend_sigma(f, x, sigma_0=0.5, steps=30)
    >>> last.step, last.chosen < 0.5
    (30, True)
    """
    config = AscentConfig(lr=lr, steps=steps, samples=samples, clamp=clamp, bounds=bounds)
    return choose_sigma(f, x, sigma_0, config, seed=seed, index=index)


def _share_of_lr(step: int, steps: int, final: float) -> float:
    along = (step - 1) / max(1, steps - 1)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * along))
