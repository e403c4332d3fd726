"""Gaussian augmentation: cross-entropy on x + sigma * eps (Cohen et al. 2019, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch.nn import functional as F

from ddrs_core.parameters import Configuration
from ddrs_core.training.methods.base import Batch, Learner, Loss


@dataclass(frozen=True)
class Gaussian(Configuration):
    """One noisy copy of each image, and nothing to choose."""

    name: ClassVar[str] = "gaussian"
    title: ClassVar[str] = "Gaussian augmentation (Cohen et al. 2019)"
    summary: ClassVar[str] = "Learns from one noisy copy of each image."
    passes: ClassVar[int] = 1  # forward and backward, for each image and epoch

    def loss(self, learner: Learner, batch: Batch) -> Loss:
        """Cross-entropy of one noisy copy of each image."""
        logits = learner.logits(batch.noisy(batch.draw(1)))
        return Loss(F.cross_entropy(logits, batch.labels), logits.detach())
