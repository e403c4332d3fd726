"""MACER: maximise the certified radius directly, without an attack (Zhai et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ddrs_core.parameters import Configuration, parameter
from ddrs_core.training.methods.base import Batch, Learner, Loss

_FLOOR = 1e-10  # probabilities are kept this far from 0 and 1; the hinge is shut long before


@dataclass(frozen=True)
class Macer(Configuration):
    """Hyper-parameters, as published for CIFAR-10 at sigma 0.25."""

    name: ClassVar[str] = "macer"
    title: ClassVar[str] = "MACER (Zhai et al. 2020)"
    summary: ClassVar[str] = (
        "Raises the radius itself: learns from k noisy copies of each image, without attack."
    )

    copies: int = parameter(16, "noisy copies k of an image", "Noisy copies", low=1, high=1000)
    robustness_weight: float = parameter(
        12.0, "lambda, of the robustness loss", "Weight lambda", low=0.0
    )
    gamma: float = parameter(
        8.0, "of the hinge, on the gap Phi^-1(E_A) - Phi^-1(E_B)", above=0.0, below=100.0
    )
    beta: float = parameter(
        16.0, "sharpness of the softmax in the robustness loss", above=0.0, below=1e4
    )

    @property
    def passes(self) -> int:
        """Forward and backward passes for each image and epoch."""
        return self.copies

    def loss(self, learner: Learner, batch: Batch) -> Loss:
        """Cross-entropy of the mean softmax, and the hinge on the gap of the right ones."""
        logits = learner.logits(batch.noisy(batch.draw(self.copies)))
        return Loss(self.objective(logits, batch.labels, batch.sigma), logits.detach())

    def objective(self, logits: Tensor, labels: Tensor, sigma: Tensor) -> Tensor:
        """Zhai et al., equation 14: the sum over images divided by B, from logits [B * k, K].

        CE(mean softmax) + lambda * sigma_x / 2 * max(0, gamma - gap) where the image is right,
        with the gap between the two largest entries of the mean of softmax(beta * logits).
        """
        logits = logits.view(len(labels), -1, logits.shape[1])  # [B, k, K]
        log_mean = logits.log_softmax(2).logsumexp(1) - torch.log(torch.tensor(logits.shape[1]))
        classification = F.nll_loss(log_mean, labels)
        sharp = (self.beta * logits).double().softmax(2).mean(1)  # [B, K], float64 for the tails
        top, classes = sharp.topk(2, dim=1)
        score = torch.special.ndtri(top.clamp(_FLOOR, 1 - _FLOOR))
        hinge = (self.gamma - (score[:, 0] - score[:, 1])).clamp_min(0.0)
        right = classes[:, 0] == labels
        robustness = (right * sigma / 2 * hinge).sum() / len(labels)
        return classification + self.robustness_weight * robustness.to(classification.dtype)
