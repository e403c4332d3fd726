"""Labelled points in the window [0, 1] x [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ddrs_core.errors import InvalidParameterError, unknown_name
from ddrs_core.smoothing.confidence import Floats

MAX_CLASSES = 3
_BANDS = np.array([0.0, 0.434, 0.694, 0.85, 0.944, 1.0])  # each 0.6 times as wide as the one before


@dataclass(frozen=True, eq=False)
class PlanePoints:
    """Points and their classes."""

    x: Floats  # [P, 2]
    labels: NDArray[np.int64]  # [P]

    @property
    def num_classes(self) -> int:
        """At least two, even where all points have the same class."""
        return max(2, int(self.labels.max(initial=0)) + 1)

    @classmethod
    def of(cls, triples: Iterable[tuple[float, float, int]]) -> PlanePoints:
        """Points that somebody drew, as (x, y, class).

        Raises:
            InvalidParameterError: without points of two classes, outside the window, or for a
                class that is not 0, 1 or 2.
        """
        rows = np.array(list(triples), dtype=np.float64).reshape(-1, 3)
        x, labels = rows[:, :2], rows[:, 2].astype(np.int64)
        if not (np.isin(rows[:, 2], range(MAX_CLASSES)).all() and ((x >= 0) & (x <= 1)).all()):
            raise InvalidParameterError(
                f"Points lie in [0, 1] x [0, 1] and have a class from 0 to {MAX_CLASSES - 1}."
            )
        if len(set(labels.tolist())) < 2:
            raise InvalidParameterError("A classifier needs points of two classes.")
        return cls(x, labels)


def sample_points(name: str, n: int, seed: int = 0) -> PlanePoints:
    """``n`` points of one of :data:`DATASETS`, their classes as even as possible.

    >>> points = sample_points("rings", 5)
    >>> points.x.shape, points.labels.tolist()
    ((5, 2), [0, 1, 0, 1, 0])

    Raises:
        UnknownNameError: for an unknown name.
    """
    if name not in _SAMPLERS:
        raise unknown_name("set of points", name, _SAMPLERS)
    classes = 3 if name == "spirals" else 2
    labels = np.arange(n) % classes
    x = _SAMPLERS[name](labels, np.random.default_rng(seed))
    return PlanePoints(x.clip(0.0, 1.0), labels)


def _moons(labels: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    angle = rng.uniform(0, np.pi, len(labels))
    upper = np.stack([0.37 + 0.27 * np.cos(angle), 0.42 + 0.3 * np.sin(angle)], axis=1)
    lower = 1 - upper
    return np.where(labels[:, None] == 0, upper, lower) + rng.normal(0, 0.075, (len(labels), 2))


def _rings(labels: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    angle = rng.uniform(0, 2 * np.pi, len(labels))
    inner = 0.15 * np.sqrt(rng.uniform(0, 1, len(labels)))
    radius = np.where(labels == 0, inner, rng.uniform(0.26, 0.45, len(labels)))
    return 0.5 + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _checks(labels: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    left = rng.integers(0, 2, len(labels))
    x = rng.uniform(0.03, 0.46, (len(labels), 2))
    return x + 0.51 * np.stack([left, (left + labels) % 2], axis=1)


def _bands(labels: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    y = rng.uniform(0, 1, len(labels))
    along = np.arange(len(labels)) // 2
    band = np.where(labels == 0, 2 * (along % 3), 1 + 2 * (along % 2))
    low, high = _BANDS[band], _BANDS[band + 1]
    x = low + (high - low) * rng.uniform(0.08, 0.92, len(labels))
    return np.stack([x + 0.02 * np.sin(2 * np.pi * y), y], axis=1)


def _spirals(labels: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    along = rng.uniform(0.12, 1, len(labels))
    angle = 2 * np.pi * labels / 3 + 2.9 * along
    spiral = 0.46 * along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return 0.5 + spiral + rng.normal(0, 0.016, (len(labels), 2))


_SAMPLERS: dict[str, Callable[[NDArray[np.int64], np.random.Generator], Floats]] = {
    "moons": _moons,
    "rings": _rings,
    "checks": _checks,
    "bands": _bands,
    "spirals": _spirals,
}
DATASETS = {
    "moons": "Two moons",
    "rings": "A disc in a ring",
    "checks": "Four squares (XOR)",
    "bands": "Bands, wide to narrow",
    "spirals": "Three spirals",
}
