"""Pictures that people upload: kept by the digest of their bytes, opened as data sets of one image.

The store is bounded: the oldest pictures make room for new ones.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from ddrs_core import paths
from ddrs_core.atomic_write import write_atomically
from ddrs_core.cache import LRU
from ddrs_core.data.dataset import DatasetInfo, Entry, Opened
from ddrs_core.data.formats.image_file import one_image, picture_info
from ddrs_core.data.images.decode import ImageError, display_name, read_picture
from ddrs_core.file_access import drop_oldest

PREFIX = "picture-"
MAX_PICTURES = 500
MAX_STORE_BYTES = 2**30
_NAME = re.compile(r"picture-[0-9a-f]{16}")
_UNTITLED = "A picture"
_INFOS: LRU[DatasetInfo] = LRU(MAX_PICTURES)


@dataclass(frozen=True)
class KeptPicture:
    """A picture in the store; ``name`` opens it as a data set."""

    name: str  # "picture-" and 16 hex digits of the SHA-256 of its bytes
    title: str  # the file's name, made fit to be shown
    size: tuple[int, int]  # width, height in pixels
    notes: tuple[str, ...]  # sentences on what was changed when it was read


def keep_picture(data: bytes, filename: str) -> KeptPicture:
    """Check an uploaded picture by decoding it and keep its bytes.

    Raises:
        ImageError: if it cannot be used, as
            :func:`~ddrs_core.data.images.decode.read_picture` says.
        DDRSError: if the store cannot be written to.
    """
    picture = read_picture(data, filename)
    title = display_name(filename) or _UNTITLED
    name = PREFIX + _digest(data)
    path = _path(name)
    write_atomically(path.with_suffix(".json"), json.dumps({"title": title}).encode())
    write_atomically(path, data)
    drop_oldest(path.parent.glob("*.picture"), MAX_PICTURES, MAX_STORE_BYTES)
    return KeptPicture(name, title, picture.size, picture.notes)


def is_picture_name(name: str) -> bool:
    """Whether ``name`` is one that :func:`keep_picture` gives."""
    return _NAME.fullmatch(name) is not None


def find(name: str) -> Entry:
    """The data set of one kept picture.

    Raises:
        ImageError: if the picture is not (or no longer) there, or is damaged.
    """
    try:
        version = str(_path(name).stat().st_mtime_ns)
    except OSError:
        raise _vanished(name) from None
    return Entry(_INFOS.get((_path(name), version), lambda: _info(name)), version, _open)


def _info(name: str) -> DatasetInfo:
    title = _title(name)
    return picture_info(read_picture(_read(name), title), name, title, "uploaded")


def _open(info: DatasetInfo, split: str) -> Opened:
    return one_image(read_picture(_read(info.name), info.title), info.shape)


def _read(name: str) -> bytes:
    try:
        data = _path(name).read_bytes()
    except OSError:
        data = b""
    if _digest(data) != name.removeprefix(PREFIX):
        raise _vanished(name)
    return data


def _vanished(name: str) -> ImageError:
    return ImageError(
        f"This picture is no longer here ({name}); the latest {MAX_PICTURES} are kept. "
        "Upload it again."
    )


def _title(name: str) -> str:
    try:
        title = json.loads(_path(name).with_suffix(".json").read_bytes())["title"]
        return display_name(title) or _UNTITLED
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _UNTITLED


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _path(name: str) -> Path:
    assert is_picture_name(name)  # other names never become paths
    return paths.home() / "uploads" / "pictures" / f"{name.removeprefix(PREFIX)}.picture"
