"""Small files in the user's data folder: never half-written, each name given once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ddrs_core import paths as places
from ddrs_core.file_access import writing

_ADVICE = f"Make room or permit it, or name another folder with {places.HOME_VARIABLE}"

_LOCK_SECONDS = 30.0


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that readers see all of it or none, whatever happens meanwhile.

    Raises:
        DDRSError: if it cannot be written.
    """
    with writing(path, advice=_ADVICE):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold a folder, so that nobody else takes a name between look and write, in any process.

    Raises:
        DDRSError: if it cannot be written to, or somebody holds it for very long.
    """
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), timeout=_LOCK_SECONDS)
    with writing(folder, advice=_ADVICE):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
