"""Which stored balls may lie near an image: a filter that never misses one.

For each ball that matters it keeps class, radius and a projection of the centre (see
:mod:`bank_projection`), 64 float32 numbers whatever the size of the images. What passes it is
compared exactly, image by image.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from ddrs_core.smoothing.memory.rules import Ball
from ddrs_core.store.bank.bank_projection import frequencies, margin, reach
from ddrs_core.store.errors import StoreError, UnknownEntryError
from ddrs_core.store.schema import balls, banks

GENESIS = ""  # fingerprint of a bank without balls
_STAGES = (1, 4, 16)  # after so many coefficients one looks who is left
_FLOAT32 = 1 + 1e-6  # more than a few roundings to float32
_ROWS = 4096  # loaded at a time
_MOST_BYTES = 512 * 2**20  # of all the indices of this process


@dataclass(frozen=True)
class StoredPoint:
    """What the index knows of a ball."""

    ball: Ball
    projection: NDArray[np.float32]


class BankIndex:
    """The balls of one bank that later settlements look at.

    Args:
        shape: of the images.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._margin = margin(shape)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.size = 0
        self._coefficients = np.empty((0, 0), np.float32)  # [k, room]
        self._radii = np.empty(0)
        self._reach = np.empty(0, np.float32)  # radii, rounded up
        self._predictions = np.empty(0, np.int64)
        self._ids = np.empty(0, np.int64)

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        kept = (self._coefficients, self._radii, self._reach, self._predictions, self._ids)
        return sum(array.nbytes for array in kept)

    def add(self, points: list[StoredPoint]) -> None:
        """Add balls."""
        if not points:
            return
        first, last = self.size, self.size + len(points)
        self._make_room(last, len(points[0].projection))
        self._coefficients[:, first:last] = np.stack([p.projection for p in points], axis=1)
        radii = np.array([p.ball.radius for p in points])
        with np.errstate(over="ignore"):
            self._reach[first:last] = radii * _FLOAT32
        self._radii[first:last] = radii
        self._predictions[first:last] = [p.ball.prediction for p in points]
        self._ids[first:last] = [p.ball.id for p in points]
        self.size = last

    def near(self, projection: NDArray[np.float32], radius: float) -> list[Ball]:
        """All balls that a ball of that radius may touch, and some others; by id."""
        point, m = projection.astype(np.float64), self.size
        with np.errstate(over="ignore"):
            # Float32 will do for a first look: its error is far below a millionth of the
            # coefficients, which are no larger than half the root of the number of pixels.
            extra = np.float32(radius * _FLOAT32 + 10 * self._margin)
            far = np.abs(self._coefficients[:1, :m] - projection[:1, None]).ravel()
            left = np.flatnonzero(far <= self._reach[:m] + extra)
            bound = reach(self._radii[left] + radius, self._shape) ** 2
        squares, begin = np.zeros(len(left)), 0
        for end in (*_STAGES, len(point)):
            if begin < end <= len(point) and len(left):
                part = self._coefficients[begin:end, left] - point[begin:end, None]
                squares += np.einsum("ij,ij->j", part, part)
                kept = squares <= bound
                left, squares, bound = left[kept], squares[kept], bound[kept]
                begin = end
        return [
            Ball(int(i), int(c), float(r))
            for i, c, r in zip(
                self._ids[left], self._predictions[left], self._radii[left], strict=True
            )
        ]

    def _make_room(self, needed: int, k: int) -> None:
        room = len(self._radii)
        if needed <= room:
            return
        room = max(needed, room + room // 2, 64)
        wider = np.empty((k, room), np.float32)
        if self.size:
            wider[:, : self.size] = self._coefficients[:, : self.size]
        self._coefficients = wider
        for name in ("_radii", "_reach", "_predictions", "_ids"):
            longer = np.empty(room, getattr(self, name).dtype)
            longer[: self.size] = getattr(self, name)[: self.size]
            setattr(self, name, longer)


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
        """Memory that it holds."""
        return self._index.nbytes

    @property
    def size(self) -> int:
        """Number of balls in it."""
        return self._index.size

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
            UnknownEntryError: if the bank is not there (any more).
            StoreError: if its balls have been changed by other means.
        """
        with self._lock:  # first the lock, then the look: what others have loaded is seen, too
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
        if self._serial and self._known(connection) != self._fingerprint:
            self._index.clear()
            self._serial, self._fingerprint = 0, GENESIS
        chosen = (
            select(
                balls.c.serial,
                balls.c.indexed,
                balls.c.prediction,
                balls.c.radius,
                balls.c.projection,
                balls.c.fingerprint,
            )
            .where(balls.c.bank_id == self._bank_id, balls.c.serial > self._serial)
            .order_by(balls.c.serial)
        )
        rows = connection.execute(chosen.execution_options(yield_per=_ROWS))
        for part in rows.partitions():
            self._index.add([self._point(row) for row in part if row.indexed])
            self._serial, self._fingerprint = part[-1].serial, part[-1].fingerprint

    def _known(self, connection: Connection) -> str | None:
        last = select(balls.c.fingerprint).where(
            balls.c.bank_id == self._bank_id, balls.c.serial == self._serial
        )
        return connection.execute(last).scalar()

    def _point(self, row: Any) -> StoredPoint:
        sound = math.isfinite(row.radius) and row.radius >= 0
        if not sound or len(row.projection) != 4 * len(frequencies(self._shape)):
            raise StoreError(f"Ball {row.serial} of this memory bank is damaged.")
        projection = np.frombuffer(row.projection, "<f4").astype(np.float32)
        return StoredPoint(Ball(row.serial, row.prediction, row.radius), projection)


def unknown_bank(name: str) -> UnknownEntryError:
    """The error for a memory bank that is not there."""
    return UnknownEntryError(f"There is no memory bank {str(name)[:60]!r} here (any more).")


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
