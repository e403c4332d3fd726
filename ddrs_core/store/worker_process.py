"""Which process works on a run, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil

FRESH_SECONDS = 60.0  # a process of another host that was heard of so recently is taken to live
SAME_START = 2.0  # seconds
_ALIVE_SECONDS = 10.0  # after a sign of life, however far the clock was moved since
_SINCE_1970 = 1e9  # seconds; times of birth that are larger do not count from the machine's start


@dataclass(frozen=True)
class WorkerProcess:
    """A process, told from later ones of the same number by the time of its birth."""

    pid: int
    host: str
    started: float  # seconds since the machine started (Linux), else since 1970

    @classmethod
    def of(cls, pid: int) -> WorkerProcess:
        """A living process of this host.

        Raises:
            ProcessLookupError: if there is none of that number.
        """
        try:
            return cls(pid, socket.gethostname(), _birth(pid))
        except psutil.NoSuchProcess:
            raise ProcessLookupError(f"There is no process {pid}.") from None

    @classmethod
    def current(cls) -> WorkerProcess:
        """The process that asks."""
        return _this_process(os.getpid())

    def is_same_as(self, other: WorkerProcess) -> bool:
        """Whether both describe one process."""
        same_start = abs(self.started - other.started) < SAME_START
        return (self.pid, self.host) == (other.pid, other.host) and same_start

    def lives(self, silent: float) -> bool:
        """Whether it is there; one of another host counts as such unless it has been silent.

        Times of birth since 1970, of other systems than Linux and of earlier versions of the
        program, move when the clock is set. A process of the same number that gave a sign of life a
        moment ago is therefore the same one, whatever its time of birth.

        Args:
            silent: seconds since it last gave a sign of life.
        """
        if self.host != socket.gethostname():
            return silent < FRESH_SECONDS
        try:
            process = psutil.Process(self.pid)
            old = self.started > _SINCE_1970
            born = process.create_time() if old else _birth(self.pid)
            same = abs(born - self.started) < SAME_START or silent < _ALIVE_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:  # it is there, but is it the same one?
            return silent < FRESH_SECONDS


def _birth(pid: int) -> float:
    """When a process began, in seconds.

    Linux counts from the machine's start, which no setting of the clock moves.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return psutil.Process(pid).create_time()


@lru_cache(maxsize=1)
def _this_process(pid: int) -> WorkerProcess:
    return WorkerProcess.of(pid)
