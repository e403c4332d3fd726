"""A single picture file, opened as a data set of one image whose class is unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from ddrs_core.data.dataset import UNKNOWN_LABEL, DatasetInfo, Opened, Shape
from ddrs_core.data.images.decode import EXTENSIONS, Picture, read_picture_file
from ddrs_core.data.images.preprocess import PHOTOGRAPH_SIZE, fit_picture


def matches(path: Path) -> bool:
    """Whether this is called like a picture; it is not opened."""
    return path.is_file() and path.suffix.lower() in EXTENSIONS


def fingerprint(path: Path) -> str:
    """Changes when the file does."""
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def describe(path: Path, name: str, title: str, size: int | None) -> DatasetInfo:
    """Decode the picture and say what it is.

    Raises:
        ImageError: if it cannot be decoded.
    """
    return picture_info(read_picture_file(path), name, title, str(path), size or PHOTOGRAPH_SIZE)


def open_split(path: Path, info: DatasetInfo, split: str) -> Opened:
    """The one image and its unknown label.

    Raises:
        ImageError: if it cannot be decoded.
    """
    return one_image(read_picture_file(path), info.shape)


def picture_info(
    picture: Picture, name: str, title: str, origin: str, side: int = PHOTOGRAPH_SIZE
) -> DatasetInfo:
    """What the pickers need to know of a single picture."""
    width, height = picture.size
    return DatasetInfo(
        name=name,
        title=title,
        description=" ".join((f"A picture of {width} x {height} pixels.", *picture.notes)),
        class_names=(),
        shape=(3, side, side),
        origin=origin,
        resizable=True,
        splits=("test",),
    )


def one_image(picture: Picture, shape: Shape) -> Opened:
    """A picture as images [1, C, H, W] and labels [1]."""
    images: Tensor = fit_picture(picture, shape)[None]
    return images, np.array([UNKNOWN_LABEL], np.int64)
