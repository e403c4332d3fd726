"""Files that are replaced as a whole: no reader sees half of one, and each name is given once."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ddrs_core import paths
from ddrs_core.errors import DDRSError
from ddrs_core.file_access import writing

_ADVICE = f"Make room or permit it, or name another folder with {paths.HOME_VARIABLE}"
_LOCK_SECONDS = 30.0


@contextmanager
def replacing(
    path: Path, error: type[DDRSError] = DDRSError, *, partial: Path | None = None, advice: str = ""
) -> Iterator[Path]:
    """Yield a path to write the new content of ``path`` to; it replaces the file at the end.

    Args:
        path: the file.
        error: raised instead of any OSError.
        partial: the path to yield; default: one that no other writer has. A fixed one leaves
            nothing behind when a process is killed again and again, but allows one writer only.
        advice: what to do if it cannot be written; default: by the reason.

    Raises:
        error: if the file cannot be written; then, as after any exception, ``path`` is as before.
    """
    partial = partial or path.with_name(f".{path.name[:60]}.{secrets.token_hex(8)}.partial")
    with writing(path, error, advice=advice):
        try:
            yield partial
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file of the user's data folder, which is created if needed.

    Raises:
        DDRSError: if it cannot be written.
    """
    with replacing(path, advice=_ADVICE) as partial:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch(mode=0o600)
        partial.write_bytes(data)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no other process uses a name between looking and writing.

    Raises:
        DDRSError: if it cannot be written to, or another process holds it for very long.
    """
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), timeout=_LOCK_SECONDS)
    with writing(folder, advice=_ADVICE):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
