"""Which balls of different class come closest: projections first, then the images themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ddrs_core.smoothing.memory.directed_rounding import add_upward, sub_downward
from ddrs_core.smoothing.memory.distance import Distance, distance
from ddrs_core.smoothing.memory.rules import Ball
from ddrs_core.store.bank.images import Pixels
from ddrs_core.store.bank.index import PRODUCT_ERROR, margin

_ROWS = 256  # of pairs looked at together
_COLUMNS = 4096
_KEPT = 100  # overlaps that are listed
_CACHED_BYTES = 64 * 2**20  # of images


@dataclass(frozen=True)
class Pair:
    """Two balls of different class; ``gap`` lies between them, negative where they overlap."""

    a: Ball
    b: Ball
    distance: Distance
    gap: float  # distance less both radii, rounded down


class ClosestPairs:
    """Compares all pairs of different class.

    Args:
        shape: of the images.
        balls: all of them.
        points: [M, k] their projections.
        read_image: the image [C, H, W] of a ball, by its id.

    Attributes:
        tightest: the pair that comes closest.
        overlaps: pairs that overlap, the first hundred.
        measured: number of pairs that were compared exactly.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        balls: Sequence[Ball],
        points: Sequence[NDArray[np.float32]],
        read_image: Callable[[int], Pixels],
    ) -> None:
        self.tightest: Pair | None = None
        self.overlaps: list[Pair] = []
        self.measured = 0
        self._balls = balls
        self._margin = margin(shape)
        self._points = np.stack(points) if balls else np.empty((0, 1), np.float32)
        self._radii = np.array([ball.radius for ball in balls])
        self._classes = np.array([ball.prediction for ball in balls])
        self._image = lru_cache(maxsize=max(8, _CACHED_BYTES // (4 * math.prod(shape))))(read_image)

    def compare(self) -> None:
        """Compare them."""
        norms = np.einsum("ij,ij->i", self._points, self._points)  # float32, as all below
        with np.errstate(over="ignore"):
            radii = self._radii.astype(np.float32)
        count = len(self._balls)
        for top in range(0, count, _ROWS):
            rows = slice(top, min(top + _ROWS, count))
            for left in range(top, count, _COLUMNS):
                columns = slice(left, min(left + _COLUMNS, count))
                with np.errstate(over="ignore"):
                    # A hundred-thousandth is more than some roundings, of float32, can hide.
                    reach = radii[rows, None] + radii[columns]
                    reach = (reach + np.float32(self._bound + 4 * self._margin)) * np.float32(
                        1 + 1e-5
                    )
                    squares = norms[rows, None] + norms[columns]
                    squares *= np.float32(1 - 2 * PRODUCT_ERROR)
                    squares -= 2 * (self._points[rows] @ self._points[columns].T)
                    near = squares <= reach * reach
                near &= self._classes[rows, None] != self._classes[columns]
                i, j = np.nonzero(near)
                self._measure_closest(i + top, j + left)

    @property
    def _bound(self) -> float:
        """Pairs that are certainly further apart need not be measured."""
        return math.inf if self.tightest is None else max(self.tightest.gap, 0.0)

    def _measure_closest(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
        rows, columns = rows[rows < columns], columns[rows < columns]
        gaps = np.concatenate(
            [
                self._gaps(rows[first : first + _COLUMNS], columns[first : first + _COLUMNS])
                for first in range(0, max(1, len(rows)), _COLUMNS)
            ]
        )
        for k in np.argsort(gaps):
            if gaps[k] > self._bound:
                break
            self._measure(int(rows[k]), int(columns[k]))

    def _gaps(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
        """Lower bounds of gaps, from the projections."""
        apart = np.linalg.norm(self._points[a].astype(np.float64) - self._points[b], axis=1)
        radii = (self._radii[a] + self._radii[b]) * (1 + 1e-12)
        return np.asarray(apart * (1 - 2e-9) - self._margin - radii)

    def _measure(self, i: int, j: int) -> None:
        self.measured += 1
        a, b = self._balls[i], self._balls[j]
        x, y = self._image(a.id), self._image(b.id)
        apart = distance(x, y)
        gap = sub_downward(apart.low, add_upward(a.radius, b.radius))
        surely = sub_downward(a.radius, -b.radius) > apart.high  # rational numbers take long
        if gap < 0 and not surely and not _overlap_exactly(x, y, a.radius, b.radius):
            gap = 0.0
        found = Pair(a, b, apart, gap)
        if gap < 0 and len(self.overlaps) < _KEPT:
            self.overlaps.append(found)
        if self.tightest is None or gap < self.tightest.gap:
            self.tightest = found


def _overlap_exactly(x: Pixels, y: Pixels, a: float, b: float) -> bool:
    """(a + b)^2 > |x - y|^2, as rational numbers."""
    differences = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
    square = sum(((Fraction(p) - Fraction(q)) ** 2 for p, q in differences), Fraction(0))
    return (Fraction(a) + Fraction(b)) ** 2 > square
