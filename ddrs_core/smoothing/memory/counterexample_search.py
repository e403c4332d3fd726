"""Search inside a data-dependent radius for an image that chooses another sigma and another class.

The attack follows the gradient of the mean softmax (as in SmoothAdv, Salman et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import noise_generator
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import ABSTAIN, Certificate
from ddrs_core.smoothing.classifier import SmoothedClassifier, as_batch
from ddrs_core.smoothing.confidence import check_sigma
from ddrs_core.smoothing.margin_gradient import margin_gradient, nearest_inside
from ddrs_core.smoothing.memory.counterexample import (
    Confirmation,
    CounterexampleConfig,
    CounterexampleProgress,
    NotFound,
    certify_alone,
)
from ddrs_core.smoothing.sigma.base import StrategyConfig, choose_sigmas

_TINY = 1e-12
_SAME_LEVEL = 0.05  # relative difference of two noise levels that are not worth telling apart


def find_counterexample(
    smoothed: SmoothedClassifier,
    x: Tensor,
    certificate: Certificate,
    *,
    sigma_0: float,
    strategy: StrategyConfig,
    targets: Tensor | None = None,
    config: CounterexampleConfig | None = None,
    budget: CertificationBudget | None = None,
    fresh_seed: int = 1,
) -> Iterator[CounterexampleProgress]:
    """Look for x' within the certified radius of x whose own sigma certifies another class.

    Attacks climb the gradient of the soft smoothed classifier at several noise levels, from x and
    from points towards images of other classes. Those where some level gives another class
    choose their sigma by the real strategy. What still differs is certified, and if that names
    another class, certified once more with fresh noise, until one is confirmed.

    Args:
        smoothed: the classifier that made the certificate.
        x: image [C, H, W].
        certificate: of x, with a sigma that the strategy chose from ``sigma_0``.
        targets: images [T, C, H, W] of other classes; None: attacks start at x only.
        budget: certifies x'; its seed is that of the attack, the strategy and the first
            certification, with the certificate's index. The certificate's when omitted. The
            two-sided bound names a class without a majority, and so finds more.
        fresh_seed: of the confirmation of x; those of its neighbours take this one and the next
            ones, none of them twice.

    Yields:
        :class:`CounterexampleProgress`; the last one carries a Counterexample or a NotFound.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.
    """
    if certificate.prediction == ABSTAIN or certificate.radius <= 0:
        raise InvalidParameterError("There is no ball to search: this image abstained.")
    if budget is None:
        c = certificate
        budget = CertificationBudget(c.n0, c.n, c.alpha, c.bound, seed=c.seed)
    budget = budget.check()
    if fresh_seed in (budget.seed, certificate.seed):
        raise InvalidParameterError(
            f"The confirmation needs fresh noise: choose another seed than {fresh_seed}."
        )
    smoothed.forward.check_images(as_batch(x))
    if targets is not None and len(targets):
        smoothed.forward.check_images(targets)
    search = _Search(
        smoothed,
        x.to("cpu", torch.float32),
        certificate,
        check_sigma(sigma_0),
        strategy,
        (config or CounterexampleConfig()).check(),
        budget,
        fresh_seed,
    )
    return search.run(targets)


@dataclass(frozen=True)
class _Search:
    smoothed: SmoothedClassifier
    x: Tensor
    certificate: Certificate
    sigma_0: float
    strategy: StrategyConfig
    config: CounterexampleConfig
    budget: CertificationBudget  # of x'
    fresh_seed: int

    def run(self, targets: Tensor | None) -> Iterator[CounterexampleProgress]:
        steps = self.config.steps
        yield CounterexampleProgress("own certificate", 0, steps, 0.0)
        confirmation = Confirmation(
            self.smoothed, self.x, self.certificate, self.budget, self.fresh_seed
        )
        if confirmation.radius == 0:
            yield CounterexampleProgress("own certificate", 0, steps, 0.0, NotFound.unconfirmed())
            return
        radius = self.config.within * confirmation.radius
        levels = self._levels()
        starts = self._starts(targets, radius)
        points = starts.repeat(len(levels), *[1] * self.x.ndim)  # [L * S, C, H, W]
        sigmas = np.repeat(levels, len(starts))
        best = 0.0
        for step in range(steps if len(points) else 0):
            points, best = self._climb(points, sigmas, step, radius)
            yield CounterexampleProgress("attack", step + 1, steps, best)
        shares, reached = self._votes(points, sigmas, "rank")
        best = float(shares.max(initial=0.0))
        rows = _spread(reached, sigmas, self.config.strategies)
        own = np.zeros(0)
        for done, total, chosen in self._choose(points[rows]):
            yield CounterexampleProgress("sigma", done, total, best)
            own = chosen
        shares, differing = self._votes(points[rows], own, "own")
        tried = differing[: self.config.tries]
        unproved = refuted = 0
        for number, i in enumerate(tried, start=1):
            other, share = points[rows[i]], float(shares[i])
            yield CounterexampleProgress("certify", number, len(tried), share)
            # Alone: floating-point results depend on which images share a batch.
            *_, (_, _, (sigma,)) = self._choose(other[None])
            found = certify_alone(
                self.smoothed, other, float(sigma), self.budget, self.certificate.index
            )
            if found.prediction in (ABSTAIN, self.certificate.prediction):
                unproved += 1
                continue
            yield CounterexampleProgress("confirm", number, len(tried), share)
            result = confirmation.attempt(other, found, float(sigmas[rows[i]]))
            if result is not None:
                yield CounterexampleProgress("confirm", number, len(tried), share, result)
                return
            refuted += 1
        nothing = NotFound(
            tuple(float(s) for s in levels),
            len(points),
            len(reached),
            len(rows),
            len(differing),
            unproved,
            refuted,
            best,
        )
        yield CounterexampleProgress("certify", len(tried), len(tried), best, nothing)

    def _clipped(self, sigma: float) -> float:
        low, high = self.strategy.bounds
        return min(max(sigma, low), high)

    def _levels(self) -> np.ndarray:
        """Noise levels to attack; close to x's own, the certificate leaves nothing to find."""
        tried = sorted({self._clipped(r * self.sigma_0) for r in self.config.levels})
        own = self.certificate.sigma
        return np.array([s for s in tried if abs(math.log(s / own)) > _SAME_LEVEL])

    def _starts(self, targets: Tensor | None, radius: float) -> Tensor:
        """x, and points on the way to images of other classes: [S, C, H, W]."""
        starts = [self.x]
        if targets is not None and len(targets) and self.config.targets:
            ways = targets.to("cpu", torch.float32) - self.x
            lengths = ways.flatten(1).norm(dim=1)
            nearest = lengths.argsort(stable=True)[: self.config.targets]
            starts += [
                self.x + ways[i] * min(1.0, 0.9 * radius / float(lengths[i]))
                for i in nearest
                if lengths[i] > 0
            ]
        return self._inside(torch.stack(starts), radius)

    def _climb(
        self, points: Tensor, sigmas: np.ndarray, step: int, radius: float
    ) -> tuple[Tensor, float]:
        """One normalised step of each point [M, C, H, W]; and the best mean probability so far."""
        forward, config = self.smoothed.forward, self.config
        generator = noise_generator(self.budget.seed, self.certificate.index or 0, f"attack {step}")
        noise = torch.empty((2, config.samples, *self.x.shape)).normal_(generator=generator)
        start = self._clipped(self.sigma_0)  # a guarded strategy keeps the class that it finds here
        levels = torch.from_numpy(np.stack([sigmas, np.full_like(sigmas, start)], axis=1))
        held = torch.full((len(points),), self.certificate.prediction)
        gradient, other = margin_gradient(forward, points, levels, noise, held)
        share = 1 - 0.9 * step / max(1, config.steps - 1)
        length = config.step * radius * share
        norms = gradient.flatten(1).norm(dim=1).clamp_min(_TINY).view(-1, 1, 1, 1)
        return self._inside(points + length * gradient / norms, radius), float(other.max())

    def _inside(self, points: Tensor, radius: float) -> Tensor:
        return nearest_inside(points, self.x, radius)

    def _votes(
        self, points: Tensor, sigmas: np.ndarray, stage: str
    ) -> tuple[np.ndarray, list[int]]:
        """The share of votes of the leading class of each point, 0 where that is x's class; and
        the points where it is another one, the clearest lead first."""
        forward, n = self.smoothed.forward, self.config.votes
        if not len(points):
            return np.zeros(0), []
        generators = [
            noise_generator(self.budget.seed, i, stage, forward.device) for i in range(len(points))
        ]
        votes = forward.votes(points, torch.from_numpy(sigmas), n, generators)
        second, first = np.sort(votes, axis=1)[:, -2:].T / n
        differs = votes.argmax(axis=1) != self.certificate.prediction
        ranked = np.argsort(-np.where(differs, first - second, 0.0), kind="stable")
        return np.where(differs, first, 0.0), [int(i) for i in ranked if differs[i]]

    def _choose(self, points: Tensor) -> Iterator[tuple[int, int, np.ndarray]]:
        """Let every point choose its sigma as x would, with the noise of x's index."""
        if not len(points):
            return
        for batch in choose_sigmas(
            self.smoothed.forward,
            points,
            [self.sigma_0] * len(points),
            self.strategy,
            seed=self.budget.seed,
            indices=[self.certificate.index or 0] * len(points),
            budget=self.budget,
        ):
            chosen = np.zeros(0) if batch.chosen is None else batch.chosen
            yield batch.step, batch.steps, chosen


def _spread(rows: Sequence[int], sigmas: np.ndarray, most: int) -> list[int]:
    """Up to ``most`` of the rows, in their order, taking turns among their noise levels."""
    turn: dict[float, int] = {}
    ranked = []
    for place, row in enumerate(rows):
        level = float(sigmas[row])
        turn[level] = turn.get(level, 0) + 1
        ranked.append((turn[level], place, row))
    return [row for _, _, row in sorted(ranked)[:most]]
