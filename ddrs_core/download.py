"""Fetching one large file: resumed where it stopped, checked before it is taken."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ddrs_core import paths
from ddrs_core.errors import DDRSError
from ddrs_core.quantities import counted

_CHUNK = 2**18
_TIMEOUT = 30.0  # seconds without a byte
_ATTEMPTS = 3  # in a row that bring nothing new
_PAUSE = 0.5  # seconds between looks at a download by another process


class DownloadError(DDRSError):
    """A file could not be fetched."""


@dataclass(frozen=True)
class DownloadProgress:
    """Where a download stands. ``total`` is None as long as the server has not told it."""

    stage: str  # "waiting" (for another process), "downloading", "checking" or "unpacking"
    done: int  # bytes
    total: int | None


def download(
    url: str, target: Path, *, digest: str, algorithm: str = "md5"
) -> Iterator[DownloadProgress]:
    """Fetch ``url`` into ``target``, unless it is there.

    What has arrived stands in ``target`` + ".part" until it is complete and its digest is right.
    An interrupted download goes on from there, where the server can resume. Of several processes
    one fetches and the others wait for it.

    Args:
        url: where it is.
        target: where it goes.
        digest: in hexadecimal; the first digits will do.
        algorithm: of the digest, ``md5`` or ``sha256``.

    Raises:
        DownloadError: if the server cannot be reached, the digest is wrong (the file is then
            removed), or the disk is full.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            yield from take_lock(stack, target, part)
            if target.exists():
                return
            yield from _fetch(url, part)
            size = _size(part)
            yield DownloadProgress("checking", size, size)
            _check(url, part, digest, algorithm)
            os.replace(part, target)
    except OSError as error:
        raise DownloadError(
            f"{target} cannot be written: {error.strerror or error}. Make room or permit it, or "
            f"name another folder with {paths.HOME_VARIABLE}."
        ) from None


def take_lock(stack: ExitStack, target: Path, part: Path) -> Iterator[DownloadProgress]:
    """Wait until no other process or thread works on ``target``; ``stack`` releases the lock.

    ``part`` is the file in which the other one's progress can be seen.
    """
    lock = FileLock(target.with_name(target.name + ".lock"), thread_local=False)
    while True:
        try:
            stack.enter_context(lock.acquire(blocking=False))
            return
        except Timeout:
            yield DownloadProgress("waiting", _size(part), None)
            time.sleep(_PAUSE)


def _fetch(url: str, part: Path) -> Iterator[DownloadProgress]:
    """Fill ``part``, going on after an interruption as long as something arrives."""
    fruitless = 0
    while True:
        before = _size(part)
        try:
            yield from _continue(url, part)
            return
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            final = isinstance(error, urllib.error.HTTPError) and error.code < 500
            fruitless = 0 if _size(part) > before else fruitless + 1
            if final or fruitless >= _ATTEMPTS:
                raise DownloadError(_failed(url, error, _size(part))) from None
        time.sleep(_PAUSE * fruitless)


def _continue(url: str, part: Path) -> Iterator[DownloadProgress]:
    have = _size(part)
    headers = {"User-Agent": "ddrs", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response: Any = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        if not (have and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # all of it had arrived
        part.unlink()
        yield from _continue(url, part)
        return
    with response:
        resumed = str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")
        done = have if resumed else 0
        total = None if response.length is None else done + response.length
        with open(part, "ab" if resumed else "wb") as file:
            yield DownloadProgress("downloading", done, total)
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                yield DownloadProgress("downloading", done, total)
        if total is not None and done < total:
            raise ConnectionError("the connection broke off")


def _check(url: str, part: Path, digest: str, algorithm: str) -> None:
    with open(part, "rb") as file:
        made = partial(hashlib.new, algorithm, usedforsecurity=False)
        found = hashlib.file_digest(file, made).hexdigest()
    if not found.startswith(digest):
        part.unlink()
        raise DownloadError(
            f"What came from {url} is not the expected file ({algorithm.upper()} "
            f"{found[: len(digest)]}, expected {digest}), so it was removed. Try again."
        )


def _failed(url: str, error: Exception, arrived: int) -> str:
    reason = str(getattr(error, "reason", None) or error) or type(error).__name__
    if isinstance(error, urllib.error.HTTPError):
        reason = f"the server answers {error.code} {error.reason}"
    kept = f" What has arrived ({counted(arrived, 'byte')}) is kept; try again to go on."
    return f"{url} could not be fetched: {reason}.{kept if arrived else ''}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
