"""Data sets that people add: files of theirs, remembered by path, or opened for one process."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, cast

from ddrs_core import places
from ddrs_core.data import folder, parquet, picture_file
from ddrs_core.data.dataset import LARGEST_SIDE, DamagedDataError, DatasetInfo, Entry, Opened
from ddrs_core.data.files import write_atomically
from ddrs_core.data.lru import LRU
from ddrs_core.data.pictures import PREFIX
from ddrs_core.errors import DDRSError, InvalidParameterError, require_count, unknown_name

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_TITLE = 80
_log = logging.getLogger(__name__)


class Kind(Protocol):
    """A module that can open one layout of files."""

    def matches(self, path: Path, /) -> bool: ...

    def fingerprint(self, path: Path, /) -> str: ...

    def describe(self, path: Path, name: str, title: str, size: int | None, /) -> DatasetInfo: ...

    def open_split(self, path: Path, info: DatasetInfo, split: str, /) -> Opened: ...


# A new layout is a module with these four functions and one line here.
_KINDS: dict[str, Kind] = {
    "parquet": cast(Kind, parquet),
    "folder": cast(Kind, folder),
    "picture": cast(Kind, picture_file),
}
_KEPT_KINDS = ("parquet", "folder")  # a picture is uploaded or attached


@dataclass(frozen=True)
class Record:
    """What is remembered of an added data set: where it is and what it held when it was added."""

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
        path, kind = Path(self.path), _KINDS[self.kind]
        if not path.exists():
            raise DamagedDataError(
                f"The data set {self.info.name!r} was added from {path}, but nothing is there any "
                "more. Bring the files back, or forget it: python -m ddrs_core datasets remove "
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
_attached: dict[str, Record] = {}
_attaching = Lock()
_warned: set[str] = set()


def records() -> list[Record]:
    """All that can be opened by their looks, by name; damaged ones are left out with a warning."""
    found = dict(_attached)
    try:
        files = sorted(_folder().glob("*.json"))
    except OSError:
        files = []
    for file in files:
        try:
            record = _read(file)
        except DDRSError as error:
            _warn(file, str(error))
            continue
        if Path(record.path).exists():
            found.setdefault(record.info.name, record)
        else:
            _warn(file, f"The data set {record.info.name!r} has vanished from {record.path}.")
    return [found[name] for name in sorted(found)]


def find(name: str) -> Record | None:
    """What is remembered under a name, None if nothing is.

    Raises:
        DDRSError: if the record is damaged.
    """
    if name in _attached:
        return _attached[name]
    file = _file(name) if _NAME.fullmatch(name) else None
    return _read(file) if file is not None and file.is_file() else None


def add(
    path: str | Path, name: str | None, title: str | None, size: int | None, taken: Collection[str]
) -> DatasetInfo:
    """Remember a parquet file, a folder of them, or an image folder, after opening it.

    Raises:
        DDRSError: if it cannot be opened, or the name is taken or malformed.
    """
    taken = {*taken, *(file.stem for file in _folder().glob("*.json")), *_attached}
    record = _recognise(path, name, title, size, taken, _KEPT_KINDS)
    chosen = record.info.name
    write_atomically(_file(chosen), json.dumps(asdict(record), indent=2).encode())
    return record.info


def remove(name: str) -> None:
    """Forget an added data set; its files stay where they are.

    Raises:
        UnknownNameError: if none of that name was added.
    """
    with _attaching:
        if _attached.pop(name, None) is not None:
            return
    if not _NAME.fullmatch(name) or not _file(name).is_file():
        known = sorted(file.stem for file in _folder().glob("*.json"))
        raise unknown_name("added data set", name, [*known, *_attached])
    _file(name).unlink(missing_ok=True)


def attach(
    path: str | Path, name: str | None, size: int | None, taken: Collection[str]
) -> DatasetInfo:
    """Open files for this process only; a single picture will do as well.

    Raises:
        DDRSError: if they cannot be opened, or the name is taken or malformed.
    """
    with _attaching:
        where = str(_resolved(path))
        for known in _attached.values():
            if known.path == where and known.size == size and name in (None, known.info.name):
                return known.info
        taken = {*taken, *(file.stem for file in _folder().glob("*.json")), *_attached}
        record = _recognise(path, name, None, size, taken, tuple(_KINDS))
        _attached[record.info.name] = record
    return record.info


def _recognise(
    path: str | Path,
    name: str | None,
    title: str | None,
    size: int | None,
    taken: Collection[str],
    kinds: Collection[str],
) -> Record:
    where = _resolved(path)
    chosen = _free_name(where, taken) if name is None else _checked_name(name, taken)
    if size is not None:
        require_count("The size", size, at_most=LARGEST_SIDE)
    kind = next((k for k in kinds if _KINDS[k].matches(where)), None)
    if kind is None:
        raise DamagedDataError(_unrecognised(where))
    shown = " ".join((title or where.stem or chosen).split())[:_LONGEST_TITLE]
    try:
        version = _KINDS[kind].fingerprint(where)
        info = _KINDS[kind].describe(where, chosen, shown, size)
    except OSError as error:
        raise DamagedDataError(f"{where} cannot be read: {error.strerror or error}.") from None
    return Record(kind, str(where), size, version, info)


def _resolved(path: str | Path) -> Path:
    try:
        where = Path(path).expanduser().resolve()
        there = where.exists()
    except (OSError, ValueError, RuntimeError):
        there = False
    if not there:
        raise DamagedDataError(f"There is nothing at {str(path)[:200]!r}.")
    return where


def _unrecognised(path: Path) -> str:
    expected = (
        "a parquet file, a folder of parquet files, or a folder with one folder of images for "
        "each class"
    )
    if picture_file.matches(path):
        return f"{path} is a single picture; a data set is {expected}."
    holds = "holds neither" if path.is_dir() else "is none of these"
    return f"{path} {holds}: a data set is {expected}."


def _checked_name(name: str, taken: Collection[str]) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidParameterError(
            f"{name[:80]!r} cannot be the name of a data set: use up to 64 letters, digits and "
            "the signs . _ - and begin with a letter or digit."
        )
    if name.lower().startswith(PREFIX):
        raise InvalidParameterError(f"Names that begin with {PREFIX!r} are for uploaded pictures.")
    if name.lower() in {other.lower() for other in taken}:  # some file systems see no difference
        raise InvalidParameterError(
            f"There is a data set {name!r} already. Choose another name, or remove that one."
        )
    return name


def _free_name(path: Path, taken: Collection[str]) -> str:
    base = re.sub(r"[^A-Za-z0-9._]+", "-", path.stem).strip("-._").lower()[:48] or "images"
    if base.startswith(PREFIX):
        base = f"my-{base}"
    lower = {other.lower() for other in taken}
    number = 1
    while (name := base if number == 1 else f"{base}-{number}") in lower:
        number += 1
    return name


def _folder() -> Path:
    return places.home() / "datasets"


def _file(name: str) -> Path:
    return _folder() / f"{name}.json"


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
            kind=_one_of(stored["kind"], _KINDS),
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
    except (OSError, ValueError, KeyError, TypeError) as error:
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
