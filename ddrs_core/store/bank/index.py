"""Which stored balls may lie near an image: a filter that never misses one.

For each ball that matters, the index stores class, radius and a projection of the centre. One
float32 matrix product gives the distances of all projections; the images of the few balls that
may be near are then compared exactly.

A projection is the first coefficients of an orthonormal cosine transform (DCT-II) over channels,
rows and columns: it lengthens no distance, and low frequencies hold most of the distance between
photographs. (The same product with whole CIFAR-10 images needs 110 ms instead of 1 ms for
100,000 balls, and 1.2 GB instead of 27 MB.)
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection, select

from ddrs_core.smoothing.memory.rules import Ball
from ddrs_core.store.errors import StoreError, UnknownEntryError
from ddrs_core.store.schema import balls, banks

COEFFICIENTS = 64
_CENTRE = 0.5
_CHANNEL_STEP = 3.0  # a difference of colours weighs as little as the third frequency of brightness
_STRETCH = 1 + 1e-9  # the computed transform is orthonormal up to some 1e-14
# Of one coordinate: rounding to float32 (2^-24 / 2 of pixels that are at most 1/2 from the centre)
# and of the transform (some 1e-14), for both of the points, and room besides.
_ROUNDING = 1e-7
# Of a product of two projections, relative to the product of their norms (Higham, section 3.1).
PRODUCT_ERROR = (COEFFICIENTS + 8) * 2.0**-24

GENESIS = ""  # fingerprint of a bank without balls
_ROWS = 4096  # loaded at a time
_MOST_BYTES = 512 * 2**20  # of all the indices of this process
_BALL = np.dtype([("id", "i8"), ("prediction", "i8"), ("radius", "f8"), ("norm", "f8")])


def project(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Project images [M, C, H, W] with pixels in [0, 1] to [M, k]."""
    shape = images.shape[1:]
    chosen = frequencies(shape)
    moved = images.astype(np.float64) - _CENTRE
    for axis, size in enumerate(shape):  # each contraction puts its axis last, so the order stays
        most = max(frequency[axis] for frequency in chosen) + 1
        moved = np.tensordot(moved, _cosines(size, most), axes=([1], [1]))
    found = moved[(slice(None), *np.array(chosen).T)]
    return np.ascontiguousarray(found, dtype=np.float32)


def margin(shape: tuple[int, ...]) -> float:
    """What rounding may add to the distance of two projections of images of that shape."""
    return _ROUNDING * math.sqrt(math.prod(shape))


def reach(radii: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Projections further apart than this belong to images that are further apart than radii."""
    return radii * _STRETCH + margin(shape)


@lru_cache(maxsize=64)
def frequencies(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The frequencies of a projection, by axis, the most telling first."""
    weights = [_CHANNEL_STEP] * (len(shape) - 2) + [1.0] * min(2, len(shape))
    counts = [min(size, COEFFICIENTS) for size in shape]
    if math.prod(counts) > 10**5:  # large images have more than enough low ones
        counts = [min(size, 16) for size in shape]
    every = np.array(list(np.ndindex(*counts)))
    order = np.argsort(((every * weights) ** 2).sum(1), kind="stable")
    return tuple(tuple(int(n) for n in every[i]) for i in order[:COEFFICIENTS])


@lru_cache(maxsize=64)
def _cosines(size: int, most: int) -> NDArray[np.float64]:
    """The first ``most`` rows of the orthonormal DCT-II of ``size`` points: [most, size]."""
    rows, columns = np.arange(most)[:, None], np.arange(size)[None]
    waves = np.cos(math.pi * (2 * columns + 1) * rows / (2 * size)) * math.sqrt(2 / size)
    waves[0] /= math.sqrt(2)
    return waves


class BankIndex:
    """The balls of one bank that later settlements look at.

    Args:
        shape: of the images.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.size = 0
        self._balls = np.empty(0, _BALL)  # with room for more, as the points
        self._points = np.empty((0, len(frequencies(self._shape))), np.float32)  # [room, k]

    @property
    def nbytes(self) -> int:
        """Memory that it occupies."""
        return self._balls.nbytes + self._points.nbytes

    def add(self, added: Sequence[Ball], projections: ArrayLike) -> None:
        """Add balls with the projections [M, k] of their centres."""
        if not added:
            return
        first, self.size = self.size, self.size + len(added)
        if self.size > len(self._balls):
            room = max(self.size, len(self._balls) * 3 // 2, 64)
            self._balls = _enlarged(self._balls, room)
            self._points = _enlarged(self._points, room)
        points = np.asarray(projections, np.float64)
        self._points[first : self.size] = points
        self._balls[first : self.size] = [
            (ball.id, ball.prediction, ball.radius, norm)
            for ball, norm in zip(added, (points**2).sum(1), strict=True)
        ]

    def near(self, projection: NDArray[np.float32], radius: float) -> list[Ball]:
        """All balls that a ball of that radius may touch, and perhaps others; by id."""
        known, points = self._balls[: self.size], self._points[: self.size]
        point = projection.astype(np.float64)
        with np.errstate(over="ignore"):
            furthest = reach(known["radius"] + radius, self._shape) ** 2
        norms = known["norm"] + point @ point  # at least twice the product of the two
        squares = norms - 2 * (points @ projection) - PRODUCT_ERROR * norms
        left = np.flatnonzero(squares <= furthest)
        squares = ((points[left] - point) ** 2).sum(1)
        left = left[squares <= furthest[left]]
        return [Ball(int(b["id"]), int(b["prediction"]), float(b["radius"])) for b in known[left]]


def _enlarged(array: NDArray[Any], room: int) -> NDArray[Any]:
    larger = np.empty((room, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


class LoadedIndex:
    """The index of a stored bank, which follows what any process adds to the bank."""

    def __init__(self, bank_id: str, shape: tuple[int, ...]) -> None:
        self._bank_id = bank_id
        self._shape = shape
        self._lock = threading.Lock()
        self._index = BankIndex(shape)
        self._serial, self._fingerprint = 0, GENESIS  # of the last ball that it knows of

    @property
    def nbytes(self) -> int:
        """Memory that it occupies."""
        return self._index.nbytes

    def near(
        self,
        connection: Connection,
        projection: NDArray[np.float32],
        radius: float,
        fingerprint: str | None = None,
    ) -> list[Ball]:
        """Like :meth:`BankIndex.near`, for all balls that are stored.

        Args:
            connection: of a transaction in which nothing was read yet, or which holds the bank.
            projection: of the image.
            radius: about it.
            fingerprint: of the bank, for one who holds it and has read it.

        Raises:
            UnknownEntryError: if the bank does not exist.
            StoreError: if its balls have been changed by other means.
        """
        with self._lock:  # first the lock, then the query: what others have loaded is seen, too
            expected = self._current(connection) if fingerprint is None else fingerprint
            if expected != self._fingerprint:
                self._follow(connection)
            if fingerprint is not None and fingerprint != self._fingerprint:
                raise StoreError(
                    "Balls of this memory bank have been changed by other means. `memory check` "
                    "says which."
                )
            return self._index.near(projection, radius)

    def _current(self, connection: Connection) -> str:
        chosen = select(banks.c.fingerprint).where(banks.c.id == self._bank_id)
        found = connection.execute(chosen).scalar()
        if found is None:
            raise unknown_bank(self._bank_id)
        return str(found)

    def _follow(self, connection: Connection) -> None:
        """Load what has been added, or everything if it is not the bank that is known."""
        columns = balls.c
        if self._serial:
            chosen = select(columns.fingerprint).where(
                columns.bank_id == self._bank_id, columns.serial == self._serial
            )
            if connection.execute(chosen).scalar() != self._fingerprint:
                self._index.clear()
                self._serial, self._fingerprint = 0, GENESIS
        chosen = (
            select(balls)
            .where(columns.bank_id == self._bank_id, columns.serial > self._serial)
            .order_by(columns.serial)
        )
        rows = connection.execute(chosen.execution_options(yield_per=_ROWS))
        for part in rows.partitions():
            indexed = [row for row in part if row.indexed]
            self._index.add(
                [Ball(row.serial, row.prediction, row.radius) for row in indexed],
                [self._point(row) for row in indexed],
            )
            self._serial, self._fingerprint = part[-1].serial, part[-1].fingerprint

    def _point(self, row: Any) -> NDArray[np.float32]:
        sound = math.isfinite(row.radius) and row.radius >= 0
        if not sound or len(row.projection) != 4 * len(frequencies(self._shape)):
            raise StoreError(f"Ball {row.serial} of this memory bank is damaged.")
        return np.frombuffer(row.projection, "<f4")


def unknown_bank(name: str) -> UnknownEntryError:
    """The error for a memory bank that does not exist."""
    return UnknownEntryError(f"There is no memory bank {str(name)[:60]!r} here.")


_loaded: OrderedDict[tuple[str, str], LoadedIndex] = OrderedDict()  # the last used at the end
_lock = threading.Lock()


def loaded_index(database: str, bank_id: str, shape: tuple[int, ...]) -> LoadedIndex:
    """The index that all users of a bank in this process share."""
    with _lock:
        key = (database, bank_id)
        found = _loaded.pop(key, None) or LoadedIndex(bank_id, shape)
        _loaded[key] = found
        while len(_loaded) > 1 and sum(index.nbytes for index in _loaded.values()) > _MOST_BYTES:
            _loaded.popitem(last=False)
        return found


def _forget() -> None:
    """In a forked child: another thread of the parent may have held a lock."""
    global _lock
    _lock = threading.Lock()
    _loaded.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
