"""Which balls of different class come closest: projections first, then the images themselves."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ddrs_core.smoothing.memory.directed_rounding import (
    Distance,
    add_upward,
    distance,
    sub_downward,
)
from ddrs_core.smoothing.memory.rules import Ball
from ddrs_core.store.bank.bank_projection import margin
from ddrs_core.store.bank.images import Pixels

_ROWS, _COLUMNS = 256, 8192  # pairs looked at together
_FIRST = 100  # pairs that are measured to begin with
_KEPT = 100  # overlaps that are listed
_FLOAT32_ERROR = 4 * (64 + 8) * 2.0**-24  # of a squared distance, in largest squared norms
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
        self._order = np.argsort(self._points[:, 0], kind="stable")
        self._points = self._points[self._order]  # by the first coefficient
        self._radii = np.array([ball.radius for ball in balls])[self._order]
        self._classes = np.array([ball.prediction for ball in balls])[self._order]
        size = max(8, _CACHED_BYTES // (4 * math.prod(shape)))
        self._image = lru_cache(maxsize=size)(read_image)
        self._seen: set[tuple[int, int]] = set()

    @property
    def _bound(self) -> float:
        """Pairs that are certainly further apart need not be measured."""
        return math.inf if self.tightest is None else max(self.tightest.gap, 0.0)

    def compare(self, likely: Mapping[int, int]) -> None:
        """Compare them; ``likely`` are ids of pairs that may well touch, to begin with."""
        if len(self._balls) < 2:
            return
        self._begin(likely)
        norms = np.einsum("ij,ij->i", self._points, self._points)
        error = _FLOAT32_ERROR * float(norms.max()) + 1e-30
        most, first = float(self._radii.max()), self._points[:, 0].astype(np.float64)
        radii = self._radii.astype(np.float32) * np.float32(1 + 1e-6)
        for top in range(0, len(first), _ROWS):
            rows = slice(top, min(top + _ROWS, len(first)))
            width = float(self._radii[rows].max()) + most + self._bound
            last = int(np.searchsorted(first, first[rows.stop - 1] + width * 1.001 + self._margin))
            for left in range(top, max(last, rows.stop), _COLUMNS):
                columns = slice(left, min(left + _COLUMNS, max(last, rows.stop)))
                with np.errstate(over="ignore"):
                    reach = radii[rows, None] + radii[columns] + self._slack()
                    squares = norms[rows, None] + norms[columns]
                    squares -= 2 * (self._points[rows] @ self._points[columns].T)
                    near = squares - np.float32(error) <= reach * reach * np.float32(1 + 1e-6)
                i, j = np.nonzero(near)
                self._measure_closest(i + top, j + left)

    def _slack(self) -> np.float32:
        return np.float32(self._bound * (1 + 1e-6) + 4 * self._margin)

    def _begin(self, likely: Mapping[int, int]) -> None:
        """Measure some pairs that are likely to be close, so that few others are left."""
        places = {ball.id: i for i, ball in enumerate(self._balls)}
        position = np.empty(len(self._order), np.int64)
        position[self._order] = np.arange(len(self._order))
        known = [
            (position[places[a]], position[places[b]])
            for a, b in likely.items()
            if a in places and b in places
        ]
        known = [(a, b) for a, b in known if self._classes[a] != self._classes[b]][:_FIRST]
        neighbours = [(i, i + step) for step in (1, 2, 3) for i in range(len(self._order) - step)]
        pairs = np.array(known + neighbours)
        pairs = pairs[self._classes[pairs[:, 0]] != self._classes[pairs[:, 1]]]
        if not len(pairs):
            return
        gaps = self._gaps(pairs[:, 0], pairs[:, 1])
        for i in np.argsort(gaps)[:_FIRST]:
            self._measure(int(pairs[i, 0]), int(pairs[i, 1]))

    def _measure_closest(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
        wanted = (rows < columns) & (self._classes[rows] != self._classes[columns])
        rows, columns = rows[wanted], columns[wanted]
        if not len(rows):
            return
        gaps = self._gaps(rows, columns)
        for gap, i in _ascending(gaps):
            if gap > self._bound:
                break
            self._measure(int(rows[i]), int(columns[i]))

    def _gaps(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
        """Lower bounds of gaps, from the projections."""
        found = np.empty(len(a))
        for begin in range(0, len(a), _COLUMNS):
            part = slice(begin, begin + _COLUMNS)
            apart = self._points[a[part]].astype(np.float64) - self._points[b[part]]
            found[part] = np.sqrt(np.einsum("ij,ij->i", apart, apart)) * (1 - 2e-9)
        return found - self._margin - (self._radii[a] + self._radii[b]) * (1 + 1e-12)

    def _measure(self, i: int, j: int) -> None:
        pair = tuple(sorted((int(self._order[i]), int(self._order[j]))))
        if pair in self._seen:
            return
        self._seen.add((pair[0], pair[1]))
        self.measured += 1
        a, b = self._balls[pair[0]], self._balls[pair[1]]
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


def _ascending(values: NDArray[np.float64]) -> Iterator[tuple[float, int]]:
    """Values with their places, the smallest first; cheap where only few are taken."""
    heap = list(zip(values.tolist(), range(len(values)), strict=True))
    heapq.heapify(heap)
    while heap:
        yield heapq.heappop(heap)


def _overlap_exactly(x: Pixels, y: Pixels, a: float, b: float) -> bool:
    """(a + b)^2 > |x - y|^2, as rational numbers."""
    differences = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
    square = sum(((Fraction(p) - Fraction(q)) ** 2 for p, q in differences), Fraction(0))
    return (Fraction(a) + Fraction(b)) ** 2 > square
