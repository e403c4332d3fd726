"""An upper bound beside the lower one: what an l2 attack on the smoothed classifier finds.

It counts only after PREDICT with fresh noise gives another class. So every image gets an interval:
certified radius <= true radius <= distance of the attack.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ddrs_core.parameters import Configuration, parameter
from ddrs_core.smoothing.certificate import Certificate
from ddrs_core.smoothing.confidence import Floats, check_test
from ddrs_core.smoothing.grade import Grade


@dataclass(frozen=True)
class AttackConfig(Configuration):
    """How hard to attack."""

    starts: int = parameter(2, "points from which each attack starts", low=1, high=100)
    steps: int = parameter(16, "gradient steps at each radius", low=1, high=10_000)
    samples: int = parameter(16, "fresh noisy copies a step", low=1, high=10_000)
    radii: int = parameter(10, "radii that are tried, by bisection", low=1, high=100)
    votes: int = parameter(500, "votes that judge a point", low=10, high=1_000_000)
    n: int = parameter(10_000, "fresh votes that confirm what is found", low=10, high=10**8)
    alpha: float = parameter(0.001, "failure probability of a confirmation", above=0.0, below=1.0)
    tries: int = parameter(3, "confirmations at most", low=1, high=100)
    reach: float = parameter(
        8.0, "largest radius that is tried, times sigma", above=0.0, below=1_000.0
    )

    def check(self) -> AttackConfig:
        """Raises InvalidParameterError if a number makes no sense."""
        check_test(self.n, self.alpha)
        return super().check()


@dataclass(frozen=True)
class Attack:
    """What was found for one image: the nearest point with another class, if there is one.

    ``distance`` is the l2 norm of the change, computed in float64 from the pixels as they are; it
    bounds the true radius of class ``held`` from above with probability 1 - tries * alpha.
    """

    held: int  # the class that is attacked
    sigma: float
    distance: float | None  # None: nothing was found, which proves nothing
    adversarial: Tensor | None  # [C, H, W], pixels in [0, 1]
    prediction: int  # its class by PREDICT; ABSTAIN where nothing was found
    n: int  # votes of each confirmation
    alpha: float
    tries: int  # confirmations that were tried, each of which may err
    reach: float  # the largest radius at which nothing was found

    def contradicts(self, certificate: Certificate) -> bool:
        """Whether it lies inside the certified radius for the same class and noise level: then the
        certificate or a confirmation is wrong, see :meth:`failure_probability`.

        A radius that a memory has settled speaks of another classifier, and is not contradicted.
        """
        c = certificate
        same = self.held == c.prediction and self.sigma == c.sigma
        return (
            same
            and c.grade is not Grade.FOR_QUERIES_AFTER
            and self.distance is not None
            and self.distance <= c.radius
        )

    def failure_probability(self, certificate: Certificate) -> float:
        """How probable a contradiction is at most, without a fault of the program."""
        return min(1.0, certificate.alpha + self.tries * self.alpha)


@dataclass(frozen=True)
class AttackStep:
    """A sign of life; the last one holds the attacks [M]."""

    done: int
    total: int
    nearest: Floats  # distances [M] so far that few votes judge; infinite: nothing found
    attacks: tuple[Attack, ...] = ()
