"""The data sets that can be opened here, by name.

A new built-in data set is one file and one line in ``_BUILT_IN``. People add their own by path
(:mod:`ddrs_core.data.user.datasets`); an uploaded picture is opened by its digest
(:mod:`ddrs_core.data.user.uploaded_images`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ddrs_core.cache import LRU
from ddrs_core.data.builtin import cifar10, digits
from ddrs_core.data.dataset import Dataset, DatasetInfo, Entry, Shape, with_shape
from ddrs_core.data.user import datasets as added
from ddrs_core.data.user import uploaded_images
from ddrs_core.download import DownloadProgress
from ddrs_core.errors import DDRSError, unknown_name


class NotDownloadedError(DDRSError):
    """A data set that is known, but has to be fetched first."""


@dataclass(frozen=True)
class _BuiltIn:
    info: DatasetInfo
    find: Callable[[], Entry | None]  # None if it is not here; looks, but opens nothing
    download: Callable[[], Iterator[DownloadProgress]] | None = None
    how_to_get: Callable[[], str] = str


_BUILT_IN: dict[str, _BuiltIn] = {
    "digits": _BuiltIn(digits.INFO, digits.find),
    "cifar10": _BuiltIn(cifar10.INFO, cifar10.find, cifar10.download_cifar10, cifar10.how_to_get),
}
_OPENED: LRU[Dataset] = LRU(16)


def list_datasets() -> list[DatasetInfo]:
    """The data sets that can be opened here, in the order in which pickers show them.

    Cheap enough to be called for every page: looks at names, sizes and dates of files only.
    """
    found = [entry.info for built_in in _BUILT_IN.values() if (entry := built_in.find())]
    return found + [record.info for record in added.listed()]


def get_dataset_info(name: str) -> DatasetInfo:
    """What is known of one data set or one uploaded picture.

    Raises:
        UnknownNameError: if there is no such data set.
        NotDownloadedError: if it has to be downloaded first.
        DDRSError: if its files are gone or damaged.
    """
    return _find(name).info


def load_dataset(name: str, split: str = "test", shape: Shape | None = None) -> Dataset:
    """Open one split of a data set by name; the result is shared, so do not change it.

    ``shape`` [C, H, W] is for data sets that are ``resizable``; default: the one in their
    information. A data set whose files have changed is opened again.

    Raises:
        UnknownNameError: if there is no such data set or split.
        NotDownloadedError: if it has to be downloaded first.
        MismatchError: if the images have another shape and cannot be resized.
        DDRSError: if its files are gone or damaged.

    >>> image, label = load_dataset("digits")[58]
    >>> image.shape, label
    (torch.Size([1, 8, 8]), 8)
    """
    entry = _find(name)
    info = with_shape(entry.info, shape)
    return _OPENED.get((info, entry.version, split), lambda: entry.open_split(info, split))


def list_downloads() -> list[DatasetInfo]:
    """The data sets that can be downloaded and are not here."""
    return [b.info for b in _BUILT_IN.values() if b.download is not None and b.find() is None]


def download_dataset(name: str) -> Iterator[DownloadProgress]:
    """Fetch a data set, unless it is here already.

    Raises:
        UnknownNameError: if no data set of that name can be downloaded.
        DownloadError: if it cannot be fetched.
    """
    known = {key: b.download for key, b in _BUILT_IN.items() if b.download is not None}
    if name not in known:
        raise unknown_name("data set for download", name, known)
    return iter(()) if _BUILT_IN[name].find() is not None else known[name]()


def add_dataset(
    path: str | Path, *, name: str | None = None, title: str | None = None, size: int | None = None
) -> DatasetInfo:
    """Register a parquet file, a folder of them or an ImageFolder folder as a data set.

    Its files stay where they are. Photographs are prepared at ``size`` x ``size`` pixels unless
    another shape is asked for when they are opened; default: 224. The default name comes
    from the path.

    Raises:
        DDRSError: if it cannot be opened, or the name is malformed or taken.
    """
    return added.add(path, name, title, size, taken=_BUILT_IN)


def remove_dataset(name: str) -> None:
    """Forget a data set that was added or attached; images are never deleted.

    Raises:
        UnknownNameError: if none of that name was added.
    """
    added.remove(name)


def attach_dataset(
    path: str | Path, *, name: str | None = None, size: int | None = None
) -> DatasetInfo:
    """Open files as :func:`add_dataset` does, but for this process only.

    A single picture will do as well: one image whose class is unknown.

    Raises:
        DDRSError: if it cannot be opened, or the name is malformed or taken.
    """
    return added.attach(path, name, size, taken=_BUILT_IN)


def _find(name: str) -> Entry:
    if uploaded_images.is_picture_name(name):
        return uploaded_images.find(name)
    if name in _BUILT_IN:
        entry = _BUILT_IN[name].find()
        if entry is None:
            title = _BUILT_IN[name].info.title
            raise NotDownloadedError(f"{title} is not here yet. {_BUILT_IN[name].how_to_get()}")
        return entry
    record = added.find(name)
    if record is None:
        raise unknown_name("data set", name, [info.name for info in list_datasets()])
    return record.entry()
