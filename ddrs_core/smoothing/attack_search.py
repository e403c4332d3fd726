"""Attacks on the smoothed classifier: projected gradient descent on the soft one, the mean softmax
over noisy copies, with a bisection on the radius.

Salman et al., "Provably Robust Deep Learning via Adversarially Trained Smoothed Classifiers", 2019,
section 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.smoothing.attack import Attack, AttackConfig, AttackStep
from ddrs_core.smoothing.certificate import ABSTAIN
from ddrs_core.smoothing.classifier import SmoothedClassifier, predicted_class
from ddrs_core.smoothing.confidence import Floats, check_sigma
from ddrs_core.smoothing.margin_gradient import margin_gradient, nearest_inside

_TINY = 1e-12
_GROWTH = 1.7  # of the radius while nothing is found
_CLOSE = 0.98  # of the nearest point, at which bisection ends
_SHORTEST, _HALVINGS = 0.5, 5  # of the last step towards the image
_PUSHES = np.array([0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5])  # outward, in sigma
_SURE = 1.4  # times the lead that PREDICT asks for


def attack_smoothed(
    smoothed: SmoothedClassifier,
    images: Tensor,
    *,
    classes: Sequence[int],
    sigmas: Sequence[float],
    config: AttackConfig | None = None,
    seed: int = 0,
    indices: Sequence[int] | None = None,
) -> Iterator[AttackStep]:
    """Look for the nearest image to which the smoothed classifier gives another class.

    Args:
        smoothed: the classifier g.
        images: [M, C, H, W], pixels in [0, 1].
        classes: those that g gives to them, [M].
        sigmas: noise level of each image, [M].
        seed, indices: determine the noise; indices are 0 to M - 1 when omitted.

    Yields:
        :class:`AttackStep`, one a gradient step; the last one holds the attacks.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.

    >>> f = lambda x: torch.stack([2 - x.sum((1, 2, 3)), x.sum((1, 2, 3)) - 2], dim=1)
    >>> x = torch.full((1, 1, 2, 2), 0.75)  # of class 1, 0.5 from the plane between the classes
    >>> *_, last = attack_smoothed(SmoothedClassifier(f, 2), x, classes=[1], sigmas=[0.25])
    >>> last.attacks[0].prediction, 0.5 <= last.attacks[0].distance < 0.525
    (0, True)
    """
    config = (config or AttackConfig()).check()
    smoothed.forward.check_images(images)
    numbers = list(range(len(images))) if indices is None else list(indices)
    levels = np.array([check_sigma(float(s)) for s in sigmas])
    held = np.asarray(classes, dtype=np.int64)
    if not len(images) == len(levels) == len(held) == len(numbers):
        raise InvalidParameterError("Each attacked image needs a class, a sigma and an index.")
    if ((held < 0) | (held >= smoothed.num_classes)).any():
        raise InvalidParameterError("An image without a class cannot be attacked.")
    base = images.to("cpu", torch.float32)
    return _Search(smoothed.forward, base, held, levels, config, seed, numbers).run()


class _Search:
    """The attacks of M images, with S points each; arrays [M, ...] or [M * S, ...]."""

    def __init__(
        self,
        forward: NoisyForward,
        images: Tensor,
        held: NDArray[np.int64],
        sigmas: Floats,
        config: AttackConfig,
        seed: int,
        indices: list[int],
    ) -> None:
        self.forward, self.images, self.held, self.sigmas = forward, images, held, sigmas
        self.config, self.seed, self.indices = config, seed, indices
        m = len(images)
        self.nearest = np.full(m, math.inf)
        self.found = images.clone()  # the nearest point with another class
        self.failed = np.zeros(m)  # the largest radius at which there was none
        self.total = config.radii * (config.steps + 1) + 1

    def run(self) -> Iterator[AttackStep]:
        config, done = self.config, 0
        radii = 0.75 * self.sigmas
        points = self._starts(radii)
        for attempt in range(config.radii):
            # An image rests once bisection has come close enough, or beyond the reach.
            at = np.flatnonzero(
                (self.failed < _CLOSE * self.nearest) & (self.failed < config.reach * self.sigmas)
            )
            for step in range(config.steps):
                if len(at):
                    points[at] = self._climb(points[at], at, radii[at], attempt, step)
                done += 1
                yield AttackStep(done, self.total, self.nearest.copy())
            if len(at):
                self._judge(points[at], at, radii[at], attempt)
            done += 1
            yield AttackStep(done, self.total, self.nearest.copy())
            middle = (self.failed + np.minimum(self.nearest, _GROWTH**2 * radii)) / 2
            radii = np.where(np.isfinite(self.nearest), middle, _GROWTH * radii)
            reset = np.isfinite(self.nearest)  # one point goes on from the nearest that is known
            points[reset, 0] = self.found[reset]
            points = self._inside(points, np.arange(len(points)), radii)
        self._shorten()
        yield AttackStep(self.total, self.total, self.nearest.copy(), self._confirm())

    def _starts(self, radii: Floats) -> Tensor:
        """The image itself, and points in random directions: [M, S, C, H, W]."""
        starts = []
        for row, index in enumerate(self.indices):
            generator = noise_generator(self.seed, index, "attack start")
            ways = torch.randn(
                (self.config.starts - 1, *self.images.shape[1:]), generator=generator
            )
            norms = ways.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            ways = ways / norms * (radii[row] / 2)
            starts.append(torch.cat([self.images[row : row + 1], self.images[row] + ways]))
        return torch.stack(starts).clamp(0.0, 1.0)

    def _inside(self, points: Tensor, at: NDArray[np.int64], radii: Floats) -> Tensor:
        base = self.images[at].unsqueeze(1)
        return nearest_inside(points, base, torch.from_numpy(radii).float().view(-1, 1))

    def _climb(
        self, points: Tensor, at: NDArray[np.int64], radii: Floats, attempt: int, step: int
    ) -> Tensor:
        """One normalised gradient step of each point [m, S, C, H, W]."""
        config, (m, s) = self.config, points.shape[:2]
        generator = noise_generator(self.seed, attempt, f"attack {step}")
        noise = torch.empty((1, config.samples, *points.shape[2:])).normal_(generator=generator)
        gradient, _ = margin_gradient(
            self.forward,
            points.flatten(0, 1),
            torch.from_numpy(self.sigmas[at]).repeat_interleave(s).unsqueeze(1),
            noise,
            torch.from_numpy(self.held[at]).repeat_interleave(s),
        )
        share = 1 - 0.8 * step / config.steps
        length = torch.from_numpy(2.5 * share * radii / config.steps).float()
        norms = gradient.flatten(1).norm(dim=1).clamp_min(_TINY).view(m, s, 1, 1, 1)
        moved = points + length.view(-1, 1, 1, 1, 1) * gradient.view_as(points) / norms
        return self._inside(moved, at, radii)

    def _judge(self, points: Tensor, at: NDArray[np.int64], radii: Floats, attempt: int) -> None:
        """Take over the nearest point [m, S, C, H, W] of each image that got another class."""
        m, s = points.shape[:2]
        owner = np.repeat(at, s)
        wins = self._differs(points.flatten(0, 1), owner, f"judge {attempt}")
        distances = distances_between(points.flatten(0, 1), self.images[owner])
        distances = np.where(wins, distances, math.inf).reshape(m, s)
        best, nearest = distances.argmin(axis=1), distances.min(axis=1)
        better = nearest < self.nearest[at]
        self.nearest[at[better]] = nearest[better]
        self.found[at[better]] = points[better, best[better]]
        self.failed[at] = np.where(np.isinf(nearest), radii, self.failed[at])

    def _shorten(self) -> None:
        """Move what was found towards its image, as far as votes allow."""
        at = np.flatnonzero(np.isfinite(self.nearest))
        low, high = np.full(len(at), _SHORTEST), np.ones(len(at))
        for halving in range(_HALVINGS if len(at) else 0):
            middle = (low + high) / 2
            tried = self._between(at, self.found[at], middle)
            won = self._differs(tried, at, f"shorten {halving}")
            low, high = np.where(won, low, middle), np.where(won, middle, high)
        self.found[at] = self._between(at, self.found[at], high)

    def _between(self, at: NDArray[np.int64], ends: Tensor, shares: Floats) -> Tensor:
        base = self.images[at]
        return base + torch.from_numpy(shares).float().view(-1, 1, 1, 1) * (ends - base)

    def _votes(
        self, points: Tensor, at: NDArray[np.int64], n: int, stage: str
    ) -> NDArray[np.int64]:
        """Votes [P, K] of points [P, C, H, W] of images [P]."""
        generators = [
            noise_generator(self.seed, self.indices[row], f"attack {stage}", self.forward.device)
            for row in at.tolist()
        ]
        return self.forward.votes(points, torch.from_numpy(self.sigmas[at]), n, generators)

    def _differs(self, points: Tensor, at: NDArray[np.int64], stage: str) -> NDArray[np.bool_]:
        return self._votes(points, at, self.config.votes, stage).argmax(1) != self.held[at]

    def _confirm(self) -> tuple[Attack, ...]:
        """Push what was found outward until few votes are sure of another class, then ask PREDICT
        with fresh noise."""
        config = self.config
        results = [
            Attack(
                int(self.held[row]),
                float(self.sigmas[row]),
                None,
                None,
                ABSTAIN,
                config.n,
                config.alpha,
                0,
                float(self.failed[row]),
            )
            for row in range(len(self.images))
        ]
        push = np.zeros(len(self.images), dtype=np.int64)
        at = np.flatnonzero(np.isfinite(self.nearest))
        for attempt in range(config.tries):
            points, at, push = self._pushed(at, push, attempt)
            if not len(at):
                break
            votes = self._votes(points, at, config.n, f"confirm {attempt}")
            left = []
            for row, point, counts in zip(at.tolist(), points, votes, strict=True):
                answer = predicted_class(counts, config.alpha)
                found = replace(results[row], tries=results[row].tries + 1)
                if answer in (ABSTAIN, int(self.held[row])):
                    left.append(row)
                else:
                    (distance,) = distances_between(point[None], self.images[row][None])
                    found = replace(
                        found, distance=float(distance), adversarial=point, prediction=answer
                    )
                results[row] = found
            at = np.array(left, dtype=np.int64)
            push[at] += 1
        return tuple(results)

    def _pushed(
        self, at: NDArray[np.int64], push: NDArray[np.int64], attempt: int
    ) -> tuple[Tensor, NDArray[np.int64], NDArray[np.int64]]:
        """For each image the least pushed point at which other votes show a clear lead of another
        class; images without one are left out."""
        config, push = self.config, push.copy()
        lead = -_SURE * float(ndtri(config.alpha / 2)) / math.sqrt(config.n)
        chosen: dict[int, Tensor] = {}
        left = at[push[at] < len(_PUSHES)]
        while len(left):
            base = self.images[left]
            ways = self.found[left] - base
            norms = ways.flatten(1).norm(dim=1).clamp_min(_TINY)
            further = torch.from_numpy(_PUSHES[push[left]] * self.sigmas[left]).float()
            points = base + ways * (1 + further / norms).view(-1, 1, 1, 1)
            points = points.clamp(0.0, 1.0)
            votes = self._votes(points, left, 4 * config.votes, f"push {attempt}")
            own = votes[np.arange(len(left)), self.held[left]]
            votes[np.arange(len(left)), self.held[left]] = 0
            clear = (votes.max(axis=1) - own) / (4 * config.votes) >= lead
            chosen |= {int(row): points[i] for i, row in enumerate(left) if clear[i]}
            push[left[~clear]] += 1
            left = left[~clear]
            left = left[push[left] < len(_PUSHES)]
        rows = np.array(sorted(chosen), dtype=np.int64)
        points = torch.stack([chosen[row] for row in rows.tolist()]) if len(rows) else self.images
        return points[: len(rows)], rows, push


def distances_between(points: Tensor, images: Tensor) -> Floats:
    """l2 distances [P] of points and images [P, C, H, W], in float64."""
    ways = points.to("cpu", torch.float64) - images.to("cpu", torch.float64)
    found: Floats = ways.flatten(1).norm(dim=1).numpy()
    return found
