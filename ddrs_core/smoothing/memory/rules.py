"""The rules of the memory: what a new certificate may keep, given the balls that are stored.

Alfarra et al. (UAI 2022), Algorithm 2, completed: a ball of the same class that contains the input
proves a radius too, and so it does for an abstention. Everything rounds towards the smaller
radius, so that no two stored balls of different class overlap, exactly, as numbers are stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ddrs_core.errors import InvalidParameterError, NamedEnum
from ddrs_core.smoothing.certificate import ABSTAIN, Certificate
from ddrs_core.smoothing.memory.directed_rounding import add_upward, sub_downward
from ddrs_core.smoothing.memory.distance import Distance


class Outcome(NamedEnum, kind="outcome"):
    """What became of a certificate, or of an abstention."""

    UNTOUCHED = "untouched"  # no ball was in its way, and none proved more
    TRIMMED = "trimmed"  # its ball ends where one of another class begins
    ADOPTED = "adopted"  # it lies in a ball of another class, whose answer it takes
    ENLARGED = "enlarged"  # it lies in a ball of its own class, which proves more
    RESCUED = "rescued"  # it abstained, and lies in a ball

    @property
    def meaning(self) -> str:
        """What that is, in a line."""
        return _MEANINGS[self]

    @property
    def enters_index(self) -> bool:
        """Whether its ball may change later settlements; others lie inside a stored ball."""
        return self in (Outcome.UNTOUCHED, Outcome.TRIMMED)


_MEANINGS = {
    Outcome.UNTOUCHED: "no ball stood in its way: it holds as claimed",
    Outcome.TRIMMED: "its ball ends where one of another class begins",
    Outcome.ADOPTED: "it lies in a ball of another class and takes that class",
    Outcome.ENLARGED: "it lies in a ball of its own class that proves more",
    Outcome.RESCUED: "its votes proved nothing, but it lies in a ball and takes that class",
}


@dataclass(frozen=True)
class Ball:
    """A stored ball: every image within ``radius`` of its centre gets the class ``prediction``."""

    id: int
    prediction: int
    radius: float


@dataclass(frozen=True)
class Part:
    """A stored ball that was considered, and where the input lies.

    ``slack`` is the distance to its surface: positive outside, negative inside; rounded towards
    the smaller radius for the input.
    """

    ball: Ball
    distance: Distance
    conflicts: bool  # its class differs and the balls would overlap
    slack: float

    @property
    def contains(self) -> bool:
        """Whether the input certainly lies inside the ball."""
        return self.distance.high < self.ball.radius


@dataclass(frozen=True)
class Settlement:
    """The answer of the memory-enhanced classifier, and how it came about.

    ``by`` is the ball that decided, None when untouched. ``parts`` are all stored balls that touch
    the certificate's ball or contain the input. The last three fields are set by a bank.
    """

    outcome: Outcome
    prediction: int
    radius: float
    claimed: int  # the certificate's own class
    claimed_radius: float
    by: Ball | None
    parts: tuple[Part, ...]
    serial: int | None = None  # of the new ball; None: none was stored
    certificate: Certificate | None = None  # with the settled class and radius, if there was one
    alpha: float = 0.0  # sum over the certificates that the answer rests on

    @property
    def is_stored(self) -> bool:
        """Whether there is anything to store: an abstention that no ball rescued is not."""
        return self.prediction != ABSTAIN

    @property
    def enters_index(self) -> bool:
        """Whether its ball can change later settlements."""
        return self.is_stored and self.outcome.enters_index


def settle(prediction: int, radius: float, near: Iterable[tuple[Ball, Distance]]) -> Settlement:
    """Settle a certificate, or an abstention, against the stored balls.

    Args:
        prediction: its class, or ``ABSTAIN``.
        radius: its certified radius; 0 for an abstention.
        near: stored balls with their distances from the input; all for which the distance may be
            below the sum of both radii, others do no harm.

    Raises:
        InvalidParameterError: if the radius is negative or no number, or class and radius
            contradict each other.

    >>> stored = Ball(0, prediction=3, radius=1.0)
    >>> outside = settle(7, 0.8, [(stored, Distance(1.5, 1.5))])  # its ball would overlap
    >>> outside.outcome.value, outside.prediction, round(outside.radius, 6)
    ('trimmed', 7, 0.5)
    >>> inside = settle(7, 0.8, [(stored, Distance(0.75, 0.75))])
    >>> inside.outcome.value, inside.prediction, round(inside.radius, 6)
    ('adopted', 3, 0.25)
    """
    check_claim(prediction, radius)
    parts = [_part(prediction, radius, ball, distance) for ball, distance in near]
    parts = [part for part in parts if part.conflicts or part.contains]
    conflicts = [part for part in parts if part.conflicts]
    if prediction == ABSTAIN:
        outcome, held, answer, by = _rescue(parts)
    elif not conflicts:
        outcome, held, answer, by = Outcome.UNTOUCHED, radius, prediction, None
    else:
        first = min(conflicts, key=lambda part: (part.slack, part.ball.id))
        by = first.ball
        if first.slack > 0:
            outcome, held, answer = Outcome.TRIMMED, first.slack, prediction
        else:
            outcome, answer = Outcome.ADOPTED, by.prediction
            held = max(0.0, sub_downward(by.radius, first.distance.high))
    if prediction != ABSTAIN and answer == prediction:
        wider = _widest([part for part in parts if part.ball.prediction == prediction])
        if wider is not None and _proved(wider) > held:
            outcome, held, by = Outcome.ENLARGED, _proved(wider), wider.ball
    return Settlement(outcome, answer, held, prediction, radius, by, tuple(parts))


def check_claim(prediction: int, radius: float) -> None:
    """Raises InvalidParameterError if class and radius of a certificate make no sense."""
    if not math.isfinite(radius) or radius < 0:
        raise InvalidParameterError(
            f"A certified radius is a finite number from 0 on, not {radius}."
        )
    if prediction < ABSTAIN:
        raise InvalidParameterError(f"A class is a number from 0 on, not {prediction}.")
    if prediction == ABSTAIN and radius > 0:
        raise InvalidParameterError(f"An abstention has radius 0, not {radius:g}.")


def _part(prediction: int, radius: float, ball: Ball, distance: Distance) -> Part:
    conflicts = (
        prediction != ABSTAIN
        and ball.prediction != prediction
        and distance.low < add_upward(ball.radius, radius)
    )
    return Part(ball, distance, conflicts, sub_downward(distance.low, ball.radius))


def _proved(part: Part) -> float:
    """The radius that a ball proves at an input inside it."""
    return sub_downward(part.ball.radius, part.distance.high)


def _widest(parts: Sequence[Part]) -> Part | None:
    inside = [part for part in parts if part.contains]
    return max(inside, key=lambda part: (_proved(part), -part.ball.id), default=None)


def _rescue(parts: Sequence[Part]) -> tuple[Outcome, float, int, Ball | None]:
    widest = _widest(parts)
    if widest is None or _proved(widest) <= 0:
        return Outcome.UNTOUCHED, 0.0, ABSTAIN, None
    return Outcome.RESCUED, _proved(widest), widest.ball.prediction, widest.ball


def overlap(a: Ball, b: Ball, distance: Distance) -> bool:
    """Whether two balls of different class might overlap; False proves that they do not."""
    return a.prediction != b.prediction and distance.low < add_upward(a.radius, b.radius)
