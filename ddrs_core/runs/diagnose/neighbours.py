"""The training images nearest to an image, in all and of each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.data import Dataset
from ddrs_core.data.dataset import UNKNOWN_LABEL

NEAREST = 10  # training images, of whatever class
_BLOCK = 2_048  # training images that are read at a time


@dataclass(frozen=True)
class Neighbour:
    """A training image; ``distance`` is l2, pixels in [0, 1]."""

    index: int
    label: int  # -1: unknown
    distance: float


@dataclass(frozen=True)
class Neighbours:
    """The :data:`NEAREST` training images and the nearest one of each class, the nearest first."""

    found: tuple[Neighbour, ...]

    @property
    def votes(self) -> dict[int, int]:
        """How many of the nearest training images each class has, the most frequent first."""
        return dict(Counter(n.label for n in self.found[:NEAREST]).most_common())

    @property
    def by_class(self) -> dict[int, Neighbour]:
        """The nearest of each class, the nearest class first; those without a label left out."""
        nearest = {n.label: n for n in reversed(self.found) if n.label != UNKNOWN_LABEL}
        return {n.label: n for n in self.found if nearest.get(n.label) is n}

    def of(self, label: int | None) -> Neighbour | None:
        """The nearest of a class."""
        return None if label is None else self.by_class.get(label)

    def other_than(self, label: int | None) -> Neighbour | None:
        """The nearest of all classes but one."""
        return next((n for n in self.by_class.values() if n.label != label), None)


def nearest_images(
    images: Tensor, training: Dataset, without: Sequence[int | None] = ()
) -> Iterator[tuple[float, list[Neighbours]]]:
    """Compare images with every training image.

    Args:
        images: [M, C, H, W], pixels in [0, 1].
        training: of which none is kept in memory; those that cannot be read are left out.
        without: for each image, the number of a training image that is no neighbour: itself.

    Yields:
        The share of the training images so far, and what was found among them. Distances come
        from a float64 matrix product: to about 1e-9, those of equal images to 1e-4.

    Raises:
        DamagedDataError: if files of the data set are damaged or gone.
    """
    points = _flat(images)
    norms = (points**2).sum(1)
    kept = [(np.empty(0), np.empty(0, np.int64)) for _ in points]  # squared distances and numbers
    for start in range(0, len(training), _BLOCK):
        end = min(start + _BLOCK, len(training))
        read = training.read(range(start, end))
        others, numbers = _flat(read.images), np.array(read.indices, np.int64)
        squares = norms[:, None] + (others**2).sum(1) - 2 * points @ others.T  # [M, block]
        for i, row in enumerate(squares):
            if without and without[i] is not None:
                row[numbers == without[i]] = np.inf
            kept[i] = _nearest(
                np.concatenate([kept[i][0], row]),
                np.concatenate([kept[i][1], numbers]),
                training.labels,
            )
        yield end / len(training), [_neighbours(*k, training.labels) for k in kept]


def _flat(images: Tensor) -> NDArray[np.float64]:
    return images.double().numpy().reshape(len(images), -1)


def _nearest(
    squares: NDArray[np.float64], numbers: NDArray[np.int64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The nearest of those, and the nearest of each class, in order."""
    order = np.argsort(squares, kind="stable")
    _, first = np.unique(labels[numbers[order]], return_index=True)
    chosen = order[np.union1d(first, np.arange(min(NEAREST, len(order))))]
    chosen = chosen[np.isfinite(squares[chosen])]
    return squares[chosen], numbers[chosen]


def _neighbours(
    squares: NDArray[np.float64], numbers: NDArray[np.int64], labels: NDArray[np.int64]
) -> Neighbours:
    distances = np.sqrt(np.maximum(0.0, squares)).tolist()
    parts = zip(numbers.tolist(), labels[numbers].tolist(), distances, strict=True)
    return Neighbours(tuple(Neighbour(*part) for part in parts))
