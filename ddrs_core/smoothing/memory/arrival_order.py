"""A memory's answers depend on the order of arrival: the same certificates in many orders.

Distances do not depend on the order, so they are bounded once for all orders; what remains is
cheap enough for a hundred orders of a few hundred images in seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddrs_core.errors import InvalidParameterError, require_count
from ddrs_core.quantities import counted
from ddrs_core.smoothing.certificate import ABSTAIN
from ddrs_core.smoothing.memory.distance import Distance, distances
from ddrs_core.smoothing.memory.rules import Ball, Outcome, Settlement, check_claim, settle

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Distances:
    """Bounds of all distances between m points; both [m, m], symmetric."""

    low: _Floats
    high: _Floats

    @classmethod
    def between(cls, points: ArrayLike) -> Distances:
        """The distances of ``points`` [m, ...] from one another."""
        many = np.asarray(points, dtype=np.float64)
        m = len(many)
        low, high = np.zeros((m, m)), np.zeros((m, m))
        for i in range(m - 1):
            found = distances(many[i + 1 :], many[i])
            low[i, i + 1 :] = [d.low for d in found]
            high[i, i + 1 :] = [d.high for d in found]
        return cls(low + low.T, high + high.T)

    def __len__(self) -> int:
        return len(self.low)

    def of(self, i: int, j: int) -> Distance:
        """The distance of points i and j."""
        return Distance(float(self.low[i, j]), float(self.high[i, j]))


class KnownPointsMemory:
    """A memory without a database, of points that are known beforehand.

    Balls are numbered by their arrival. Those that enter no index are not looked at, since they
    change no settlement.
    """

    def __init__(self, known: Distances) -> None:
        self._known = known
        self._rows = np.zeros(len(known), dtype=np.int64)  # points of the indexed balls
        self._radii = np.zeros(len(known))
        self._balls: list[Ball] = []
        self._arrived = 0

    def add(self, row: int, prediction: int, radius: float) -> Settlement:
        """Settle the certificate of point ``row`` and store the result.

        Raises:
            InvalidParameterError: if class and radius make no sense, or too many were added.
        """
        size = len(self._balls)
        if self._arrived == len(self._rows):
            raise InvalidParameterError(
                f"This memory was made for {counted(self._arrived, 'point')}."
            )
        to_all = self._known.low[row, self._rows[:size]]
        may_touch = to_all <= np.nextafter(self._radii[:size] + radius, np.inf)
        near = [
            (self._balls[i], self._known.of(row, int(self._rows[i])))
            for i in np.flatnonzero(may_touch)
        ]
        settlement = settle(prediction, radius, near)
        if settlement.enters_index:
            self._rows[size], self._radii[size] = row, settlement.radius
            self._balls.append(Ball(self._arrived, settlement.prediction, settlement.radius))
        self._arrived += 1
        return settlement


@dataclass(frozen=True)
class Arrival:
    """The certificate that arrived at ``position``, that of point ``row``, and its outcome."""

    position: int  # 0, 1, ...
    row: int
    settlement: Settlement


def replay(
    known: Distances,
    predictions: Sequence[int],
    radii: Sequence[float],
    order: Sequence[int] | None = None,
) -> Iterator[Arrival]:
    """Settle m certificates one after the other into an empty memory.

    Args:
        known: distances of the m points.
        predictions: certified classes [m], ``ABSTAIN`` among them.
        radii: certified radii [m].
        order: which point comes first, second, ...; as given when omitted.

    Yields:
        One :class:`Arrival` a certificate. A ball's id is the position of its arrival.

    Raises:
        InvalidParameterError: if lengths differ, the order is not complete, or a class and its
            radius contradict each other.
    """
    classes, claimed = check_claims(known, predictions, radii)
    rows = list(range(len(known))) if order is None else [int(row) for row in order]
    if sorted(rows) != list(range(len(known))):
        raise InvalidParameterError(f"An order names each image once, and there are {len(known)}.")
    return _replay(known, classes, claimed, rows)


def _replay(
    known: Distances, predictions: list[int], radii: list[float], order: list[int]
) -> Iterator[Arrival]:
    memory = KnownPointsMemory(known)
    for position, row in enumerate(order):
        yield Arrival(position, row, memory.add(row, predictions[row], radii[row]))


@dataclass(frozen=True)
class OrderResult:
    """The answers that one order of arrival leads to; arrays are [m], by point."""

    number: int  # 0 is the order in which the certificates were given
    total: int
    order: tuple[int, ...]
    predictions: _Ints
    radii: _Floats
    outcomes: tuple[tuple[Outcome, int], ...]  # how many certificates had which outcome

    @property
    def mean_radius(self) -> float:
        """Mean settled radius; an abstention counts as 0."""
        return float(self.radii.mean()) if len(self.radii) else 0.0

    @property
    def abstained(self) -> float:
        """Share of images that stayed without an answer."""
        return float((self.predictions == ABSTAIN).mean()) if len(self.predictions) else 0.0


def replay_orders(
    known: Distances,
    predictions: Sequence[int],
    radii: Sequence[float],
    *,
    shuffles: int = 100,
    seed: int = 0,
) -> Iterator[OrderResult]:
    """Replay the certificates as given, and then in ``shuffles`` random orders.

    Yields:
        One :class:`OrderResult` an order; see :func:`summarise_orders`.

    Raises:
        InvalidParameterError: if lengths differ, a claim makes no sense or there are no shuffles.
    """
    classes, claimed = check_claims(known, predictions, radii)
    shuffles = require_count("shuffles", shuffles, at_most=100_000)
    return _replay_orders(known, classes, claimed, shuffles, seed)


def _replay_orders(
    known: Distances, predictions: list[int], radii: list[float], shuffles: int, seed: int
) -> Iterator[OrderResult]:
    m = len(known)
    rng = np.random.Generator(np.random.PCG64(seed))
    order = list(range(m))
    for number in range(shuffles + 1):
        answers, held = np.full(m, ABSTAIN, dtype=np.int64), np.zeros(m)
        counts: Counter[Outcome] = Counter()
        for arrival in _replay(known, predictions, radii, order):
            settlement = arrival.settlement
            answers[arrival.row], held[arrival.row] = settlement.prediction, settlement.radius
            counts[settlement.outcome] += 1
        outcomes = tuple((outcome, counts[outcome]) for outcome in Outcome)
        yield OrderResult(number, shuffles + 1, tuple(order), answers, held, outcomes)
        order = [int(row) for row in rng.permutation(m)]


@dataclass(frozen=True)
class ChangingImage:
    """A point whose class depends on the order of arrival."""

    row: int
    answers: tuple[tuple[int, int], ...]  # class and number of orders, the most frequent first


@dataclass(frozen=True)
class OrderStudy:
    """What depends on the order of arrival, and what does not."""

    orders: int
    changed_share: _Floats  # [orders], predictions that differ from those of the first order
    mean_radius: _Floats  # [orders]
    changing: tuple[ChangingImage, ...]  # those whose class is not the same in all orders
    radius_spread: _Floats  # [m], largest minus smallest radius

    @property
    def changing_share(self) -> float:
        """Share of images whose class depends on the order."""
        return len(self.changing) / max(1, len(self.radius_spread))


def summarise_orders(results: Sequence[OrderResult]) -> OrderStudy:
    """Compare the answers of several orders.

    Raises:
        InvalidParameterError: if there is no result.
    """
    if not results:
        raise InvalidParameterError("There is no order to summarise.")
    answers = np.stack([result.predictions for result in results])  # [orders, m]
    radii = np.stack([result.radii for result in results])
    changing = []
    for row in np.flatnonzero((answers != answers[0]).any(axis=0)):
        found = Counter(int(c) for c in answers[:, row])
        ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
        changing.append(ChangingImage(int(row), tuple(ranked)))
    m = answers.shape[1]
    changed = (answers != answers[0]).sum(axis=1) / max(1, m)
    means = np.array([result.mean_radius for result in results])
    return OrderStudy(len(results), changed, means, tuple(changing), np.ptp(radii, axis=0))


def check_claims(
    known: Distances, predictions: Sequence[int], radii: Sequence[float]
) -> tuple[list[int], list[float]]:
    """Classes and radii [m] as plain numbers; raises InvalidParameterError if they cannot be."""
    classes, claimed = [int(c) for c in predictions], [float(r) for r in radii]
    if not len(known) == len(classes) == len(claimed):
        raise InvalidParameterError(
            f"Each image needs a class and a radius: there are {counted(len(known), 'image')}, "
            f"but {len(classes)} and {len(claimed)}."
        )
    for prediction, radius in zip(classes, claimed, strict=True):
        check_claim(prediction, radius)
    return classes, claimed
