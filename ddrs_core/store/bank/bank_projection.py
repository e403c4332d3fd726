"""A few numbers of every image that bound distances from below.

They are coefficients of an orthonormal cosine transform (DCT-II) over channels, rows and columns:
an orthonormal projection shortens every distance, and low frequencies keep most of those between
photographs. Two projections that are further apart than two radii prove that the balls do not
meet, and the images need not be read.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

COEFFICIENTS = 64
_CENTRE = 0.5
_CHANNEL_STEP = 3.0  # a difference of colours weighs as little as the third frequency of brightness
_STRETCH = 1 + 1e-9  # the computed transform is orthonormal up to some 1e-14
# Of one coordinate: rounding to float32 (2^-24 / 2 of pixels that are at most 1/2 from the centre)
# and of the transform (some 1e-14), for both of the points, and room besides.
_ROUNDING = 1e-7


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
    """The frequencies that are kept, by axis, the most telling first."""
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
