"""Small pictures of a data set's images, for galleries."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from ddrs_core.cache import LRU
from ddrs_core.data.dataset import Dataset
from ddrs_core.errors import DDRSError

THUMBNAIL_SIZE = 64
_REMEMBERED_BYTES = 64 * 2**20
_MADE: LRU[bytes] = LRU(_REMEMBERED_BYTES, len)


def thumbnail(dataset: Dataset, index: int, size: int = THUMBNAIL_SIZE) -> bytes:
    """A PNG of one image: untouched up to ``size`` pixels a side, reduced beyond.

    Thumbnails are cached, and several threads may ask at once. An image that cannot be read
    gives a neutral placeholder, so that a gallery with one damaged file still shows the others.

    Raises:
        InvalidParameterError: if there is no image of that number.
    """
    i = dataset.check_index(index)
    info = dataset.info
    key = (info.name, info.shape, dataset.version, dataset.split, i, size)
    try:
        return _MADE.get(key, lambda: _make(dataset, i, size))
    except DDRSError:
        return placeholder(size)


@lru_cache(maxsize=16)
def placeholder(size: int = THUMBNAIL_SIZE) -> bytes:
    """A grey PNG with a cross, for an image that cannot be read."""
    picture = Image.new("L", (size, size), 224)
    draw = ImageDraw.Draw(picture)
    low, high = size // 4, size - 1 - size // 4
    draw.line((low, low, high, high), fill=160, width=max(1, size // 32))
    draw.line((low, high, high, low), fill=160, width=max(1, size // 32))
    return _png(picture)


def _make(dataset: Dataset, index: int, size: int) -> bytes:
    image = dataset.images[index].numpy()  # [C, H, W]; torch would start its threads for this
    pixels = (image * 255 + 0.5).astype(np.uint8)
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    if max(picture.size) > size:
        picture.thumbnail((size, size), Image.Resampling.BILINEAR)
    return _png(picture)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=0)  # small anyway, and twice as fast
    return buffer.getvalue()
