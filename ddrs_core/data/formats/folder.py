"""Folders of photographs in ImageFolder layout: ``root/class/image.jpg``, with or without splits,
and ``root/image.jpg``, without labels.

The folder names are the classes; :mod:`~ddrs_core.data.formats.folder_layout` finds them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from ddrs_core.cache import LRU
from ddrs_core.data.dataset import DamagedDataError, DatasetInfo, Opened, Shape
from ddrs_core.data.formats.folder_layout import (
    Layout,
    doubts,
    find_layout,
    has_images,
    subfolders,
)
from ddrs_core.data.images.decode import (
    EXTENSIONS,
    PROBED,
    ImageError,
    Picture,
    first_readable,
    read_picture_file,
)
from ddrs_core.data.images.preprocess import PHOTOGRAPH_SIZE, fit_picture
from ddrs_core.quantities import listed

_IMAGENET_CLASSES = 1000
_RECHECK_SECONDS = 1.0
_RULES = 2  # raised when the same folders are read in another way, so that records notice
_STAMPS: LRU[str] = LRU(64)
_SYNSET = re.compile(r"n\d{8}")


def matches(path: Path) -> bool:
    """Whether this is a folder that has folders or images; nothing is opened."""
    return path.is_dir() and (bool(subfolders(path)) or has_images(path))


def fingerprint(path: Path) -> str:
    """Changes within a second when an image or a class comes or goes.

    Not at once: it looks at every class folder, which is too much to do many times a second where
    there are 1,000 of them.
    """
    moment = time.monotonic() // _RECHECK_SECONDS
    key = (path, path.stat().st_mtime_ns, moment)
    return _STAMPS.get(key, lambda: f"{_RULES} {_stamps(path)}")


def _stamps(path: Path) -> list[int]:
    """Times at which the folder, its splits and its classes changed."""
    layout = find_layout(path)
    folders = [path]
    for split in layout.splits.values():
        folders += [split.path] if split.path.is_dir() else []
        folders += split.classes.values()
        folders += [] if split.classes else subfolders(split.path)
        folders += [] if split.label_list is None else [split.label_list]
    return [folder.stat().st_mtime_ns for folder in sorted(set(folders))]


def describe(path: Path, name: str, title: str, size: int | None) -> DatasetInfo:
    """Find out what a folder holds; one image is decoded, the others are counted.

    Raises:
        DamagedDataError: if there are no images.
        ImageError: if none of the first images can be decoded.
    """
    layout = find_layout(path)
    split = layout.splits["test"]
    images, labels = split.images(layout.classes)
    if not images:
        raise DamagedDataError(
            f"The class folders in {split.path} hold no images ({', '.join(EXTENSIONS)})."
        )
    first_readable(lambda image: _read(image, path), images[:PROBED])
    side = size or PHOTOGRAPH_SIZE
    kind = "one folder for each class" if split.has_labels else "without labels"
    notes = [*layout.notes, *doubts(layout), *_empty_classes(layout, labels)]
    return DatasetInfo(
        name=name,
        title=title,
        description=" ".join((f"{len(images):,} photographs in the test split, {kind}.", *notes)),
        class_names=_class_names(layout.classes),
        shape=(3, side, side),
        origin=str(path),
        resizable=True,
        splits=tuple(layout.splits),
    )


def open_split(path: Path, info: DatasetInfo, split: str) -> Opened:
    """Images and labels of one split; no file is opened before its image is asked for.

    Raises:
        DamagedDataError: if the split is no longer there.
    """
    layout = find_layout(path)
    if split not in layout.splits:
        raise DamagedDataError(f"The {split} split is no longer in {path}.")
    images, labels = layout.splits[split].images(layout.classes)
    return FolderImages(images, info.shape, path), np.array(labels, np.int64)


def _empty_classes(layout: Layout, labels: Sequence[int]) -> list[str]:
    if len(layout.splits) > 1:
        return []
    empty = [name for number, name in enumerate(layout.classes) if number not in set(labels)]
    if not empty:
        return []
    return [f"No image is in {len(empty)} of its {len(layout.classes)} classes: {listed(empty)}."]


class FolderImages:
    """Image files, each decoded when asked for, as float32 [C, H, W]."""

    def __init__(self, paths: Sequence[str], shape: Shape, root: Path) -> None:
        self._paths = paths
        self._shape = shape
        self._root = root

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self._paths[index]
        try:
            picture = _read(path, self._root)
        except ImageError:
            if not os.path.isdir(os.path.dirname(path)):  # a disk that went, not a bad image
                raise DamagedDataError(f"The folder of {path} is no longer there.") from None
            raise
        return fit_picture(picture, self._shape)


def _read(path: str, root: Path) -> Picture:
    return read_picture_file(path, os.path.relpath(path, root))


def _class_names(folders: Sequence[str]) -> tuple[str, ...]:
    """The folder names; for all 1,000 ImageNet synsets the names that torchvision gives them."""
    if len(folders) != _IMAGENET_CLASSES or not all(map(_SYNSET.fullmatch, folders)):
        return tuple(folders)
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])  # in order of synset
