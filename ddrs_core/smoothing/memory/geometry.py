"""Faithful drawings of balls in many dimensions: a plane through three points preserves their
distances exactly, and cuts every other ball in a circle or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing.memory.rules import Part, Settlement

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Section:
    """What a plane shows of a ball: a circle around the foot of the perpendicular."""

    centre: tuple[float, float]  # in the plane
    height: float  # distance of the ball's centre from the plane
    radius: float  # of the circle; 0 where the plane misses the ball

    @property
    def is_cut(self) -> bool:
        """Whether the plane meets the inside of the ball."""
        return self.radius > 0


@dataclass(frozen=True)
class Plane:
    """A plane in R^n with orthonormal coordinates; the query lies at (0, 0)."""

    origin: _Floats  # [n]
    axes: _Floats  # [2, n]; orthonormal, but a row is 0 where R^n has no further direction
    points: _Floats  # [k, 2]: the points that span it; their distances are exact to rounding

    def section(self, centre: ArrayLike, radius: float) -> Section:
        """The plane's section with the ball of ``radius`` around ``centre`` [...]."""
        if _flat(centre).shape != self.origin.shape:
            raise InvalidParameterError("The ball and the plane are not of the same space.")
        way = _flat(centre) - self.origin
        x, y = (self.axes @ way).tolist()
        height = float(np.linalg.norm(way - x * self.axes[0] - y * self.axes[1]))
        below = (radius - height) * (radius + height)
        return Section((x, y), height, math.sqrt(below) if radius > height else 0.0)


def plane_through(query: ArrayLike, *others: ArrayLike) -> Plane:
    """The plane through a query and up to two centres, images of any, but the same, shape.

    The first centre lies on the positive horizontal axis, the second not below it. Points that
    coincide, or lie on one line, leave a direction open; it is then chosen along the coordinate
    that the line uses least.

    Raises:
        InvalidParameterError: for more than two centres, or points of different spaces.
    """
    origin = _flat(query)
    ways = [_flat(other) - origin for other in others if _flat(other).shape == origin.shape]
    if len(ways) != len(others):
        raise InvalidParameterError("The points of a plane must be images of one shape.")
    if len(ways) > 2:
        raise InvalidParameterError(f"A plane goes through 2 further points, not {len(ways)}.")
    rows: list[_Floats] = []
    for way in ways:
        rows += _direction(way, rows)
    for _ in range(2 - len(rows)):
        rows.append(_free_direction(rows, len(origin)))
    axes = np.stack(rows)
    points = np.zeros((1 + len(ways), 2))
    for i, way in enumerate(ways):
        points[i + 1] = axes @ way
    if len(ways) == 2:
        points[1, 1] = 0.0  # by construction
    return Plane(origin, axes, points)


_SAME_LINE = 1e-14  # relative height below which a point is on the line, to rounding


def _direction(way: _Floats, known: Sequence[_Floats]) -> list[_Floats]:
    """The unit vector along the part of ``way`` that is orthogonal to those known, if any."""
    length = float(np.linalg.norm(way))
    rest = way
    for _ in range(2):  # the second time removes what rounding left (Kahan: twice is enough)
        for row in known:
            rest = rest - (row @ rest) * row
    left = float(np.linalg.norm(rest))
    return [rest / left] if left > _SAME_LINE * length else []


def _free_direction(known: Sequence[_Floats], n: int) -> _Floats:
    used = np.sum(np.square(known), axis=0) if len(known) else np.zeros(n)
    unit = np.zeros(n)
    unit[int(np.argmin(used))] = 1.0
    found = _direction(unit, known)
    return found[0] if found and len(known) < n else np.zeros(n)


def deciding_parts(settlement: Settlement, most: int = 2) -> tuple[Part, ...]:
    """The balls that matter most: the one that decided first, then those whose surface the query
    has crossed deepest or is nearest to.
    """
    by = settlement.by

    def rank(part: Part) -> tuple[bool, float, int]:
        return (by is None or part.ball.id != by.id, part.slack, part.ball.id)

    return tuple(sorted(settlement.parts, key=rank)[:most])


@dataclass(frozen=True)
class Embedding:
    """A flat map of points, at their true scale, and how far it deviates.

    Distances on the map are never longer than the true ones, so neighbours stay neighbours, but
    points that are far apart may lie on top of one another.
    """

    points: _Floats  # [m, 2]
    kept: float  # share of the variance that two dimensions hold
    distortion: Distortion


@dataclass(frozen=True)
class Distortion:
    """How distances on a map deviate from the true ones, over all pairs that were measured."""

    stress: float  # Kruskal's stress-1: root of sum (d_map - d)^2 / sum d^2
    tolerance: float
    wrong_share: float  # share of pairs that deviate by more than ``tolerance``, relatively
    by_point: _Floats  # [m]: the stress of the pairs of each point
    measured: int  # points whose distances from all were measured

    @property
    def text(self) -> str:
        """A sentence to show beside the map."""
        return (
            f"{self.wrong_share:.0%} of the distances on this map are wrong by more than "
            f"{self.tolerance:.0%}; overall they deviate by {self.stress:.0%} (stress)."
        )


_FITTED = 500  # points that decide the map's axes, and whose distances are measured, at most


def embed(points: ArrayLike, *, tolerance: float = 0.1) -> Embedding:
    """A map of ``points`` [m, ...] by principal components, which is classical scaling.

    The same points give the same map: every axis points to where its largest coordinate is
    positive. Of more than 500 points, 500 evenly spaced ones decide.

    Args:
        points: images of one shape.
        tolerance: relative deviation from which a distance counts as wrong.
    """
    many = np.asarray(points, dtype=np.float64)
    m = len(many)
    if m < 2:
        quiet = Distortion(0.0, tolerance, 0.0, np.zeros(m), m)
        return Embedding(np.zeros((m, 2)), 1.0, quiet)
    many = many.reshape(m, -1)
    chosen = np.unique(np.linspace(0, m - 1, min(m, _FITTED)).round().astype(np.int64))
    fitted = many[chosen] - many[chosen].mean(axis=0)
    _, lengths, axes = np.linalg.svd(fitted, full_matrices=False)  # [r], [r, n]
    rank = min(2, len(lengths))
    flat = np.zeros((m, 2))
    flat[:, :rank] = (many - many[chosen].mean(axis=0)) @ axes[:rank].T
    for axis in range(rank):
        if flat[np.abs(flat[:, axis]).argmax(), axis] < 0:
            flat[:, axis] *= -1
    total = float((lengths**2).sum())
    kept = float((lengths[:rank] ** 2).sum()) / total if total > 0 else 1.0
    return Embedding(flat, kept, measure_distortion(many, flat, chosen, tolerance))


def measure_distortion(
    points: _Floats, flat: _Floats, chosen: NDArray[np.int64], tolerance: float
) -> Distortion:
    """Compare distances of points [m, n] with those of their images [m, 2], over all pairs of a
    chosen point with any other."""
    true, shown = cdist(points, points[chosen]), cdist(flat, flat[chosen])  # [m, c]
    error = np.abs(shown - true)
    pairs = true > 0
    wrong = (error > tolerance * true) & pairs
    squares = (true**2).sum(axis=1)
    by_point = np.sqrt((error**2).sum(axis=1) / np.where(squares > 0, squares, 1.0))
    everything = float(squares.sum())
    stress = math.sqrt(float((error**2).sum()) / everything) if everything > 0 else 0.0
    share = float(wrong.sum() / max(1, int(pairs.sum())))
    return Distortion(stress, tolerance, share, by_point, len(chosen))


def _flat(image: ArrayLike) -> _Floats:
    return np.asarray(image, dtype=np.float64).reshape(-1)
