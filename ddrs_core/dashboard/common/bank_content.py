"""What is in a bank, read once as long as nothing is added to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike, NDArray

from ddrs_core.smoothing.memory.arrival_order import Distances
from ddrs_core.smoothing.memory.collisions import Pair, find_collisions
from ddrs_core.smoothing.memory.directed_rounding import sub_downward
from ddrs_core.smoothing.memory.distance import distances
from ddrs_core.smoothing.memory.rules import Ball, Part
from ddrs_core.store import MemoryBank, StoredBall

T = TypeVar("T")
MOST_SHOWN = 1_000  # balls that the page looks at closely, the first to arrive


@dataclass(frozen=True)
class BankContent:
    """The first balls of a bank with their images, in the order of arrival."""

    balls: tuple[StoredBall, ...]
    images: NDArray[np.float32]  # [m, C, H, W]
    # cached_property of Python 3.11 would let all banks wait for one another
    _lock: threading.RLock = field(default_factory=threading.RLock, compare=False, repr=False)
    _made: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def collisions(self) -> list[Pair]:
        """The claimed balls of different class that overlap, the deepest overlap first."""
        claims = [b.claimed for b in self.balls], [b.claimed_radius for b in self.balls]
        return self._once("collisions", lambda: find_collisions(self.between, *claims))

    @property
    def gaps(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """From each ball to the nearest of another class, surface to surface: as claimed and as
        settled, [m] each; infinite where there is none."""
        return self._once("gaps", self._measure_gaps)

    def _measure_gaps(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        claimed = _gaps(
            self.between.low,
            np.array([b.claimed for b in self.balls]),
            np.array([b.claimed_radius for b in self.balls]),
        )
        settled = _gaps(
            self.between.low,
            np.array([b.prediction for b in self.balls]),
            np.array([b.radius for b in self.balls]),
        )
        return claimed, settled

    @property
    def between(self) -> Distances:
        """Distances of all centres."""
        return self._once("between", lambda: Distances.between(self.images))

    def _once(self, name: str, make: Callable[[], T]) -> T:
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            made: T = self._made[name]
        return made

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {ball.serial: row for row, ball in enumerate(self.balls)}

    def image_of(self, serial: int) -> NDArray[np.float32]:
        """The image [C, H, W] at the centre of a ball that is among these."""
        return self.images[self._rows[serial]]

    def __contains__(self, serial: int) -> bool:
        return serial in self._rows

    def holds(self, x: ArrayLike) -> bool:
        """Whether one of the balls has exactly this image at its centre."""
        return any(np.array_equal(image, np.asarray(x, dtype=np.float32)) for image in self.images)

    def nearest(self, x: ArrayLike, most: int, *, first: int | None = None) -> list[Part]:
        """The balls whose surfaces are nearest to an image, whether they matter there or not.

        Args:
            x: image [C, H, W].
            most: how many.
            first: look at so many balls, the first to arrive; None: at all.
        """
        among = self.balls[:first]
        if not among:
            return []
        way = (self.images[: len(among)] - np.asarray(x, dtype=np.float32)).reshape(len(among), -1)
        rough = np.linalg.norm(way, axis=1) - np.array([b.radius for b in among])
        rows = np.argsort(rough, kind="stable")[:most]
        exact = distances(self.images[rows].astype(np.float64), np.asarray(x, dtype=np.float64))
        parts = []
        for row, apart in zip(rows, exact, strict=True):
            ball = self.balls[row]
            plain = Ball(ball.serial, ball.prediction, ball.radius)
            parts.append(Part(plain, apart, False, sub_downward(apart.low, ball.radius)))
        return sorted(parts, key=lambda part: (part.slack, part.ball.id))


def read_content(bank: MemoryBank, fingerprint: str) -> BankContent:
    """The first balls of a bank.

    Args:
        bank: to read.
        fingerprint: of the bank as it stands, from its record.
    """
    return _read(bank.id, fingerprint, bank)


@st.cache_resource(max_entries=16, show_spinner=False)
def _read(bank_id: str, fingerprint: str, _bank: MemoryBank) -> BankContent:
    balls = _bank.balls(limit=MOST_SHOWN)
    shape = (len(balls), *_bank.kind.shape)
    images = np.array([_bank.image(ball.serial) for ball in balls], dtype=np.float32)
    return BankContent(tuple(balls), images.reshape(shape))


def _gaps(
    between: NDArray[np.float64], classes: NDArray[np.int64], radii: NDArray[np.float64]
) -> NDArray[np.float64]:
    there = classes >= 0
    other = (classes[:, None] != classes) & there[:, None] & there
    gaps = np.where(other, between - radii[:, None] - radii, np.inf)
    found: NDArray[np.float64] = gaps.min(axis=1, initial=np.inf)
    return found[there]
