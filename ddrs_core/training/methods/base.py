"""What a training method is given: one batch of images, and the network that is trained on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor


class Learner(Protocol):
    """The network that is being trained, seen in its two ways."""

    def logits(self, x: Tensor) -> Tensor:
        """Logits [B, K] in float32 of [B, C, H, W], as training sees them: gradients reach the
        weights, and batch-norm uses and stores the batch's statistics."""
        ...

    def frozen_logits(self, x: Tensor) -> Tensor:
        """Logits [B, K] in float32, as certification will see them: eval mode, so that no
        statistics move; differentiable in ``x``."""
        ...


@dataclass(frozen=True)
class Batch:
    """Images of one step of the weights."""

    images: Tensor  # [B, C, H, W] in [0, 1]
    labels: Tensor  # [B], int64
    sigma: Tensor  # [B], float32, the noise level of each image
    epoch: float  # epochs since the start, 0.5 in the middle of the first
    draw: Callable[[int], Tensor]  # n -> fresh standard normal noise [B, n, C, H, W]

    def noisy(self, noise: Tensor, shift: Tensor | None = None) -> Tensor:
        """x + sigma * noise [B * n, C, H, W] for noise [B, n, C, H, W]; image-major.

        ``shift`` [B, C, H, W], if any, moves the images first.
        """
        images = self.images if shift is None else self.images + shift
        scale = self.sigma.view(-1, 1, 1, 1, 1)
        return torch.addcmul(images[:, None], scale, noise).flatten(0, 1)


@dataclass(frozen=True)
class Loss:
    """What one step minimises, with what it saw."""

    value: Tensor  # scalar, the mean over the batch
    logits: Tensor  # [B * n, K], detached, of the noisy images that the weights learn from

    def accuracy(self, labels: Tensor) -> Tensor:
        """Share of the noisy images that were right, as a scalar on the device."""
        copies = len(self.logits) // len(labels)
        return (self.logits.argmax(1) == labels.repeat_interleave(copies)).float().mean()


class TrainingMethod(Protocol):
    """One way of training; its fields are its hyper-parameters, as published by default."""

    name: ClassVar[str]  # as on the command line and in the names of models
    title: ClassVar[str]  # for people, with the source
    summary: ClassVar[str]  # what it does, in a sentence

    @property
    def passes(self) -> int:
        """Forward and backward passes for each image and epoch."""
        ...

    def check(self) -> Self:
        """Raises InvalidParameterError if a hyper-parameter makes no sense."""
        ...

    def loss(self, learner: Learner, batch: Batch) -> Loss: ...
