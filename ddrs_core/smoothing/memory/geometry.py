"""Faithful drawings of balls in many dimensions: a plane through three points preserves their
distances exactly, and cuts every other ball in a circle or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def _flat(image: ArrayLike) -> _Floats:
    return np.asarray(image, dtype=np.float64).reshape(-1)
