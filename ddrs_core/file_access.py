"""Opening files that people name, and writing files: whatever fails is said with the file's name.

Opening a named pipe waits for its other end, for ever if there is none, and reading a device may
never end. So files that come from outside are opened by :func:`open_regular`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ddrs_core.errors import DDRSError

_FULL = "Make room there, then try again"
_FORBIDDEN = "Permit this program to write it, or name another place"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "The file system, or a limit of this process (ulimit -f), allows no more",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _FORBIDDEN,
    errno.ENOENT: "Make its folder first, or name another place",
    errno.ENOTDIR: "Name a place in a folder",
}

_LEFTOVERS = frozenset(  # what operating systems and tools leave between other files
    {
        "__macosx",  # macOS, in zip files
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "$recycle.bin",
        "system volume information",
        "@eadir",
        "#recycle",
        "@recycle",  # network storage
        "lost+found",
        "__pycache__",
    }
)


def check_regular(path: Path, error: type[DDRSError] = DDRSError) -> None:
    """Make sure that ``path``, links followed, is a file of bytes, without opening it.

    Raises:
        error: if it is a folder, a named pipe, a device or a socket.
        OSError: if it is not there, or may not be looked at.
    """
    _refuse(path, os.stat(path).st_mode, error)


def open_regular(path: Path, error: type[DDRSError] = DDRSError) -> BinaryIO:
    """Open a file for reading; never waits, whatever ``path`` turns out to be.

    Raises:
        error: as :func:`check_regular`.
        OSError: if it cannot be opened.
    """
    check_regular(path, error)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse(path, os.fstat(handle).st_mode, error)  # it may have been exchanged since
    except DDRSError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


@contextmanager
def writing(path: Path, error: type[DDRSError] = DDRSError, *, advice: str = "") -> Iterator[None]:
    """Turn what the operating system refuses while ``path`` is written into a message.

    Args:
        path: what is written.
        error: of this kind.
        advice: what to do, for every reason; default: by the reason.

    Raises:
        error: instead of any OSError: full disks, missing permission, and so on.
    """
    try:
        yield
    except OSError as refusal:
        reason = refusal.strerror or type(refusal).__name__
        hint = advice or _ADVICE.get(refusal.errno or 0, "")
        raise error(
            f"{_shown(path)} cannot be written: {reason}. {hint}".rstrip(" .") + "."
        ) from None


def check_folder(folder: Path) -> Path:
    """Make sure, before hours of work, that files can be written into ``folder``.

    Raises:
        DDRSError: if it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DDRSError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DDRSError(f"The folder {folder} cannot be written to. Choose another --out.")
    return folder


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name is no part of a data set: hidden ones, such as the
    ``._x.png`` that macOS puts beside ``x.png``, and those of :data:`_LEFTOVERS`."""
    return name.startswith(".") or name.lower() in _LEFTOVERS


def drop_oldest(files: Iterable[Path], most: int, most_bytes: int) -> None:
    """Remove the oldest files, each with the ``.json`` beside it, until at most ``most`` files and
    ``most_bytes`` bytes are left; the newest stays. Others may do the same meanwhile."""
    found = []
    for path in files:
        with suppress(FileNotFoundError):
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_size, path))
    total = 0
    for number, (_, size, path) in enumerate(sorted(found, reverse=True)):
        total += size
        if number and (number >= most or total > most_bytes):
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)


def _refuse(path: Path, mode: int, error: type[DDRSError]) -> None:
    if not stat.S_ISREG(mode):
        raise error(f"{_shown(path)} is {_kind(mode)}, not a file.")


def _shown(path: Path) -> str:
    """The name without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in str(path)[:300])


def _kind(mode: int) -> str:
    for matches, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if matches(mode):
            return name
    return "a device"
