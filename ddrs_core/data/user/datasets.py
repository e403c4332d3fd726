"""Data sets that people add by path, for good or for one process."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from threading import Lock

from ddrs_core.atomic_write import one_at_a_time
from ddrs_core.data.dataset import LARGEST_SIDE, DamagedDataError, DatasetInfo
from ddrs_core.data.formats import image_file
from ddrs_core.data.user import records
from ddrs_core.data.user.records import KINDS, NAME, Record
from ddrs_core.data.user.uploaded_images import PREFIX
from ddrs_core.errors import InvalidParameterError, require_count, unknown_name

_LONGEST_TITLE = 80
_KEPT_KINDS = ("parquet", "folder")  # a picture is uploaded or attached
_attached: dict[str, Record] = {}
_attaching = Lock()


def listed() -> list[Record]:
    """All added and attached data sets whose files are there, by name."""
    found = {**records.kept(), **_attached}
    return [found[name] for name in sorted(found)]


def find(name: str) -> Record | None:
    """What is known under a name, None if nothing is.

    Raises:
        DDRSError: if the record is damaged.
    """
    return _attached.get(name) or records.find(name)


def add(
    path: str | Path, name: str | None, title: str | None, size: int | None, taken: Collection[str]
) -> DatasetInfo:
    """Register a parquet file, a folder of them, or an image folder, after opening it.

    Raises:
        DDRSError: if it cannot be opened, or the name is taken or malformed.
    """
    with one_at_a_time(records.records_folder()):
        taken = {*taken, *records.names(), *_attached}
        record = _recognise(path, name, title, size, taken, _KEPT_KINDS)
        records.keep(record)
    return record.info


def remove(name: str) -> None:
    """Forget an added data set; its files stay where they are.

    Raises:
        UnknownNameError: if none of that name was added.
    """
    with _attaching:
        if _attached.pop(name, None) is not None:
            return
    if not records.is_kept(name):
        raise unknown_name("added data set", name, [*records.names(), *_attached])
    records.forget(name)


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
        taken = {*taken, *records.names(), *_attached}
        record = _recognise(path, name, None, size, taken, tuple(KINDS))
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
    kind = next((k for k in kinds if KINDS[k].matches(where)), None)
    if kind is None:
        raise DamagedDataError(_unrecognised(where))
    shown = " ".join((title or _bare(where) or chosen).split())[:_LONGEST_TITLE]
    try:
        version = KINDS[kind].fingerprint(where)
        info = KINDS[kind].describe(where, chosen, shown, size)
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
        "a parquet file, a folder of parquet files, a folder with one folder of images for each "
        "class, or a folder of images without labels"
    )
    if image_file.matches(path):
        return f"{path} is a single picture; a data set is {expected}."
    holds = "holds neither" if path.is_dir() else "is none of these"
    return f"{path} {holds}: a data set is {expected}."


def _checked_name(name: str, taken: Collection[str]) -> str:
    if not NAME.fullmatch(name):
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


def _bare(path: Path) -> str:
    """The name without a file's suffix; a folder has none, whatever dots its name has."""
    return path.name if path.is_dir() else path.stem


def _free_name(path: Path, taken: Collection[str]) -> str:
    base = re.sub(r"[^A-Za-z0-9._]+", "-", _bare(path)).strip("-._").lower()[:48] or "images"
    if base.startswith(PREFIX):
        base = f"my-{base}"
    lower = {other.lower() for other in taken}
    number = 1
    while (name := base if number == 1 else f"{base}-{number}") in lower:
        number += 1
    return name
