"""Records of the data sets that people added: one small JSON file each in the user's data folder.

A record has the path and what was found there, so that listing opens nothing.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

from ddrs_core import paths
from ddrs_core.atomic_write import write_atomically
from ddrs_core.cache import LRU
from ddrs_core.data.dataset import DamagedDataError, DatasetInfo, Entry, Opened
from ddrs_core.data.formats import folder, image_file, parquet
from ddrs_core.errors import DDRSError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_log = logging.getLogger(__name__)


class Kind(Protocol):
    """A module that can open one layout of files."""

    def matches(self, path: Path, /) -> bool: ...

    def fingerprint(self, path: Path, /) -> str: ...

    def describe(self, path: Path, name: str, title: str, size: int | None, /) -> DatasetInfo: ...

    def open_split(self, path: Path, info: DatasetInfo, split: str, /) -> Opened: ...


# A new layout is a module with these four functions and one line here.
KINDS: dict[str, Kind] = {
    "parquet": cast(Kind, parquet),
    "folder": cast(Kind, folder),
    "picture": cast(Kind, image_file),
}


@dataclass(frozen=True)
class Record:
    """The record of an added data set: where it is and what it held when it was added."""

    kind: str
    path: str
    size: int | None
    version: str
    info: DatasetInfo

    def entry(self) -> Entry:
        """The data set as its files are now.

        Raises:
            DDRSError: if they are gone, or changed so that they cannot be opened.
        """
        path, kind = Path(self.path), KINDS[self.kind]
        if not path.exists():
            raise DamagedDataError(
                f"The data set {self.info.name!r} was added from {path}, but nothing is there "
                "now. Bring the files back, or forget it: python -m ddrs_core datasets remove "
                f"{self.info.name}"
            )
        try:
            version = kind.fingerprint(path)
        except OSError as error:
            raise DamagedDataError(f"{path} cannot be read: {error.strerror}.") from None
        info = self.info
        if version != self.version:
            name, title = info.name, info.title
            info = _DESCRIBED.get(
                (self, version), lambda: kind.describe(path, name, title, self.size)
            )
        return Entry(info, f"{path} {version}", partial(kind.open_split, path))


_DESCRIBED: LRU[DatasetInfo] = LRU(64)  # of data sets whose files changed after they were added
_READ: LRU[Record] = LRU(256)  # by path and date of the record
_warned: set[str] = set()


def kept() -> dict[str, Record]:
    """All records whose files are there, by name; damaged ones are left out with one warning."""
    found: dict[str, Record] = {}
    for file in _files():
        try:
            record = _read(file)
        except DDRSError as error:
            _warn(file, str(error))
            continue
        if Path(record.path).exists():
            found[record.info.name] = record
        else:
            _warn(file, f"The data set {record.info.name!r} has vanished from {record.path}.")
    return found


def find(name: str) -> Record | None:
    """The record of a name, None if there is none.

    Raises:
        DDRSError: if the record is damaged.
    """
    return _read(_file(name)) if is_kept(name) else None


def names() -> list[str]:
    """Names of all records, damaged ones too."""
    return [file.stem for file in _files()]


def is_kept(name: str) -> bool:
    """Whether there is a record of that name; only well-formed names reach the files."""
    return NAME.fullmatch(name) is not None and _file(name).is_file()


def keep(record: Record) -> None:
    """Write a record, in place of one of the same name.

    Raises:
        DDRSError: if it cannot be written.
    """
    write_atomically(_file(record.info.name), json.dumps(asdict(record), indent=2).encode())


def forget(name: str) -> None:
    """Remove a record.

    Raises:
        DDRSError: if it cannot be removed.
    """
    try:
        _file(name).unlink(missing_ok=True)
    except OSError as error:
        raise DDRSError(f"{_file(name)} cannot be removed: {error.strerror}.") from None


def _files() -> list[Path]:
    try:
        return sorted(records_folder().glob("*.json"))
    except OSError:
        return []


def records_folder() -> Path:
    """Where the records lie."""
    return paths.home() / "datasets"


def _file(name: str) -> Path:
    return records_folder() / f"{name}.json"


def _read(file: Path) -> Record:
    try:
        return _READ.get((file, file.stat().st_mtime_ns), lambda: _parse(file))
    except FileNotFoundError:
        raise DamagedDataError(f"The data set {file.stem!r} has just been removed.") from None


def _parse(file: Path) -> Record:
    try:
        stored = json.loads(file.read_bytes())
        info = stored["info"]
        return Record(
            kind=_one_of(stored["kind"], KINDS),
            path=_text(stored["path"]),
            size=None if stored["size"] is None else int(stored["size"]),
            version=_text(stored["version"]),
            info=DatasetInfo(
                name=_one_of(info["name"], {file.stem}),
                title=_text(info["title"]),
                description=_text(info["description"]),
                class_names=tuple(_text(name) for name in info["class_names"]),
                shape=_three(info["shape"]),
                origin=_text(info["origin"]),
                resizable=bool(info["resizable"]),
                splits=tuple(_one_of(split, ("test", "train")) for split in info["splits"]),
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedDataError(
            f"The record {file} of an added data set is damaged ({type(error).__name__}). Remove "
            f"that file, or: python -m ddrs_core datasets remove {file.stem}"
        ) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _one_of(value: Any, known: Collection[str]) -> str:
    if value not in known:
        raise ValueError
    return str(value)


def _three(value: Any) -> tuple[int, int, int]:
    channels, height, width = (int(v) for v in value)
    return channels, height, width


def _warn(file: Path, message: str) -> None:
    if str(file) not in _warned:
        _warned.add(str(file))
        _log.warning("Left out: %s", message)
