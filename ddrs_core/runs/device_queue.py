"""Runs that take turns: one at a time on a device, first come first served.

Every run puts a ticket into a common folder and keeps a lock on it for as long as its process
lives, so that the tickets of killed runs count no more. The oldest living ticket of a device has
the turn. Two runs that come at the same moment may see each other late: a lock for each device
makes sure.

Interactive work goes first: while a server computes something that somebody watches on a page, it
holds a lock for the device, and the run that has the turn stands still between two batches. It
still works for at least a tenth of the time, however long that lasts. The lock of a server that
has died is gone with it.
"""

from __future__ import annotations

import math
import os
import re
import time
from contextlib import suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ddrs_core.file_access import check_folder
from ddrs_core.paths import home

_TICKET = re.compile(r"(?P<when>\d{20})-(?P<pid>\d+)-(?P<device>[a-z0-9_]+)\.ticket")
_LOOK_SECONDS = 0.25  # between two looks whether somebody watches
_WORK_SECONDS = 0.5  # that a run works at least before it stands still again
_PAUSE_SECONDS = 9 * _WORK_SECONDS  # that it stands still at most
_LINGER_SECONDS = 0.5  # that a server goes on to count as watched, as between two clicks
_QUEUE_LOCK = "queue.lock"  # held for a moment, to read or write tickets


def queue_folder() -> Path:
    """What the runs that pages start have in common, those that train and those that certify."""
    return home().absolute() / "turns"


def count_runs(folder: Path, device: str) -> int:
    """How many runs use a device at this moment or wait for it."""
    if not folder.is_dir():
        return 0
    with FileLock(folder / _QUEUE_LOCK):
        return sum(_lives(folder, name) for name in _tickets(folder, _as_name(device)))


class InteractiveLock:
    """What a server holds while somebody watches a computation of it on a device.

    Args:
        folder: what the runs that take turns have in common.
        device: such as ``"cpu"`` or ``"cuda:0"``.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self._lock = FileLock(folder / f"{_as_name(device)}.watched")
        self._watched = self._tried = -math.inf

    def update(self, watched: bool) -> None:
        """Hold the lock while something is watched, and a moment longer; costs next to nothing.

        Another server may hold it already, and a run looks at it now and then: both serve as well.
        """
        now = time.monotonic()
        if watched:
            self._watched = now
            if not self._lock.is_locked and now - self._tried >= _LOOK_SECONDS:
                self._tried = now
                with suppress(OSError, Timeout):  # a folder that cannot be used has no runs either
                    Path(self._lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
                    self._lock.acquire(blocking=False)
        elif self._lock.is_locked and now - self._watched >= _LINGER_SECONDS:
            self.release()

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def is_held(self) -> bool:
        """Whether some server holds it."""
        try:
            with self._lock.acquire(blocking=False):
                return False
        except Timeout:
            return True
        except OSError:
            return False


class DeviceSlot:
    """A place in the queue, for as long as the ``with`` block lasts.

    Args:
        folder: what the runs that take turns have in common.
        device: such as ``"cpu"`` or ``"cuda:0"``; each has its own queue.
        since: when the run was asked for, in seconds since 1970, which decides the order among
            those that wait; default: when the block is entered.
    """

    def __init__(self, folder: Path, device: str, since: float | None = None) -> None:
        self._folder = folder
        self._since = since
        self._device = _as_name(device)
        self._name = ""
        self._folder_lock = FileLock(folder / _QUEUE_LOCK)
        self._device_lock = FileLock(folder / f"{self._device}.lock")
        self._ticket_lock: FileLock | None = None
        self._interactive = InteractiveLock(folder, device)
        self._since_change = self._looked = time.monotonic()  # when it began to work, or to pause
        self._pauses = False
        self.is_watched = False  # whether somebody watched a computation at the last look

    @classmethod
    def of_this_process(cls, folder: Path, device: str) -> DeviceSlot:
        """A place since this process began: the time of its imports does not cost its place.

        Raises:
            DDRSError: if the folder cannot be written to.
        """
        return cls(check_folder(folder), device, psutil.Process().create_time())

    def __enter__(self) -> DeviceSlot:
        self._folder.mkdir(parents=True, exist_ok=True)
        since = time.time_ns() if self._since is None else int(self._since * 1e9)
        self._name = f"{since:020d}-{os.getpid()}-{self._device}.ticket"
        self._ticket_lock = FileLock(self._folder / self._name)
        with self._folder_lock:
            self._ticket_lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._ticket_lock is not None
        self._device_lock.release()
        self._ticket_lock.release()
        (self._folder / self._name).unlink(missing_ok=True)

    def ahead(self) -> int:
        """How many runs come first on this device, the running one included."""
        with self._folder_lock:
            return sum(
                name < self._name and _lives(self._folder, name)
                for name in _tickets(self._folder, self._device)
            )

    def take(self) -> bool:
        """Begin if it is this run's turn; True from then on."""
        if self._device_lock.is_locked:
            return True
        if self.ahead():
            return False
        try:
            self._device_lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    def gives_way(self) -> bool:
        """Whether the run should stand still now, since somebody watches a computation there.

        To be asked between two batches, and again after a moment for as long as it says so. Of any
        stretch of time the run works for at least a tenth.
        """
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked, self.is_watched = now, self._interactive.is_held()
        passed = now - self._since_change
        enough = passed >= (_PAUSE_SECONDS if self._pauses else _WORK_SECONDS)
        if self._pauses and (enough or not self.is_watched):
            self._pauses, self._since_change = False, now
        elif not self._pauses and enough and self.is_watched:
            self._pauses, self._since_change = True, now
        return self._pauses


def _as_name(device: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", device.lower())


def _tickets(folder: Path, device: str) -> list[str]:
    names = ((name, _TICKET.fullmatch(name)) for name in os.listdir(folder))
    return [name for name, found in names if found is not None and found["device"] == device]


def _lives(folder: Path, name: str) -> bool:
    """Whether a ticket's run still holds it; those of dead ones are thrown away."""
    lock = FileLock(folder / name)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    (folder / name).unlink(missing_ok=True)
    lock.release()
    return False
