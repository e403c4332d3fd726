"""SmoothAdv: adversarial training of the smoothed classifier (Salman et al. 2019, section 3.1).

The attack is projected gradient descent in l2 on the *soft* smoothed classifier, the mean of the
softmax over noisy copies, and training uses the noise that the attack saw. As in the authors' code
the network is in eval mode while it is attacked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ddrs_core.parameters import Configuration, parameter
from ddrs_core.training.methods.base import Batch, Learner, Loss


@dataclass(frozen=True)
class SmoothAdv(Configuration):
    """Hyper-parameters, with defaults from the published CIFAR-10 models."""

    name: ClassVar[str] = "smoothadv"
    title: ClassVar[str] = "SmoothAdv (Salman et al. 2019)"
    summary: ClassVar[str] = (
        "Attacks the smoothed classifier with T gradient steps on m noisy copies, then learns from "
        "the attacked copies."
    )

    epsilon: float = parameter(
        64 / 255, "l2 radius of the attack", "Attack radius epsilon", above=0.0, below=100.0
    )
    attack_steps: int = parameter(10, "steps T of the attack", "Attack steps T", low=1, high=1000)
    copies: int = parameter(2, "noisy copies m of an image", "Noisy copies", low=1, high=1000)
    attack_warmup: float = parameter(
        10.0, "epochs over which epsilon grows", "Attack warm-up", low=0.0
    )

    @property
    def passes(self) -> int:
        """Forward and backward passes for each image and epoch."""
        return self.copies * (self.attack_steps + 1)

    def loss(self, learner: Learner, batch: Batch) -> Loss:
        """Cross-entropy of m noisy copies of the attacked image, averaged."""
        noise = batch.draw(self.copies)
        shift = self.attack(learner, batch, noise)
        logits = learner.logits(batch.noisy(noise, shift))
        labels = batch.labels.repeat_interleave(self.copies)
        return Loss(F.cross_entropy(logits, labels), logits.detach())

    def radius(self, epoch: float) -> float:
        """epsilon at ``epoch``, counted from 0: a whole epoch's share of the warm-up at a time."""
        return self.epsilon * min(1.0, (int(epoch) + 1) / max(self.attack_warmup, 1.0))

    def attack(self, learner: Learner, batch: Batch, noise: Tensor) -> Tensor:
        """The shift [B, C, H, W] of each image that raises the loss of the soft smoothed
        classifier: l2 norm at most :meth:`radius`, and the shifted pixels stay in [0, 1].

        ``noise`` [B, m, C, H, W] is standard normal.
        """
        images, radius = batch.images, self.radius(batch.epoch)
        step_size = 2 * radius / self.attack_steps
        shift = torch.zeros_like(images)
        for _ in range(self.attack_steps):
            shift = shift.detach().requires_grad_(True)
            with torch.enable_grad():
                logits = learner.frozen_logits(batch.noisy(noise, shift))
                loss = soft_smoothed_loss(logits, batch.labels, noise.shape[1]).sum()
            (slope,) = torch.autograd.grad(loss, shift)
            with torch.no_grad():
                length = slope.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                shift = shift + step_size * slope / length.clamp_min(1e-12)
                shift = _into_ball((images + shift).clamp(0, 1) - images, radius)
        return shift.detach()


def soft_smoothed_loss(logits: Tensor, labels: Tensor, copies: int) -> Tensor:
    """-log of the mean softmax at the label [B], from logits [B * m, K]: softmax, once; mean; log.

    Salman et al. 2019, equation (S).
    """
    log_p = logits.log_softmax(1).view(len(labels), copies, -1)
    log_mean = log_p.logsumexp(1) - torch.log(torch.tensor(float(copies)))
    return F.nll_loss(log_mean, labels, reduction="none")


def _into_ball(shift: Tensor, radius: float) -> Tensor:
    """Shorten each shift [B, C, H, W] to ``radius`` where it is longer; pixels that were in
    [0, 1] stay there, since x + shift moves towards x."""
    length = shift.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return shift * (radius / length.clamp_min(1e-12)).clamp(max=1.0)
