"""The votes along a straight line between two images: where the answer changes, and how sharply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddrs_core.errors import require_count
from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.smoothing.confidence import check_sigma


@dataclass(frozen=True)
class SegmentVotes:
    """Votes at the points so far, from the first image on."""

    positions: tuple[float, ...]  # share of the way, 0 to 1
    counts: tuple[tuple[int, ...], ...]  # [points, K]
    points: int  # in the end


def votes_on_segment(
    forward: NoisyForward,
    first: Tensor,
    second: Tensor,
    *,
    sigma: float,
    points: int = 11,
    votes: int = 500,
    seed: int = 0,
    index: int = 0,
) -> Iterator[SegmentVotes]:
    """Count votes from one image to another; all points see the same noise vectors.

    Args:
        first, second: images [C, H, W].
        sigma: the noise level at every point.
        points: evenly spaced, the two images among them.
        votes: at each point.
        seed, index: determine the noise.

    Yields:
        :class:`SegmentVotes`, one a point.

    Raises:
        InvalidParameterError: for numbers that make no sense.
    """
    require_count("points", points, at_least=2)
    level = torch.tensor([check_sigma(sigma)])
    positions = [float(t) for t in np.linspace(0, 1, points)]
    found: list[tuple[int, ...]] = []
    for t in positions:
        image = torch.lerp(first.float().cpu(), second.float().cpu(), t)
        noise = [noise_generator(seed, index, "segment", forward.device)]
        counted = forward.votes(image.unsqueeze(0), level, votes, noise)[0]
        found.append(tuple(int(v) for v in counted))
        yield SegmentVotes(tuple(positions[: len(found)]), tuple(found), points)
