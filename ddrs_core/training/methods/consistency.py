"""Consistency regularisation: one answer for all noisy copies of an image (Jeong and Shin 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from ddrs_core.parameters import Configuration, parameter
from ddrs_core.training.methods.base import Batch, Learner, Loss


@dataclass(frozen=True)
class Consistency(Configuration):
    """Hyper-parameters, as published for CIFAR-10 at sigma 0.5 and 1; lambda is 20 at 0.25."""

    name: ClassVar[str] = "consistency"
    title: ClassVar[str] = "Consistency (Jeong and Shin 2020)"
    summary: ClassVar[str] = (
        "Learns from m noisy copies of each image, and to give all of them the same answer."
    )

    copies: int = parameter(2, "noisy copies m of an image", "Noisy copies", low=2, high=1000)
    consistency_weight: float = parameter(
        10.0, "lambda, of the divergence between copies", "Weight lambda", low=0.0
    )
    entropy_weight: float = parameter(
        0.5, "eta, of the entropy of the mean prediction", "Weight eta", low=0.0
    )

    @property
    def passes(self) -> int:
        """Forward and backward passes for each image and epoch."""
        return self.copies

    def loss(self, learner: Learner, batch: Batch) -> Loss:
        """Cross-entropy of the copies, and how far their predictions are from one another."""
        logits = learner.logits(batch.noisy(batch.draw(self.copies)))
        return Loss(self.objective(logits, batch.labels), logits.detach())

    def objective(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Jeong and Shin, equation 6: the mean over images, from logits [B * m, K].

        CE + lambda * KL(mean softmax || softmax) + eta * entropy(mean softmax), where CE and KL are
        means over the m copies.
        """
        log_p = logits.log_softmax(1).view(len(labels), -1, logits.shape[1])  # [B, m, K]
        log_mean = log_p.logsumexp(1) - math.log(log_p.shape[1])  # [B, K]
        log_geometric = log_p.mean(1)
        classification = F.nll_loss(log_geometric, labels)
        mean = log_mean.exp()
        divergence = (mean * (log_mean - log_geometric)).sum(1).mean()
        entropy = -(mean * log_mean).sum(1).mean()
        return classification + self.consistency_weight * divergence + self.entropy_weight * entropy
