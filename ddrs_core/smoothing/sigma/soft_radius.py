"""The radius of the mean softmax and its gradient in sigma (Alfarra et al., UAI 2022)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ddrs_core.models import NoisyForward

_GRADIENT_ROWS_MIN = 16


@dataclass(frozen=True)
class SoftRadius:
    """R(sigma) of the mean softmax, with its gradient; tensors [M], float64."""

    radius: Tensor
    gradient: Tensor
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
    forward: NoisyForward, images: Tensor, sigma: Tensor, noise: Tensor, clamp: float, beta: float
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
        scale = s.to(noise.dtype).view(m, 1, 1, 1, 1)
        noisy = torch.addcmul(images[:, None], scale, noise)  # [M, n, C, H, W]
        logits = f(noisy.flatten(0, 1))
        probabilities = (beta * logits).softmax(1).view(m, n, -1)
        top, classes = probabilities.double().mean(1).topk(2, dim=1)  # [M, 2]
        clamped = top.clamp(clamp, 1 - clamp)
        gap = torch.special.ndtri(clamped[:, 0]) - torch.special.ndtri(clamped[:, 1])
        radius = s / 2 * gap
        (gradient,) = torch.autograd.grad(radius.sum(), s)
    top = top.detach()
    gradient = gradient.nan_to_num(0.0, 0.0, 0.0)  # logits that overflowed: sigma stays where it is
    return SoftRadius(radius.detach(), gradient, top[:, 0], top[:, 1], classes[:, 0])
