"""Data-dependent training: every training image has its own noise level.

Alfarra et al. 2022, section 4.3: before each step of the weights, K steps of Algorithm 1 move the
sigmas of the batch's images, starting where the last epoch left them. All methods share this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddrs_core.parameters import Configuration, parameter
from ddrs_core.smoothing.sigma.soft_radius import soft_radius_of
from ddrs_core.smoothing.sigma.steps import BETA, sigma_bounds
from ddrs_core.training.methods.base import Batch, Learner


@dataclass(frozen=True)
class SigmaTraining(Configuration):
    """How the sigmas of the training images move."""

    steps: int = parameter(
        1, "steps K at each visit of an image", "Sigma steps K", low=1, high=1000
    )
    samples: int = parameter(4, "noisy copies n a step", "Sigma copies n", low=1, high=1000)
    lr: float = parameter(0.02, "step size on sigma", "Sigma step size", above=0.0, below=100.0)
    start: float = parameter(
        0.0, "epochs E_s before the sigmas begin to move", "Sigma start", low=0.0
    )
    clamp: float = parameter(
        0.02, "probabilities are kept in [c, 1 - c]", "Sigma clamp c", above=0.0, below=0.5
    )
    beta: float = parameter(1.0, BETA, "Sigma sharpness", above=0.0, below=1e3)
    bounds: tuple[float, float] = sigma_bounds(0.1, 1.0)

    @property
    def passes(self) -> int:
        """Forward and backward passes for each image and epoch."""
        return self.steps * self.samples


_BINS = 45  # of the histogram
_MOST = 16  # images that moved most
_ROUNDING = 1e-6  # a visit passes a sigma through float32


@dataclass(frozen=True)
class SigmaSummary:
    """The noise levels of all training images after an epoch."""

    mean: float
    edges: tuple[float, ...]  # [H + 1], of the histogram; the same in all epochs
    counts: tuple[int, ...]  # [H]
    moved: tuple[tuple[int, float], ...]  # (image, sigma): the smallest and the largest ones


class ImageSigmas:
    """The noise level of every training image, [M] in float64, carried from epoch to epoch.

    Args:
        config: how they move.
        images: number of training images M.
        sigma_0: where all of them start.
        device: where they lie.
    """

    def __init__(
        self, config: SigmaTraining, images: int, sigma_0: float, device: torch.device
    ) -> None:
        self.config = config
        self.values = torch.full((images,), sigma_0, dtype=torch.float64, device=device)

    def moved(self, learner: Learner, batch: Batch) -> Tensor:
        """The sigmas [B] of a batch's images after K steps of Algorithm 1; nothing is stored.

        The network is looked at in eval mode and its weights get no gradient.
        """
        config = self.config
        sigma = batch.sigma.double()
        if batch.epoch < config.start:
            return sigma
        for _ in range(config.steps):
            found = soft_radius_of(
                learner.frozen_logits,
                batch.images,
                sigma,
                batch.draw(config.samples),
                config.clamp,
                config.beta,
            )
            sigma = (sigma + config.lr * found.gradient).clamp(*config.bounds)
        return sigma

    def summary(self, sigma_0: float) -> SigmaSummary:
        """Mean, histogram on fixed edges, and the images whose sigma moved most."""
        values = self.values.cpu().numpy()
        low, high = self.config.bounds
        edges = np.linspace(low, high, _BINS + 1)
        counts = np.histogram(values.clip(low, high), edges)[0]
        order = np.argsort(values, kind="stable")
        ends = [*order[: _MOST // 2], *order[::-1][: _MOST // 2]]
        moved = {int(i): float(values[i]) for i in ends if abs(values[i] - sigma_0) > _ROUNDING}
        return SigmaSummary(
            float(values.mean()),
            tuple(float(e) for e in edges),
            tuple(int(c) for c in counts),
            tuple(moved.items()),
        )
