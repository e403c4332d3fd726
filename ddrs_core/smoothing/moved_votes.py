"""What a certificate covers: votes at its noise level as the image moves away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.models.inference.cost import affordable
from ddrs_core.smoothing.certificate import Certificate
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.margin_gradient import margin_gradient
from ddrs_core.smoothing.sigma.steps import Ints

WAYS = ("gradient", "random")
STEPS_IN_R = 8  # distances within the radius
_STEPS = 12  # up to 1.5 R
_ROUND, _SAMPLES, _SECONDS = 100, 1_000, 10.0
_COPIES = 64  # noisy copies that the gradient is the mean of
_WIDENED = (1, 2, 4)  # of sigma, where the softmax is so sure that the gradient vanishes
_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class MovedVotes:
    """Votes so far, for each way [W] and l2 distance [T]; the first distance is 0.

    The image at a distance is ``clamp(x + scale * direction)``, within [0, 1] and exactly that far
    from x, or as far as [0, 1] lets it go.
    """

    directions: Tensor  # [W, C, H, W], unit vectors
    scales: Floats  # [W, T]
    distances: Floats  # [T]
    counts: Ints  # [W, T, K]
    n: int  # votes at each so far


def moved_votes(
    forward: NoisyForward, x: Tensor, certificate: Certificate, *, seed: int = 0, index: int = 0
) -> Iterator[MovedVotes]:
    """Move an image out to 1.5 R, along the gradient towards the strongest other class and along a
    random direction, and count votes at the certificate's noise level on both ways.

    All points see the same noise vectors, so the votes change smoothly.

    Args:
        x: image [C, H, W].
        certificate: of this image, with a radius above 0.
        seed, index: of the noise, which is its own.

    Yields:
        The votes so far, after every hundred.
    """
    held = torch.tensor([certificate.prediction])
    noise = torch.empty((1, _COPIES, *x.shape))
    noise.normal_(generator=noise_generator(seed, index, "moved gradient"))
    gradient = noise[0, 0]
    for factor in _WIDENED:
        levels = torch.tensor([[factor * certificate.sigma]])
        gradient, _ = margin_gradient(forward, x[None], levels, noise, held)
        if gradient.norm() > 0:
            break
    chance = torch.empty(x.shape).normal_(generator=noise_generator(seed, index, "moved random"))
    directions = torch.stack([_unit(gradient.view(x.shape)), _unit(chance)])
    distances = certificate.radius * np.arange(_STEPS + 1) / STEPS_IN_R
    scales = np.array([[scale_to(x, d, t) for t in distances] for d in directions])
    steps = torch.from_numpy(scales).float()[..., None, None, None]
    points = (x.cpu() + steps * directions[:, None]).clamp(0.0, 1.0).flatten(0, 1)
    generators = [noise_generator(seed, index, "moved", forward.device) for _ in points]
    sigmas = torch.full((len(points),), certificate.sigma, dtype=torch.float64)
    counts = np.zeros((len(points), forward.num_classes(x.shape)), dtype=np.int64)
    for done in range(_ROUND, samples_each(forward, x) + 1, _ROUND):
        counts = counts + forward.votes(points, sigmas, _ROUND, generators)
        yield MovedVotes(directions, scales, distances, counts.reshape(*scales.shape, -1), done)


def samples_each(forward: NoisyForward, x: Tensor) -> int:
    """Votes at each point: as many hundreds as the network affords, at most a thousand."""
    points = len(WAYS) * (_STEPS + 1)
    votes = affordable(forward, x.shape, _SAMPLES * points, _SECONDS, _ROUND * points)
    return votes // points // _ROUND * _ROUND


def scale_to(x: Tensor, direction: Tensor, distance: float) -> float:
    """The smallest s with ``|clamp(x + s * direction) - x| = distance``, clamped to [0, 1]; the
    distance is monotone in s. Where [0, 1] ends before, an s at its edge."""
    base, way = x.double().cpu(), direction.double()

    def reached(s: float) -> float:
        return float(((base + s * way).clamp(0.0, 1.0) - base).norm())

    low, high = 0.0, float(distance)
    while reached(high) < distance and high < 1e3 * distance:
        low, high = high, 2 * high
    for _ in range(_HALVINGS if distance else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < distance else (low, middle)
    return high


def _unit(way: Tensor) -> Tensor:
    return way / way.norm().clamp_min(1e-12)
