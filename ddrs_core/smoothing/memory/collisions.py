"""Where certified balls of different class meet: among given certificates, and on the way from one
image to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ddrs_core.errors import InvalidParameterError, MismatchError, require_count
from ddrs_core.parameters import Configuration, described
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import Certificate
from ddrs_core.smoothing.classifier import SmoothedClassifier, as_batch
from ddrs_core.smoothing.grade import Grade
from ddrs_core.smoothing.memory.arrival_order import Distances, KnownPointsMemory, check_claims
from ddrs_core.smoothing.memory.directed_rounding import sub_downward
from ddrs_core.smoothing.memory.distance import Distance
from ddrs_core.smoothing.memory.rules import Ball, Settlement, overlap
from ddrs_core.smoothing.sigma.base import StrategyConfig, choose_sigmas
from ddrs_core.smoothing.sigma.steps import DEFAULT_BUDGET


@dataclass(frozen=True)
class Pair:
    """Two certified balls of different class."""

    first: int  # their positions among the certificates
    second: int
    distance: Distance
    gap: float  # distance minus both radii, rounded down; negative where the balls overlap
    overlaps: bool  # False proves that they do not

    @property
    def depth(self) -> float:
        """How far the balls reach into each other; 0 where they do not."""
        return max(0.0, -self.gap)


def find_collisions(
    known: Distances, predictions: Sequence[int], radii: Sequence[float], *, within: float = 0.0
) -> list[Pair]:
    """All pairs of different class whose balls overlap, the deepest overlap first.

    Args:
        known: distances of the m images.
        predictions: certified classes [m]; abstentions have no ball.
        radii: certified radii [m].
        within: also pairs whose gap is at most this large; ``math.inf`` for all pairs.

    Raises:
        InvalidParameterError: if lengths differ, or a class and its radius contradict each other.
    """
    claimed = zip(*check_claims(known, predictions, radii), strict=True)
    balls = [Ball(i, prediction, radius) for i, (prediction, radius) in enumerate(claimed)]
    classes = np.array([ball.prediction for ball in balls], dtype=np.int64)
    held = np.array([ball.radius for ball in balls], dtype=np.float64)
    found = []
    for i in np.flatnonzero(classes >= 0).tolist():
        together = np.nextafter(held[i] + held, np.inf) + within
        differs = (classes != classes[i]) & (classes >= 0)
        near = differs & (known.low[i] <= together)
        near[: i + 1] = False
        for j in np.flatnonzero(near).tolist():
            apart = known.of(i, j)
            gap = sub_downward(sub_downward(apart.low, balls[i].radius), balls[j].radius)
            found.append(Pair(i, j, apart, gap, overlap(balls[i], balls[j], apart)))
    found = [pair for pair in found if pair.overlaps or pair.gap <= within]
    return sorted(found, key=lambda pair: (pair.gap, pair.first, pair.second))


@dataclass(frozen=True)
class WalkConfig(Configuration):
    """How to certify on the way from one image to another."""

    sigma_0: float = field(metadata=described("start of the strategy", above=0.0, below=100.0))
    strategy: StrategyConfig | None = None  # None: sigma_0 for all
    budget: CertificationBudget = DEFAULT_BUDGET  # of each point

    @property
    def grade(self) -> Grade:
        """What the certificates are worth before they are settled."""
        return Grade.UNCONDITIONAL if self.strategy is None else Grade.CONDITIONAL


@dataclass(frozen=True)
class WalkPoint:
    """A point on the way, its certificate, and what the memory of the points before makes of it.

    The certificate's ``index`` is the number of the point, which selects its noise.
    """

    t: float  # 0 at the first image, 1 at the second
    image: Tensor  # [C, H, W]
    certificate: Certificate
    settlement: Settlement


@dataclass(frozen=True)
class WalkProgress:
    """Progress; ``point`` is set when one has been settled."""

    done: int  # points
    total: int
    point: WalkPoint | None = None


def from_left_to_right(points: int) -> tuple[float, ...]:
    """Evenly spaced t from 0 to 1."""
    count = require_count("points", points, at_least=2, at_most=10_000)
    return tuple(i / (count - 1) for i in range(count))


def from_both_ends(points: int) -> tuple[float, ...]:
    """The same t, from both ends to the middle, where the balls of both sides meet."""
    ts = from_left_to_right(points)
    return tuple(ts[-(i // 2) - 1] if i % 2 else ts[i // 2] for i in range(len(ts)))


def walk(
    smoothed: SmoothedClassifier,
    first: Tensor,
    second: Tensor,
    ts: Sequence[float],
    config: WalkConfig,
) -> Iterator[WalkProgress]:
    """Certify points on the segment between two images; each is settled into one memory.

    Args:
        smoothed: the classifier.
        first, second: images [C, H, W] with pixels in [0, 1].
        ts: where, from 0 (first) to 1 (second), in the order of arrival.
        config: how every point is certified.

    Yields:
        :class:`WalkProgress`, one with a point for each t.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.
    """
    config.check()
    if first.shape != second.shape:
        raise MismatchError(
            f"Both images must have one shape, not {list(first.shape)} and {list(second.shape)}."
        )
    if not ts or not all(0 <= t <= 1 for t in ts):
        raise InvalidParameterError("The points of a walk lie at t from 0 to 1.")
    smoothed.forward.check_images(torch.cat([as_batch(first), as_batch(second)]))
    return _walk(smoothed, _between(first, second, ts), [float(t) for t in ts], config)


def _between(first: Tensor, second: Tensor, ts: Sequence[float]) -> Tensor:
    """Images [M, C, H, W] on the segment; rounding keeps them in the range of pixels."""
    a, b = first.to("cpu", torch.float64), second.to("cpu", torch.float64)
    return torch.stack([(1 - t) * a + t * b for t in ts]).to(torch.float32).clamp(0.0, 1.0)


def _walk(
    smoothed: SmoothedClassifier, images: Tensor, ts: list[float], config: WalkConfig
) -> Iterator[WalkProgress]:
    total = len(ts)
    sigmas = [config.sigma_0] * total
    if config.strategy is not None:
        for batch in choose_sigmas(
            smoothed.forward,
            images,
            sigmas,
            config.strategy,
            seed=config.budget.seed,
            budget=config.budget,
        ):
            if batch.chosen is not None:
                sigmas = [float(s) for s in batch.chosen]
            yield WalkProgress(0, total)
    memory = KnownPointsMemory(Distances.between(images.numpy()))
    for row in range(total):
        for step in smoothed.certify_steps(
            images[row], sigma=sigmas[row], budget=config.budget, grade=config.grade, index=row
        ):
            if step.certificate is None:
                yield WalkProgress(row, total)
                continue
            settlement = memory.add(row, step.certificate.prediction, step.certificate.radius)
            point = WalkPoint(ts[row], images[row], step.certificate, settlement)
            yield WalkProgress(row + 1, total, point)
