"""The slope that leads an image towards another class of the smoothed classifier (as in SmoothAdv,
Salman et al. 2019: the attack is on the mean softmax, not on the network).
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from ddrs_core.models import NoisyForward

_TINY = 1e-12


def margin_gradient(
    forward: NoisyForward, points: Tensor, levels: Tensor, noise: Tensor, held: int
) -> tuple[Tensor, Tensor]:
    """Slope [M, C, H, W] of the gain of the strongest other class k over the held one c,

        sum over two noise levels of log E_k - log E_c,

    E being the mean softmax over noisy copies; and E_k [M] at the first level.

    Args:
        points: [M, C, H, W].
        levels: two noise levels for each point, [M, 2].
        noise: [2, n, C, H, W].
    """
    images, shared = points.to(forward.device), noise.to(forward.device)
    scale = levels.to(forward.device, torch.float32).view(-1, 2, 1, 1, 1, 1)
    copies = 2 * noise.shape[1]
    rows = max(1, _ROWS // copies)
    slopes, others = [], []
    for start in range(0, len(images), rows):
        part = slice(start, start + rows)
        work = partial(_slope_of, forward, images[part], scale[part], shared, held)
        slope, other = forward.with_gradient_memory(len(images[part]) * copies, work)
        slopes.append(slope.cpu())
        others.append(other.cpu())
    return torch.cat(slopes), torch.cat(others)


_ROWS = 1024  # noisy copies that are differentiated at once


def _slope_of(
    forward: NoisyForward, images: Tensor, scale: Tensor, noise: Tensor, held: int
) -> tuple[Tensor, Tensor]:
    m, n = len(images), noise.shape[1]
    with torch.inference_mode(False), torch.enable_grad():
        leaf = images.clone().requires_grad_(True)
        noisy = (leaf[:, None, None] + scale * noise).flatten(0, 2)  # [M * 2 * n, C, H, W]
        mean = forward.logits(noisy).softmax(1).view(m, 2, n, -1).mean(2)  # [M, 2, K]
        logs = mean.clamp_min(_TINY).log().sum(1)  # [M, K]
        others = logs.clone()
        others[:, held] = -math.inf
        best = others.max(1)
        (slope,) = torch.autograd.grad((best.values - logs[:, held]).sum(), leaf)
        share = mean.detach()[torch.arange(m), 0, best.indices]
    return slope.nan_to_num(0.0, 0.0, 0.0), share
