"""The gradient of the margin of the soft smoothed classifier, the mean softmax over noisy copies.

Attacks follow it (Salman et al., "Provably Robust Deep Learning via Adversarially Trained Smoothed
Classifiers", 2019, section 2).
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from ddrs_core.models import NoisyForward

_TINY = 1e-12
_ROWS = 1024  # noisy copies that are differentiated at once


def margin_gradient(
    forward: NoisyForward, points: Tensor, levels: Tensor, noise: Tensor, held: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradient [M, C, H, W] of the gain of the strongest other class k over the held one c,

        sum over noise levels of log E_k - log E_c,

    E being the mean softmax over noisy copies; and E_k [M] at the first level.

    Args:
        points: [M, C, H, W].
        levels: L noise levels for each point, [M, L].
        noise: [L, n, C, H, W].
        held: the class of each point, [M].
    """
    images, shared = points.to(forward.device), noise.to(forward.device)
    scale = levels.to(forward.device, torch.float32)[..., None, None, None, None]
    classes, copies = held.to(forward.device), noise.shape[0] * noise.shape[1]
    rows = max(1, _ROWS // copies)
    gradients, others = [], []
    for start in range(0, len(images), rows):
        part = slice(start, start + rows)
        work = partial(_gradient_of, forward, images[part], scale[part], shared, classes[part])
        gradient, other = forward.with_gradient_memory(len(images[part]) * copies, work)
        gradients.append(gradient.cpu())
        others.append(other.cpu())
    return torch.cat(gradients), torch.cat(others)


def _gradient_of(
    forward: NoisyForward, images: Tensor, scale: Tensor, noise: Tensor, held: Tensor
) -> tuple[Tensor, Tensor]:
    m, (levels, n) = len(images), noise.shape[:2]
    rows = torch.arange(m, device=images.device)
    with torch.inference_mode(False), torch.enable_grad():
        leaf = images.clone().requires_grad_(True)
        noisy = (leaf[:, None, None] + scale * noise).flatten(0, 2)  # [M * L * n, C, H, W]
        mean = forward.logits(noisy).softmax(1).view(m, levels, n, -1).mean(2)  # [M, L, K]
        logs = mean.clamp_min(_TINY).log().sum(1)  # [M, K]
        others = logs.index_put((rows, held), torch.tensor(-math.inf, device=images.device))
        best = others.max(1)
        (gradient,) = torch.autograd.grad((best.values - logs[rows, held]).sum(), leaf)
        share = mean.detach()[rows, 0, best.indices]
    return gradient.nan_to_num(0.0, 0.0, 0.0), share


def nearest_inside(points: Tensor, base: Tensor, radii: Tensor | float) -> Tensor:
    """The nearest points [..., C, H, W] inside balls around ``base`` and the pixel range: clamping
    pixels to a range that holds the centre brings no point farther from it."""
    ways = points - base
    norms = ways.flatten(-3).norm(dim=-1).clamp_min(_TINY)
    return (base + ways * (radii / norms).clamp_max(1.0)[..., None, None, None]).clamp(0.0, 1.0)
