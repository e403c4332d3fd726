"""Sigma by gradient ascent on the radius: Alfarra et al. (UAI 2022), Algorithm 1.

Presets with a guard go beyond the paper; those named after the authors do exactly what the
authors' code does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError, require_count, require_number
from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.parameters import parameter
from ddrs_core.quantities import counted
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.classifier import as_batch, as_forward
from ddrs_core.smoothing.confidence import Floats, check_sigma
from ddrs_core.smoothing.sigma.steps import (
    BETA,
    DEFAULT_BUDGET,
    GUARD,
    SigmaBatch,
    SigmaStep,
    check_bounds,
    select_by_validation,
    sigma_bounds,
)


@dataclass(frozen=True)
class AscentConfig:
    """Parameters of Algorithm 1 and of what we add to it (neutral by default)."""

    lr: float = parameter(
        0.02,
        "step size: sigma moves by lr times the gradient of R",
        "Step size lr",
        low=1e-6,
        high=10.0,
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
        0.001, "probabilities are kept in [c, 1 - c]", "Clamp c", low=1e-6, high=0.49, step=0.001
    )
    bounds: tuple[float, float] = sigma_bounds(0.01, 2.0)
    final_lr: float = parameter(
        1.0,
        "the step size falls to this share of lr, along a cosine",
        "Final step size",
        low=1e-3,
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
    beta: float = parameter(1.0, BETA, "Sharpness beta", low=0.1, high=100.0, step=1.0)
    guard: int = parameter(0, GUARD, "Guard votes", low=0, high=100_000, step=100)

    @property
    def averaged(self) -> int:
        """How many of the last iterates are averaged."""
        return max(1, round(self.average * self.steps))

    def check(self) -> AscentConfig:
        """Raises InvalidParameterError if a parameter makes no sense."""
        require_number("lr (step size)", self.lr, above=0.0)
        require_count("steps (K)", self.steps, at_most=20_000)
        require_count("samples (n)", self.samples, at_most=10_000)
        require_number("clamp (c)", self.clamp, above=0.0, below=0.5)
        require_number("final lr", self.final_lr, above=0.0, below=1.0 + 1e-9)
        require_number("beta (sharpness)", self.beta, above=0.0, below=1e3)
        require_number("average", self.average, above=-1e-9, below=1.0 + 1e-9)
        require_count("guard", self.guard, at_least=0, at_most=100_000)
        check_bounds(self.bounds)
        return self


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
    ``samples`` fresh noisy copies. See :func:`ascend_sigmas` for many images at once.

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
    batches = ascend_sigmas(f, as_batch(x), [sigma_0], config, seed=seed, indices=[index])
    return (batch.one(0) for batch in batches)


def ascend_sigmas(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    images: Tensor,
    sigma_0: Sequence[float] | Tensor,
    config: AscentConfig,
    *,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    budget: CertificationBudget | None = None,
) -> Iterator[SigmaBatch]:
    """Algorithm 1 for M images at once, each with its own sigma and its own noise.

    Args:
        f: base classifier [B, C, H, W] in [0, 1] -> logits [B, K], or its fast forward pass.
        images: [M, C, H, W].
        sigma_0: start of each image, [M]; not changed.
        config: parameters.
        seed: run seed.
        indices: image numbers, which select the noise; 0 to M - 1 when omitted.
        budget: the certification that the guard, if any, chooses for.

    Yields:
        One :class:`SigmaBatch` a step; the last one carries the chosen sigmas.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.
    """
    config.check()
    forward = as_forward(f)
    start, numbers = check_batch(forward, images, sigma_0, indices)
    return _ascend(forward, images, start, config, seed, numbers, budget or DEFAULT_BUDGET)


def check_batch(
    forward: NoisyForward,
    images: Tensor,
    sigma_0: Sequence[float] | Tensor,
    indices: Sequence[int] | None,
) -> tuple[Floats, list[int]]:
    """Check images [M, C, H, W] with their starts; returns copies of sigma_0 [M] and indices.

    Raises:
        InvalidParameterError, MismatchError: if a number makes no sense or lengths differ.
    """
    forward.check_images(images)
    start = np.array([check_sigma(float(s)) for s in sigma_0])  # a copy, [M]
    numbers = list(range(len(images))) if indices is None else [int(i) for i in indices]
    if not len(images) == len(start) == len(numbers):
        raise InvalidParameterError(
            f"{counted(len(images), 'image')} with as many sigmas and indices go together, not "
            f"with {len(start)} and {len(numbers)}."
        )
    return start, numbers


def _ascend(
    forward: NoisyForward,
    images: Tensor,
    start: Floats,
    config: AscentConfig,
    seed: int,
    indices: list[int],
    budget: CertificationBudget,
) -> Iterator[SigmaBatch]:
    low, high = config.bounds
    generators = [noise_generator(seed, i, "sigma", forward.device) for i in indices]
    with torch.inference_mode(False):  # whatever mode the consumer is in
        images = images.to(forward.device, torch.float32)
        sigma = torch.from_numpy(start).to(forward.device).clamp(low, high)  # [M], float64
        shape = (len(images), config.samples, *images.shape[1:])
        noise = torch.empty(shape, device=forward.device)
        total = torch.zeros_like(sigma)
    for step in range(1, config.steps + 1):
        with torch.inference_mode(False):
            for i, generator in enumerate(generators):
                noise[i].normal_(generator=generator)
            value = soft_radius(forward, images, sigma, noise, config.clamp, config.beta)
            lr = config.lr * _share_of_lr(step, config.steps, config.final_lr)
            moved = (sigma + lr * value.slope).clamp(low, high)
            numbers = torch.stack([sigma, value.radius, value.slope, value.p_a, value.p_b])
            if step > config.steps - config.averaged:
                total += moved
        chosen: Floats | None = None
        reasons: tuple[str, ...] = ()
        if step == config.steps:
            found = (total / config.averaged).cpu().numpy()
            chosen, reasons = _settle(forward, images, start, found, config, seed, indices, budget)
        at, radius, slope, p_a, p_b = numbers.cpu().numpy()
        classes = value.prediction.cpu().numpy()
        yield SigmaBatch(step, config.steps, at, radius, slope, p_a, p_b, classes, chosen, reasons)
        sigma = moved


def _settle(
    forward: NoisyForward,
    images: Tensor,
    start: Floats,
    found: Floats,
    config: AscentConfig,
    seed: int,
    indices: list[int],
    budget: CertificationBudget,
) -> tuple[Floats, tuple[str, ...]]:
    if not config.guard:
        return found, tuple(_unguarded_reason(float(sigma), config) for sigma in found)
    start = start.clip(*config.bounds)
    shares = np.array(_GUARD_SHARES)[:, None]
    candidates = (start ** (1 - shares) * found**shares).clip(*config.bounds)
    return select_by_validation(
        forward, images, start, candidates, config.guard, budget, seed, indices
    )


def _unguarded_reason(sigma: float, config: AscentConfig) -> str:
    averaged = config.averaged
    if averaged > 1:
        said = f"The average of the last {averaged} of {counted(config.steps, 'iterate')}"
    else:
        said = f"The last of {counted(config.steps, 'iterate')}, as in the paper's Algorithm 1"
    for name, bound in zip(("smallest", "largest"), config.bounds, strict=True):
        if sigma == bound:
            said += f", at the {name} noise level allowed"
    return f"{said}; no votes compared it with other noise levels."


_GUARD_SHARES = (0.5, 1.0, 1.5)  # of the way from sigma_0 to the average, on a logarithmic scale


@dataclass(frozen=True)
class SoftRadius:
    """R(sigma) of the mean softmax, with its slope; tensors [M], float64."""

    radius: Tensor
    slope: Tensor
    p_a: Tensor
    p_b: Tensor
    prediction: Tensor


def soft_radius(
    forward: NoisyForward,
    images: Tensor,
    sigma: Tensor,
    noise: Tensor,
    clamp: float,
    beta: float = 1.0,
) -> SoftRadius:
    """R = sigma/2 (Phi^-1(E_A) - Phi^-1(E_B)) and dR/dsigma with the given noise.

    E_A >= E_B are the two largest entries of the mean softmax over the noisy copies, clamped to
    [clamp, 1 - clamp]. Images whose copies do not fit into one batch are taken in parts, and so
    are the copies of one image that do not fit into memory together.

    Args:
        images: [M, C, H, W].
        sigma: [M], float64.
        noise: [M, n, C, H, W].
        clamp: probabilities are kept this far from 0 and 1.
        beta: inverse temperature of the softmax; 1 in the paper.
    """

    def ask() -> list[Tensor]:
        value = _soft_radius(forward, images, sigma, noise, clamp, beta)
        return [getattr(value, name) for name in SoftRadius.__annotations__]

    return SoftRadius(*forward.remembered(sigma, ask))


def _soft_radius(
    forward: NoisyForward,
    images: Tensor,
    sigma: Tensor,
    noise: Tensor,
    clamp: float,
    beta: float,
) -> SoftRadius:
    copies = noise.shape[1]
    size = max(forward.batch_size(images.shape[1:]), _GRADIENT_ROWS_MIN)
    a_part = max(1, size // copies)
    parts = []
    for i in range(0, len(images), a_part):
        rows = slice(i, i + a_part)
        work = partial(
            soft_radius_of, forward.logits, images[rows], sigma[rows], noise[rows], clamp, beta
        )
        parts.append(forward.with_gradient_memory(len(images[rows]) * copies, work))
    if len(parts) == 1:
        return parts[0]
    return SoftRadius(
        *(torch.cat([getattr(p, name) for p in parts]) for name in SoftRadius.__annotations__)
    )


_GRADIENT_ROWS_MIN = 16


def soft_radius_of(
    f: Callable[[Tensor], Tensor],
    images: Tensor,
    sigma: Tensor,
    noise: Tensor,
    clamp: float,
    beta: float = 1.0,
) -> SoftRadius:
    """:func:`soft_radius` in one piece, of anything that gives logits [B, K]."""
    m, n = noise.shape[:2]
    with torch.enable_grad():
        s = sigma.detach().clone().requires_grad_(True)
        noisy = torch.addcmul(
            images[:, None], s.to(noise.dtype).view(m, 1, 1, 1, 1), noise
        )  # [M, n, C, H, W]
        logits = f(noisy.flatten(0, 1))
        probabilities = (beta * logits).softmax(1).view(m, n, -1)
        top, classes = probabilities.double().mean(1).topk(2, dim=1)  # [M, 2]
        clamped = top.clamp(clamp, 1 - clamp)
        gap = torch.special.ndtri(clamped[:, 0]) - torch.special.ndtri(clamped[:, 1])
        radius = s / 2 * gap
        (slope,) = torch.autograd.grad(radius.sum(), s)
    top = top.detach()
    slope = slope.nan_to_num(0.0, 0.0, 0.0)  # logits that overflowed: sigma stays where it is
    return SoftRadius(radius.detach(), slope, top[:, 0], top[:, 1], classes[:, 0])


def _share_of_lr(step: int, steps: int, final: float) -> float:
    along = (step - 1) / max(1, steps - 1)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * along))
