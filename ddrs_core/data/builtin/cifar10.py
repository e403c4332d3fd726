"""CIFAR-10: 60,000 colour images of ten classes (Krizhevsky, 2009).

Read from parquet files in ``DDRS_DATA_DIR/cifar10``, or from the original archive, which is
downloaded and checked through torchvision.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core import paths
from ddrs_core.data.dataset import DamagedDataError, DatasetInfo, Entry, Opened
from ddrs_core.data.formats import parquet
from ddrs_core.data.formats.parquet_files import split_files
from ddrs_core.download import DownloadError, DownloadProgress, download, take_lock
from ddrs_core.errors import DDRSError

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

INFO = DatasetInfo(
    name="cifar10",
    title="CIFAR-10",
    description="60,000 colour photographs at 32x32 pixels, split 50,000 to 10,000 into train "
    "and test (Krizhevsky, 2009).",
    class_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    shape=(3, 32, 32),
    origin="https://www.cs.toronto.edu/~kriz/cifar.html",
)
_MARKER = "complete.json"  # written last: sizes of the files that were verified


def find() -> Entry | None:
    """CIFAR-10 if it is available here; looks at files' sizes and dates only."""
    shared = paths.data_dir()
    if shared is not None and parquet.matches(shared / "cifar10"):
        folder = shared / "cifar10"
        try:
            splits = tuple(split_files(folder))
        except DamagedDataError:
            splits = INFO.splits  # opening one says what is wrong
        info = replace(INFO, origin=str(folder), splits=splits)
        return Entry(info, parquet.fingerprint(folder), partial(parquet.open_split, folder))
    sizes = _verified_sizes(_folder())
    if sizes is None:
        return None
    return Entry(replace(INFO, origin=str(_folder())), repr(sizes), _open_original)


def how_to_get() -> str:
    """How a person can get it."""
    return (
        "Get it with: python -m ddrs_core datasets download cifar10 (170 MB), or on the page "
        f"of data sets; or name a folder that has cifar10/*.parquet with {paths.DATA_VARIABLE}."
    )


def download_cifar10() -> Iterator[DownloadProgress]:
    """Download, verify and unpack CIFAR-10 into the user's data folder.

    Raises:
        DownloadError: if it cannot be fetched, with what to do instead.
        DamagedDataError: if the archive does not hold what it should.
    """
    from torchvision.datasets import CIFAR10

    folder = _folder()
    archive = folder.parent / CIFAR10.filename
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            yield from take_lock(stack, folder, archive.with_name(archive.name + ".part"))
            if _verified_sizes(folder) is not None:
                return
            try:
                yield from download(CIFAR10.url, archive, digest=CIFAR10.tgz_md5)
            except DownloadError as error:
                raise DownloadError(f"{error} {_instead()}") from None
            size = archive.stat().st_size
            yield DownloadProgress("unpacking", size, size)
            _install(archive, folder)
            archive.unlink()
    except OSError as error:
        raise DDRSError(
            f"CIFAR-10 cannot be stored in {folder.parent}: {error.strerror or error}. Make room "
            f"or permit it, or name another folder with {paths.HOME_VARIABLE}."
        ) from None


def _instead() -> str:
    return (
        f"Without a network, name a folder that has cifar10/*.parquet with {paths.DATA_VARIABLE}."
    )


def _folder() -> Path:
    return paths.home() / "downloads" / "cifar10"


def _install(archive: Path, folder: Path) -> None:
    """Unpack beside ``folder``, verify, mark as complete, and only then move into place."""
    from torchvision.datasets.utils import extract_archive

    for left in folder.parent.glob(".unpacking-*"):  # of a killed process, since we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
    try:
        try:
            extract_archive(str(archive), str(temporary))
        except Exception as error:  # tarfile and gzip raise nearly everything on a damaged archive
            archive.unlink()
            raise DamagedDataError(
                f"The archive of CIFAR-10 cannot be unpacked ({error}) and was removed. Try again."
            ) from None
        if not _intact(temporary):
            archive.unlink()
            raise DamagedDataError(
                "The archive does not hold the files of CIFAR-10 and was removed. Try again."
            )
        sizes = {name: (temporary / name).stat().st_size for name, _ in _contents()}
        (temporary / _MARKER).write_text(json.dumps(sizes))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _contents() -> list[tuple[str, str]]:
    """Path below the folder and MD5 of every file."""
    from torchvision.datasets import CIFAR10

    meta = [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]
    files = [*CIFAR10.train_list, *CIFAR10.test_list, meta]
    return [(f"{CIFAR10.base_folder}/{name}", md5) for name, md5 in files]


def _intact(folder: Path) -> bool:
    from torchvision.datasets.utils import check_integrity

    return all(check_integrity(str(folder / name), md5) for name, md5 in _contents())


def _verified_sizes(folder: Path) -> dict[str, int] | None:
    """Sizes of the files as they were verified, None if one is missing or has changed since."""
    try:
        sizes: dict[str, int] = json.loads((folder / _MARKER).read_bytes())
        same = all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return None
    return sizes if same and sizes else None


def _open_original(info: DatasetInfo, split: str) -> Opened:
    from torchvision.datasets import CIFAR10

    try:  # verifies every file before it reads one
        original: CIFAR10 = CIFAR10(str(_folder()), train=split == "train")
    except (RuntimeError, OSError) as error:
        (_folder() / _MARKER).unlink(missing_ok=True)  # so that it can be downloaded again
        raise DamagedDataError(
            f"CIFAR-10 in {_folder()} is damaged ({error}). Download it again: "
            "python -m ddrs_core datasets download cifar10"
        ) from None
    return OriginalImages(original.data), np.array(original.targets, np.int64)


class OriginalImages:
    """Pixels uint8 [M, 32, 32, 3] in memory, made into float32 [3, 32, 32] one image at a time."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> Tensor:
        image = torch.from_numpy(self._pixels[index].copy())
        return image.permute(2, 0, 1).contiguous().to(torch.float32).div_(255)
