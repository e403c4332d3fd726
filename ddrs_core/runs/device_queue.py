"""Runs that take turns: one at a time on a device, first come first served.

Every run puts a ticket into a common folder and keeps a lock on it for as long as its process
lives, so that the tickets of killed runs count no more. The oldest living ticket of a device has
the turn. Two runs that come at the same moment may see each other late: a lock for each device
makes sure.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from types import TracebackType

import psutil
from filelock import FileLock, Timeout

from ddrs_core.file_access import check_folder
from ddrs_core.paths import home

_TICKET = re.compile(r"(?P<when>\d{20})-(?P<pid>\d+)-(?P<device>[a-z0-9_]+)\.ticket")
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
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
