"""What a search for the gap of a data-dependent radius finds, and how hard it looks.

A radius that is conditional on sigma_x says what the classifier smoothed with *that* sigma gives
to x'. The data-dependent classifier smooths with the sigma that x' chooses itself, and may give
another class: the reason for a memory (Alfarra et al. 2022, Algorithm 2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import Self

from torch import Tensor

from ddrs_core.errors import InvalidParameterError
from ddrs_core.parameters import Configuration, parameter
from ddrs_core.quantities import counted
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import Certificate
from ddrs_core.smoothing.classifier import SmoothedClassifier
from ddrs_core.smoothing.grade import Grade
from ddrs_core.smoothing.memory.distance import Distance, distance
from ddrs_core.smoothing.memory.rules import Ball, Settlement, settle


@dataclass(frozen=True)
class CounterexampleConfig(Configuration):
    """How hard to look."""

    levels: tuple[float, ...] = parameter(
        (0.5, 0.7, 1.0, 1.4, 2.0), "attacked noise levels, times sigma_0", above=0.0, below=100.0
    )
    targets: int = parameter(
        4, "nearest images of other classes towards which an attack starts", low=0, high=1_000
    )
    steps: int = parameter(60, "steps of gradient ascent", low=1, high=10_000)
    samples: int = parameter(32, "noisy copies a step", low=1, high=10_000)
    within: float = parameter(
        0.99, "share of the radius of both certificates of x", above=0.0, below=1.0
    )
    step: float = parameter(
        0.2, "first step, times the radius; the last is a tenth of it", above=0.0, below=10.0
    )
    votes: int = parameter(500, "votes that rank candidates", low=10, high=1_000_000)
    strategies: int = parameter(12, "candidates that choose their own sigma", low=1, high=1_000)
    tries: int = parameter(4, "of these, how many are certified at most", low=1, high=1_000)

    def check(self) -> Self:
        """Raises InvalidParameterError if a parameter makes no sense."""
        if not self.levels:
            raise InvalidParameterError("There must be a noise level to attack.")
        return super().check()


@dataclass(frozen=True)
class Counterexample:
    """Two images whose certified answers contradict the radius, taken as that of one classifier.

    Certificates of x' were tried until one differed, so these are not to be relied on. The fresh
    ones were made with new noise and the same sigmas: one of x, and one of each x' in turn until
    the last of ``confirmations`` differed, too. With probability 1 - ``failure`` at least, all of
    them hold, and so do the two that are kept.
    """

    x: Tensor  # [C, H, W]
    other: Tensor  # x', [C, H, W], pixels in [0, 1]
    distance: Distance  # of x' from x, below the radius of both certificates of x
    certificate: Certificate
    other_certificate: Certificate
    fresh: Certificate
    other_fresh: Certificate
    attacked_sigma: float  # the noise level at which x' was found
    confirmations: int  # neighbours that were certified with fresh noise, x' being the last

    @property
    def failure(self) -> float:
        """A bound on the probability that one of the fresh certificates is wrong."""
        return min(1.0, self.fresh.alpha + self.confirmations * self.other_fresh.alpha)

    def with_memory(self) -> Settlement:
        """What a memory that holds x's ball answers at x' instead, by the fresh certificates."""
        ball = Ball(0, self.fresh.prediction, self.fresh.radius)
        claim = self.other_fresh
        return settle(claim.prediction, claim.radius, [(ball, self.distance)])


@dataclass(frozen=True)
class NotFound:
    """What was tried in vain; no proof that there is nothing to find."""

    levels: tuple[float, ...]  # attacked noise levels
    attacks: int  # points that were moved
    reached: int  # of them, how many got another class at the attacked level
    chose: int  # of these, how many let the strategy choose their sigma
    differed: int  # of these, how many still had another class at their own sigma
    unproved: int  # certifications of such points that named no other class
    refuted: int  # whose answer the fresh noise did not confirm
    best_share: float  # largest share of votes for another class at the attacked level
    confirmed: bool = True  # whether fresh noise gave x its class again; if not, nothing was tried

    @classmethod
    def unconfirmed(cls) -> NotFound:
        """Where fresh noise does not give x the class of its certificate."""
        return cls((), 0, 0, 0, 0, 0, 0, 0.0, confirmed=False)

    @property
    def text(self) -> str:
        """The same in a sentence or two."""
        if not self.confirmed:
            return (
                "Nothing was tried: with fresh noise the image itself was not certified as the "
                "same class again, so there is no ball to search."
            )
        if not self.attacks:
            return "Nothing was tried: no noise level is far enough from the image's own."
        said = (
            f"{counted(self.attacks, 'attack')} at {counted(len(self.levels), 'noise level')} "
            f"ended inside the ball; at {counted(self.reached, 'end')} the attacked level gave "
            f"another class (at most {self.best_share:.0%} of the votes)."
        )
        if not self.reached:
            return said
        return said + (
            f" {self.chose} of them chose their own sigma, and {self.differed} kept another class "
            f"there. {counted(self.unproved, 'certification')} named no other class, and fresh "
            f"noise did not confirm {self.refuted}. That is no proof that there is nothing to find."
        )


@dataclass(frozen=True)
class CounterexampleProgress:
    """A sign of life; the last one carries the result."""

    stage: str  # own certificate, attack, sigma, certify, confirm
    done: int
    total: int
    best_share: float  # largest mean probability, later share of votes, of another class
    result: Counterexample | NotFound | None = None


class Confirmation:
    """Certifies x once, and its neighbours one after the other, all with fresh noise.

    Args:
        smoothed: the classifier.
        x: image [C, H, W].
        certificate: of x.
        budget: certifies the neighbours, and x with the bound of its certificate; its seed is the
            one that may not be used again.
        fresh_seed: of x; its neighbours take this one and the next ones, none of them twice.

    Attributes:
        radius: within which both certificates of x hold; 0 if they name different classes.
    """

    def __init__(
        self,
        smoothed: SmoothedClassifier,
        x: Tensor,
        certificate: Certificate,
        budget: CertificationBudget,
        fresh_seed: int,
    ) -> None:
        self._smoothed, self._x, self._certificate, self._budget = smoothed, x, certificate, budget
        self._neighbours = 0
        used = (budget.seed, certificate.seed)
        self._seeds = (seed for seed in count(fresh_seed) if seed not in used)
        again = replace(budget, bound=certificate.bound, seed=fresh_seed)
        self._fresh = certify_alone(smoothed, x, certificate.sigma, again, certificate.index)
        same = self._fresh.prediction == certificate.prediction
        self.radius = min(certificate.radius, self._fresh.radius) if same else 0.0

    def attempt(self, other: Tensor, found: Certificate, attacked: float) -> Counterexample | None:
        """A counterexample, if fresh certificates of x and x' contradict each other."""
        apart = distance(self._x.numpy(), other.numpy())
        if apart.high >= self.radius:
            return None  # whatever x' gets
        again = replace(self._budget, seed=next(self._seeds))
        index = self._certificate.index
        theirs = certify_alone(self._smoothed, other, found.sigma, again, index)
        self._neighbours += 1
        if theirs.prediction != found.prediction:
            return None
        return Counterexample(
            self._x,
            other,
            apart,
            self._certificate,
            found,
            self._fresh,
            theirs,
            attacked,
            self._neighbours,
        )


def certify_alone(
    smoothed: SmoothedClassifier,
    image: Tensor,
    sigma: float,
    budget: CertificationBudget,
    index: int | None,
) -> Certificate:
    """A certificate that is conditional on its sigma."""
    *_, last = smoothed.certify_steps(
        image, sigma=sigma, budget=budget, grade=Grade.CONDITIONAL, index=index or 0
    )
    assert last.certificate is not None
    return last.certificate
