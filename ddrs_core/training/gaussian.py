"""Gaussian augmentation: cross-entropy on x + sigma * eps (Cohen et al. 2019, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def gaussian_loss(
    f: nn.Module, images: Tensor, labels: Tensor, sigma: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Loss (scalar) and logits [B, K] on one noisy copy of each image [B, C, H, W]."""
    noise = torch.empty_like(images).normal_(generator=generator)
    logits = f(images + sigma * noise)
    return F.cross_entropy(logits, labels), logits
