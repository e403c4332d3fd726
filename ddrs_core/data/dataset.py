"""What a data set is, and the registry of those that can be opened.

A new data set is one file that builds a :class:`Dataset` and one line in ``_REGISTRY``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.data.digits import load_digits_split
from ddrs_core.errors import InvalidParameterError, unknown_name

SPLITS = ("test", "train")


class ImageSource(Protocol):
    """A lazily read sequence of images, each float32 [C, H, W] with values in [0, 1]."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Tensor: ...


@dataclass(frozen=True)
class DatasetInfo:
    """What the pickers need to know before a data set is opened."""

    name: str
    title: str
    description: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]  # (C, H, W)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True)
class Dataset:
    """One split of a data set.

    ``dataset[i]`` gives ``(image, label)``: a float32 tensor [C, H, W] in [0, 1] that the caller
    may change, and an int. ``labels`` is an int64 array [M] that can be read without touching
    an image.
    """

    info: DatasetInfo
    split: str
    images: ImageSource
    labels: NDArray[np.int64]  # [M]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        i = self.check_index(index)
        return self.images[i].clone(), int(self.labels[i])

    def check_index(self, index: int) -> int:
        """Return ``index`` if the split holds such an image.

        Raises:
            InvalidParameterError: if it does not.
        """
        if not 0 <= index < len(self):
            raise InvalidParameterError(
                f"Image {index} does not exist: the {self.split} split of "
                f"{self.info.title} has images 0 to {len(self) - 1}."
            )
        return int(index)

    def tensors(self, indices: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Stack images and labels: float32 [M, C, H, W] and int64 [M]."""
        chosen = range(len(self)) if indices is None else [self.check_index(i) for i in indices]
        images = torch.stack([self.images[i] for i in chosen])
        return images, torch.from_numpy(self.labels[list(chosen)])


@dataclass(frozen=True)
class _Entry:
    info: DatasetInfo
    open: Callable[[str], tuple[ImageSource, NDArray[np.int64]]]  # split -> images, labels


_REGISTRY: dict[str, _Entry] = {
    "digits": _Entry(
        DatasetInfo(
            name="digits",
            title="Handwritten digits",
            description="1,797 scans of handwritten digits at 8x8 pixels (UCI / scikit-learn), "
            "split 1,297 to 500 into train and test.",
            class_names=tuple(str(d) for d in range(10)),
            shape=(1, 8, 8),
        ),
        load_digits_split,
    ),
}


def list_datasets() -> list[DatasetInfo]:
    """The data sets that can be opened here, in the order in which pickers show them."""
    return [entry.info for entry in _REGISTRY.values()]


@lru_cache(maxsize=16)
def load_dataset(name: str, split: str = "test") -> Dataset:
    """Open one split of a data set by name; the result is shared, so do not change it.

    Raises:
        UnknownNameError: if there is no such data set or split.
    """
    if name not in _REGISTRY:
        raise unknown_name("data set", name, _REGISTRY)
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    entry = _REGISTRY[name]
    images, labels = entry.open(split)
    return Dataset(entry.info, split, images, labels)


def image_digest(image: Tensor) -> str:
    """SHA-256 of an image's float32 pixels and shape, as 16 hex digits."""
    pixels = image.detach().to("cpu", torch.float32).contiguous()
    digest = hashlib.sha256(repr(tuple(pixels.shape)).encode())
    digest.update(pixels.numpy().tobytes())
    return digest.hexdigest()[:16]
