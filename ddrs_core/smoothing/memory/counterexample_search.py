"""The search for an image inside a data-dependent radius that chooses another noise level, and with
it another class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor

from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import noise_generator
from ddrs_core.smoothing.batch import certify_together
from ddrs_core.smoothing.certificate import ABSTAIN, Bound, Certificate, Grade
from ddrs_core.smoothing.classifier import SmoothedClassifier, as_batch
from ddrs_core.smoothing.confidence import check_sigma
from ddrs_core.smoothing.memory.attack import margin_gradient
from ddrs_core.smoothing.memory.counterexample import (
    Counterexample,
    CounterexampleConfig,
    CounterexampleProgress,
    NotFound,
)
from ddrs_core.smoothing.memory.directed_rounding import distance
from ddrs_core.smoothing.sigma.steps import Budget
from ddrs_core.smoothing.sigma.strategies import StrategyConfig, choose_sigmas
from ddrs_core.smoothing.stopping import FixedSamples, Samples

_TINY = 1e-12


def find_counterexample(
    smoothed: SmoothedClassifier,
    x: Tensor,
    certificate: Certificate,
    *,
    sigma_0: float,
    strategy: StrategyConfig,
    targets: Tensor | None = None,
    config: CounterexampleConfig | None = None,
    samples: Samples | None = None,
    bound: Bound | str | None = None,
    seed: int | None = None,
    fresh_seed: int = 1,
) -> Iterator[CounterexampleProgress]:
    """Look for x' within the certified radius of x whose own sigma certifies another class.

    Attacks climb the gradient of the soft smoothed classifier at several noise levels, from x and
    from points towards images of other classes. Those where some level gives another class
    choose their sigma by the real strategy; what still differs is certified, and if that names
    another class certified once more with fresh noise, until one is confirmed.

    Args:
        smoothed: the classifier that made the certificate.
        x: image [C, H, W].
        certificate: of x, with a sigma that the strategy chose from ``sigma_0``.
        targets: images [T, C, H, W] of other classes; None: attacks start at x only.
        samples: how many votes certify; the certificate's N when omitted.
        bound: certifies x'; the certificate's when omitted. The two-sided one names a class
            without a majority, and so finds more.
        seed: of the attack, the strategy and the first certification, with the certificate's
            index; the certificate's when omitted.
        fresh_seed: of the confirmation of x; those of its neighbours take this one and the next
            ones, none of them twice.

    Yields:
        :class:`CounterexampleProgress`; the last one carries a Counterexample or a NotFound.

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.
    """
    config = (config or CounterexampleConfig()).check()
    sigma_0 = check_sigma(sigma_0)
    if certificate.prediction == ABSTAIN or certificate.radius <= 0:
        raise InvalidParameterError("There is no ball to search: this image abstained.")
    seed = certificate.seed if seed is None else seed
    if fresh_seed in (seed, certificate.seed):
        raise InvalidParameterError(
            f"The confirmation needs fresh noise: choose another seed than {fresh_seed}."
        )
    smoothed.forward.check_images(as_batch(x))
    if targets is not None and len(targets):
        smoothed.forward.check_images(targets)
    hunt = _Search(
        smoothed,
        x.to("cpu", torch.float32),
        certificate,
        sigma_0,
        strategy,
        config,
        (samples or FixedSamples(certificate.n)).check(),
        Bound(certificate.bound if bound is None else bound),
        seed,
        fresh_seed,
    )
    return hunt.run(targets)


@dataclass(frozen=True)
class _Search:
    smoothed: SmoothedClassifier
    x: Tensor
    certificate: Certificate
    sigma_0: float
    strategy: StrategyConfig
    config: CounterexampleConfig
    samples: Samples
    bound: Bound  # of x'
    seed: int
    fresh_seed: int

    def run(self, targets: Tensor | None) -> Iterator[CounterexampleProgress]:
        yield CounterexampleProgress("own certificate", 0, self.config.steps, 0.0)
        confirming = _Confirming(self)
        if confirming.radius == 0:
            yield CounterexampleProgress(
                "own certificate", 0, self.config.steps, 0.0, NotFound.unconfirmed()
            )
            return
        radius = self.config.within * confirming.radius
        levels = self._levels()
        starts = self._starts(targets, radius)
        points = starts.repeat(len(levels), *[1] * self.x.ndim)  # [L * S, C, H, W]
        sigmas = np.repeat(levels, len(starts))
        best = 0.0
        ends = points
        for step in range(self.config.steps if len(points) else 0):
            ends, best = self._climb(ends, sigmas, step, radius)
            yield CounterexampleProgress("attack", step + 1, self.config.steps, best)
        attacked = self._votes(ends, sigmas, "rank")
        best, reached = attacked.best_share, attacked.ranked
        chosen_rows = _spread(reached, sigmas, self.config.strategies)
        own: list[float] = []
        for batch in self._choose(ends[chosen_rows]):
            yield CounterexampleProgress("sigma", batch[0], batch[1], best)
            own = batch[2]
        kept = self._votes(ends[chosen_rows], np.array(own), "own")
        differ = kept.ranked
        unproved = refuted = 0
        tries = differ[: self.config.tries]
        for number, i in enumerate(tries, start=1):
            row = chosen_rows[i]
            other = ends[row]
            yield CounterexampleProgress("certify", number, len(tries), float(kept.share[i]))
            (*_, (_, _, (sigma,))) = self._choose(other[None])  # alone: company changes rounding
            found = self.certify(other, sigma, self.seed, self.bound)
            if found.prediction in (ABSTAIN, self.certificate.prediction):
                unproved += 1
                continue
            yield CounterexampleProgress("confirm", number, len(tries), float(kept.share[i]))
            result = confirming.attempt(other, found, float(sigmas[row]))
            if result is not None:
                yield CounterexampleProgress(
                    "confirm", number, len(tries), float(kept.share[i]), result
                )
                return
            refuted += 1
        nothing = NotFound(
            tuple(float(s) for s in levels),
            len(ends),
            len(reached),
            len(chosen_rows),
            len(differ),
            unproved,
            refuted,
            best,
        )
        yield CounterexampleProgress("certify", len(tries), len(tries), best, nothing)

    @property
    def start(self) -> float:
        """Where the strategy starts; a guarded one keeps the class that it finds there."""
        low, high = self.strategy.bounds
        return min(max(self.sigma_0, low), high)

    def _levels(self) -> np.ndarray:
        """Noise levels to attack; close to x's own, the certificate leaves nothing to find."""
        low, high = self.strategy.bounds
        tried = sorted({min(max(r * self.sigma_0, low), high) for r in self.config.levels})
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
        generator = noise_generator(self.seed, _number(self.certificate), f"attack {step}")
        noise = torch.empty((2, config.samples, *self.x.shape)).normal_(generator=generator)
        levels = torch.from_numpy(np.stack([sigmas, np.full_like(sigmas, self.start)], axis=1))
        slope, other = margin_gradient(forward, points, levels, noise, self.certificate.prediction)
        share = 1 - 0.9 * step / max(1, config.steps - 1)
        length = config.step * radius * share
        norms = slope.flatten(1).norm(dim=1).clamp_min(_TINY).view(-1, 1, 1, 1)
        return self._inside(points + length * slope / norms, radius), float(other.max())

    def _inside(self, points: Tensor, radius: float) -> Tensor:
        """The nearest points inside the ball and the pixel range: clamping pixels to a range that
        holds x brings no point farther from it."""
        ways = points - self.x
        norms = ways.flatten(1).norm(dim=1).clamp_min(_TINY).view(-1, 1, 1, 1)
        return (self.x + ways * (radius / norms).clamp_max(1.0)).clamp(0.0, 1.0)

    def _votes(self, points: Tensor, sigmas: np.ndarray, stage: str) -> _Votes:
        """Votes at each point; where x's class leads, share and lead are 0."""
        forward, n = self.smoothed.forward, self.config.votes
        if not len(points):
            return _Votes(np.zeros(0), np.zeros(0))
        generators = [
            noise_generator(self.seed, i, stage, forward.device) for i in range(len(points))
        ]
        votes = forward.votes(points, torch.from_numpy(sigmas), n, generators)
        second, first = np.sort(votes, axis=1)[:, -2:].T / n
        differs = votes.argmax(axis=1) != self.certificate.prediction
        return _Votes(np.where(differs, first, 0.0), np.where(differs, first - second, 0.0))

    def _choose(self, points: Tensor) -> Iterator[tuple[int, int, list[float]]]:
        """Let every point choose its sigma as x would: with the noise of x's index."""
        if not len(points):
            return
        number = _number(self.certificate)
        for batch in choose_sigmas(
            self.smoothed.forward,
            points,
            [self.sigma_0] * len(points),
            self.strategy,
            seed=self.seed,
            indices=[number] * len(points),
            budget=Budget(self.samples.n_max, self.certificate.alpha),
        ):
            chosen = [] if batch.chosen is None else [float(s) for s in batch.chosen]
            yield batch.step, batch.steps, chosen

    def certify(self, image: Tensor, sigma: float, seed: int, bound: Bound) -> Certificate:
        """A certificate, whose noise the seed and x's index choose."""
        known = self.certificate
        last = None
        for last in certify_together(  # noqa: B007 (the last one is what counts)
            self.smoothed,
            as_batch(image),
            sigmas=[sigma],
            samples=self.samples,
            n0=known.n0,
            alpha=known.alpha,
            seed=seed,
            bound=bound,
            grade=Grade.CONDITIONAL,
            indices=[_number(known)],
        ):
            pass
        assert last is not None
        return last.certificates[0]


class _Confirming:
    """Certifies x once, and its neighbours one after the other, all with fresh noise."""

    def __init__(self, hunt: _Search) -> None:
        self._hunt = hunt
        self._neighbours = 0
        used = (hunt.seed, hunt.certificate.seed)
        self._seeds = (seed for seed in count(hunt.fresh_seed) if seed not in used)
        known = hunt.certificate
        self._fresh = hunt.certify(hunt.x, known.sigma, hunt.fresh_seed, known.bound)
        same = self._fresh.prediction == known.prediction
        self.radius = min(known.radius, self._fresh.radius) if same else 0.0

    def attempt(self, other: Tensor, found: Certificate, attacked: float) -> Counterexample | None:
        """A counterexample, if fresh certificates of x and x' contradict each other."""
        hunt = self._hunt
        apart = distance(hunt.x.numpy(), other.numpy())
        if apart.high >= self.radius:
            return None  # whatever x' gets
        theirs = hunt.certify(other, found.sigma, next(self._seeds), hunt.bound)
        self._neighbours += 1
        if theirs.prediction != found.prediction:
            return None
        return Counterexample(
            hunt.x,
            other,
            apart,
            hunt.certificate,
            found,
            self._fresh,
            theirs,
            attacked,
            self._neighbours,
        )


@dataclass(frozen=True)
class _Votes:
    """The leading class, where it is another one than x's: its share and its lead over the next."""

    share: np.ndarray  # [M]
    lead: np.ndarray  # [M]

    @property
    def best_share(self) -> float:
        return float(self.share.max(initial=0.0))

    @property
    def ranked(self) -> list[int]:
        """Points where another class leads, the clearest lead first."""
        return [int(i) for i in np.argsort(-self.lead, kind="stable") if self.share[i] > 0]


_SAME_LEVEL = 0.05  # relative difference of two noise levels that are not worth telling apart


def _spread(rows: Sequence[int], sigmas: np.ndarray, most: int) -> list[int]:
    """Up to ``most`` of the rows, in their order, taking turns among their noise levels."""
    turn: dict[float, int] = {}
    ranked = []
    for place, row in enumerate(rows):
        level = float(sigmas[row])
        turn[level] = turn.get(level, 0) + 1
        ranked.append((turn[level], place, row))
    return [row for _, _, row in sorted(ranked)[:most]]


def _number(certificate: Certificate) -> int:
    return certificate.index or 0
