"""The l2 distance of two images, with its rounding error bounded.

Radii of a memory must not overlap by as little as a rounding error, so distances are computed with
their error bounded (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1: a sum of
n products has a relative error of at most n u / (1 - n u), u = 2^-53, in whatever order it is
added).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_U = 2.0**-53
_UNDERFLOW = (
    1e-150  # more than squares too small for double precision can hide, up to 10^20 of them
)


@dataclass(frozen=True)
class Distance:
    """An l2 distance d with ``low <= d <= high``, both very close."""

    low: float
    high: float


def distance(x: ArrayLike, y: ArrayLike) -> Distance:
    """The distance of two points of any, but the same, shape."""
    (found,) = distances(np.asarray(x)[None], y)
    return found


def distances(points: ArrayLike, x: ArrayLike) -> list[Distance]:
    """Distances of points [m, ...] from x [...]; coordinates of up to double precision."""
    many = np.asarray(points, dtype=np.float64)
    many = many.reshape(len(many), -1)
    one = np.asarray(x, dtype=np.float64).reshape(1, -1)
    difference = many - one  # [m, n]
    squares = np.einsum("ij,ij->i", difference, difference)
    gamma = _gamma(one.size)
    found = []
    for i, square in enumerate(squares.tolist()):
        if square == 0.0 and not difference[i].any():
            found.append(Distance(0.0, 0.0))
            continue
        d = math.sqrt(square)
        found.append(Distance(max(0.0, d * (1 - gamma) - _UNDERFLOW), d * (1 + gamma) + _UNDERFLOW))
    return found


def _gamma(n: int) -> float:
    """Relative error of a distance over n coordinates: half that of the sum of squares, each with
    two roundings of its difference and one of itself, and some room for the root and its use."""
    return (n + 3) * _U / 2 * 1.01 + 8 * _U
