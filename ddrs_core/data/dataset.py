"""What a data set is: images with pixels in [0, 1], one label each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.data.class_matching import match_classes
from ddrs_core.data.images.decode import ImageError
from ddrs_core.errors import (
    DDRSError,
    InvalidParameterError,
    MismatchError,
    require_count,
    unknown_name,
)

UNKNOWN_LABEL = -1
LARGEST_SIDE = 1024  # of a prepared image, in pixels

# Names of splits in other people's files. The first test name that is there is "test".
TEST_NAMES = ("test", "testing", "validation", "val", "valid", "dev", "eval")
TRAIN_NAMES = ("train", "training")

Shape: TypeAlias = tuple[int, int, int]  # (C, H, W)


class DamagedDataError(DDRSError):
    """Files of a data set that are broken, incomplete or laid out in another way."""


class ImageSource(Protocol):
    """A lazily read sequence of images, each float32 [C, H, W] with values in [0, 1].

    Several threads may read at the same time.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Tensor: ...


Opened: TypeAlias = tuple[ImageSource, NDArray[np.int64]]  # images and labels [M] of one split


@dataclass(frozen=True)
class DatasetInfo:
    """What the pickers need to know before a data set is opened."""

    name: str
    title: str
    description: str
    class_names: tuple[str, ...]
    shape: Shape  # the default one where ``resizable``
    origin: str = ""  # for people: where the images lie or come from
    resizable: bool = False  # photographs, which can be prepared at any shape
    splits: tuple[str, ...] = ("test", "train")

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True)
class Entry:
    """A data set that can be opened now.

    ``version`` changes when its files do. ``open`` takes the information, with the shape that is
    wanted, and one of the splits.
    """

    info: DatasetInfo
    version: str
    open: Callable[[DatasetInfo, str], Opened]

    def open_split(self, info: DatasetInfo, split: str) -> Dataset:
        """Open one split; ``info`` is ours, with the shape that is wanted.

        Raises:
            UnknownNameError: if there is no such split.
        """
        if split not in info.splits:
            raise unknown_name(f"split of {info.title}", split, info.splits)
        images, labels = self.open(info, split)
        return Dataset(info, split, images, labels, self.version)


def with_shape(info: DatasetInfo, shape: Shape | None) -> DatasetInfo:
    """The information with ``shape`` [C, H, W] in place of the default one.

    Raises:
        MismatchError: if the images have one fixed shape, and it is another one.
        InvalidParameterError: if no image can have that shape.
    """
    if shape is None or tuple(shape) == info.shape:
        return info
    if not info.resizable:
        raise MismatchError(
            f"The images of {info.title} are {size_text(info.shape)} and are used as they are; "
            f"{size_text(tuple(shape))} was asked for. Choose a model for {size_text(info.shape)}."
        )
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InvalidParameterError(
            f"An image has the shape [C, H, W] with C = 1 (grey) or 3 (colour), not {list(shape)}."
        )
    channels, height, width = (
        require_count(f"The {what} of an image", value, at_most=LARGEST_SIDE)
        for what, value in zip(("channels", "height", "width"), shape, strict=True)
    )
    return replace(info, shape=(channels, height, width))


def size_text(shape: tuple[int, ...]) -> str:
    """A shape for people, such as "3 x 32 x 32"."""
    return " x ".join(str(v) for v in shape)


@dataclass(frozen=True, eq=False)
class ReadImages:
    """The images of some numbers that could be read, and why the others could not."""

    indices: list[int]  # [m], in the order in which they were asked for
    images: Tensor  # [m, C, H, W]
    labels: Tensor  # [m], int64
    failures: dict[int, str]  # by number


@dataclass(frozen=True)
class Dataset:
    """One split of a data set.

    ``dataset[i]`` gives ``(image, label)``: a float32 tensor [C, H, W] in [0, 1] that the caller
    may change, and an int. ``labels`` is an int64 array [M] that can be read without touching
    an image; -1 stands for an unknown one. ``version`` changes when the files do.
    """

    info: DatasetInfo
    split: str
    images: ImageSource
    labels: NDArray[np.int64]  # [M]
    version: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        i = self.check_index(index)
        return self.images[i].clone(), int(self.labels[i])

    def label(self, index: int) -> int | None:
        """The label of one image, None if it is unknown."""
        label = int(self.labels[self.check_index(index)])
        return None if label == UNKNOWN_LABEL else label

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
        """Stack images and labels: float32 [M, C, H, W] and int64 [M].

        Raises:
            ImageError: if one of the images cannot be read.
        """
        found = self.read(range(len(self)) if indices is None else indices)
        for reason in found.failures.values():
            raise ImageError(reason)
        return found.images, found.labels

    def read(self, indices: Sequence[int]) -> ReadImages:
        """Read images; one that is missing or damaged does not keep the others back.

        Raises:
            DamagedDataError: if files that hold many images are damaged or gone.
        """
        chosen = [self.check_index(i) for i in indices]
        images = torch.empty(len(chosen), *self.info.shape)
        failures: dict[int, str] = {}
        # In the order of the files, so that each stretch of a file is read once.
        for position, i in sorted(enumerate(chosen), key=lambda pair: pair[1]):
            try:
                images[position] = self.images[i]
            except ImageError as error:
                failures[i] = str(error)
        if failures:
            positions = [position for position, i in enumerate(chosen) if i not in failures]
            chosen, images = [chosen[position] for position in positions], images[positions]
        return ReadImages(chosen, images, torch.from_numpy(self.labels[chosen]), failures)

    def for_classes(self, class_names: Sequence[str]) -> Dataset:
        """The same images for a model that knows the classes ``class_names``.

        With as many classes as the data set has, the order is taken to be the same. Otherwise
        labels are matched by name (see :func:`~ddrs_core.data.class_matching.match_classes`); a
        class that the model does not know becomes an unknown label.
        """
        names = tuple(class_names)
        if len(names) == self.info.num_classes:
            return self
        table = np.array([*match_classes(self.info.class_names, names), UNKNOWN_LABEL], np.int64)
        # Label -1 picks the last entry of the table, which is "unknown" again.
        return replace(self, info=replace(self.info, class_names=names), labels=table[self.labels])


def image_digest(image: Tensor) -> str:
    """SHA-256 of an image's float32 pixels and shape, as 16 hex digits."""
    pixels = image.detach().to("cpu", torch.float32).contiguous()
    digest = hashlib.sha256(repr(tuple(pixels.shape)).encode())
    digest.update(pixels.numpy().tobytes())
    return digest.hexdigest()[:16]
