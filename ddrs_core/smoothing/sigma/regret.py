"""How much radius an image loses at its noise level: fresh votes compare it with others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import most_of_others
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.sigma.guard import expected_radius
from ddrs_core.smoothing.sigma.radius_curve import estimated_radii


@dataclass(frozen=True)
class LevelReview:
    """The radius of one class at one image's own noise level, and at the best of some levels.

    Radii are those that a certification would probably prove; the votes are fresh, and prove
    nothing themselves.
    """

    sigma: float
    radius: float
    best_sigma: float
    best_radius: float
    apart: bool  # 95 % intervals of the two radii do not overlap
    levels: tuple[float, ...] = ()  # all that were compared, ascending, with their radii
    radii: tuple[float, ...] = ()

    @property
    def regret(self) -> float:
        """The share of the best radius that is lost at the image's own level; 0 without one."""
        return 1 - self.radius / self.best_radius if self.best_radius > 0 else 0.0


@dataclass(frozen=True)
class ReviewStep:
    """A sign of life; the last one holds the reviews [M]."""

    done: int
    total: int
    reviews: tuple[LevelReview, ...] = ()


def review_levels(
    forward: NoisyForward,
    images: Tensor,
    *,
    classes: Sequence[int],
    sigmas: Sequence[float],
    levels: Sequence[float] | Floats,
    budget: CertificationBudget,
    votes: int = 1_000,
    indices: Sequence[int] | None = None,
) -> Iterator[ReviewStep]:
    """Compare the noise level of each image with others.

    All levels of an image see the same noise vectors, so they differ by the level alone.

    Args:
        images: [M, C, H, W].
        classes: the class of each image whose radius counts, [M].
        sigmas: the noise level of each image, [M].
        levels: those to compare with, [J].
        budget: of the certification whose radius is meant; its seed and the indices (0 to M - 1
            when omitted) determine the noise.
        votes: at each level.

    Yields:
        :class:`ReviewStep`, one a level.
    """
    numbers = list(range(len(images))) if indices is None else list(indices)
    own, rows = np.array([float(s) for s in sigmas]), np.arange(len(images))
    tried = np.stack([own, *(np.full(len(own), float(s)) for s in levels)])  # [J + 1, M]
    held: NDArray[np.int64] = np.zeros(tried.shape, dtype=np.int64)
    other = np.zeros_like(held)
    for number, level in enumerate(tried):
        generators = [
            noise_generator(budget.seed, index, "review", forward.device) for index in numbers
        ]
        counts = forward.votes(images, torch.from_numpy(level), votes, generators)
        held[number] = counts[rows, np.asarray(classes)]
        other[number] = most_of_others(counts)[rows, np.asarray(classes)]
        yield ReviewStep(number + 1, len(tried) + 1)
    expected = expected_radius(held, other, votes, tried, budget)
    best = expected.argmax(axis=0)  # the image's own level wins a tie
    _, low, high = estimated_radii(tried, held, other, np.full(tried.shape, votes), budget.bound)
    order = tried.argsort(axis=0, kind="stable")
    reviews = tuple(
        LevelReview(
            sigma=float(own[i]),
            radius=float(expected[0, i]),
            best_sigma=float(tried[best[i], i]),
            best_radius=float(expected[best[i], i]),
            apart=bool(low[best[i], i] > high[0, i]),
            levels=tuple(float(s) for s in tried[order[:, i], i]),
            radii=tuple(float(r) for r in expected[order[:, i], i]),
        )
        for i in rows
    )
    yield ReviewStep(len(tried) + 1, len(tried) + 1, reviews)
