"""Folders of photographs in ImageFolder layout: ``root/class/image.jpg``.

``root/{train,test,val,validation}/class/image.jpg`` has splits. The folder names are the classes.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from ddrs_core.data.dataset import TEST_NAMES, DamagedDataError, DatasetInfo, Opened, Shape
from ddrs_core.data.decode import EXTENSIONS, read_picture_file
from ddrs_core.data.lru import LRU
from ddrs_core.data.prepare import PHOTOGRAPH_SIZE, fit_picture

_IMAGENET_CLASSES = 1000
_RECHECK_SECONDS = 1.0
_STAMPS: LRU[str] = LRU(64)
_SYNSET = re.compile(r"n\d{8}")


def matches(path: Path) -> bool:
    """Whether this is a folder that has folders; nothing is opened."""
    return path.is_dir() and bool(_folders(path))


def fingerprint(path: Path) -> str:
    """Changes within a second when an image or a class comes or goes.

    Not at once: it takes a look at every class folder, too much to do many times a second where
    there are 1,000 of them.
    """
    moment = time.monotonic() // _RECHECK_SECONDS
    return _STAMPS.get((path, path.stat().st_mtime_ns, moment), lambda: repr(_stamps(path)))


def _stamps(path: Path) -> list[int]:
    """Times at which the folder, its splits and its classes changed."""
    stamps = []
    for parent in dict.fromkeys((path, *_split_folders(path).values())):
        folders = [parent, *sorted(_folders(parent))]
        stamps += [folder.stat().st_mtime_ns for folder in folders]
    return stamps


def describe(path: Path, name: str, title: str, size: int | None) -> DatasetInfo:
    """Find out what a folder holds; the first image is decoded, the others are counted.

    Raises:
        DamagedDataError: if there are no classes or no images.
        ImageError: if the first image cannot be decoded.
    """
    splits = _split_folders(path)
    folders = _class_folders(splits.values())
    if not folders:
        raise DamagedDataError(
            f"{path} has no class folders; expected is one folder of images for each class."
        )
    images, _ = _list_images(splits["test"], folders)
    if not images:
        raise DamagedDataError(
            f"The {len(folders)} folders in {splits['test']} hold no images "
            f"({', '.join(EXTENSIONS)})."
        )
    read_picture_file(images[0])
    side = size or PHOTOGRAPH_SIZE
    return DatasetInfo(
        name=name,
        title=title,
        description=f"{len(images):,} photographs in the test split, one folder for each class.",
        class_names=_class_names(folders),
        shape=(3, side, side),
        origin=str(path),
        resizable=True,
        splits=tuple(splits),
    )


def open_split(path: Path, info: DatasetInfo, split: str) -> Opened:
    """Images and labels of one split; no file is opened before its image is asked for.

    Raises:
        DamagedDataError: if the split is no longer there.
    """
    splits = _split_folders(path)
    if split not in splits:
        raise DamagedDataError(f"The {split} split is no longer in {path}.")
    images, labels = _list_images(splits[split], _class_folders(splits.values()))
    return FolderImages(images, info.shape), np.array(labels, np.int64)


class FolderImages:
    """Image files, each decoded when asked for, as float32 [C, H, W]."""

    def __init__(self, paths: Sequence[str], shape: Shape) -> None:
        self._paths = paths
        self._shape = shape

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Tensor:
        return fit_picture(read_picture_file(self._paths[index]), self._shape)


def _split_folders(path: Path) -> dict[str, Path]:
    """The folders that hold the class folders of "test" and, if there is one, of "train"."""
    found = {
        folder.name.lower(): folder
        for folder in _folders(path)
        if folder.name.lower() in (*TEST_NAMES, "train") and _folders(folder)
    }
    if not found:
        return {"test": path}
    test = next((name for name in TEST_NAMES if name in found), "train")
    splits = {"test": found[test]}
    if test != "train" and "train" in found:
        splits["train"] = found["train"]
    return splits


def _class_folders(splits: Iterable[Path]) -> list[str]:
    """Names of the classes, of all splits together, so that numbers agree between them."""
    return sorted({folder.name for split in splits for folder in _folders(split)})


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if entry.is_dir() and not entry.name.startswith(".")
            ]
    except OSError as error:
        raise DamagedDataError(f"{path} cannot be read: {error.strerror}.") from None


def _class_names(folders: Sequence[str]) -> tuple[str, ...]:
    """The folder names; for all 1,000 ImageNet synsets the names that torchvision gives them."""
    if len(folders) != _IMAGENET_CLASSES or not all(map(_SYNSET.fullmatch, folders)):
        return tuple(folders)
    from torchvision.models import ResNet50_Weights

    return tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])  # in order of synset


def _list_images(folder: Path, classes: Sequence[str]) -> tuple[list[str], list[int]]:
    """Paths and class numbers of all images, sorted by class and path."""
    from torchvision.datasets.folder import make_dataset

    numbers = {name: number for number, name in enumerate(classes)}
    found = make_dataset(str(folder), numbers, extensions=EXTENSIONS, allow_empty=True)
    return [path for path, _ in found], [number for _, number in found]
