"""A computation: a generator that is advanced only as far as somebody wants to see.

Identical requests share one computation, whatever each of their jobs shows of it.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ddrs_core.errors import DDRSError

if TYPE_CHECKING:
    from ddrs_core.jobs.job import Job

_LOG = logging.getLogger(__name__)
_OBJECT_BYTES = 56  # of a small Python object and the reference to it


@dataclass(frozen=True)
class JobRequest:
    """What is to be computed.

    Args:
        key: identity of the computation; requests with equal keys share one.
        title: what a person calls it.
        kind: what it is, for those who filter jobs, such as ``"sigma"``.
        device: whose queue it joins, such as ``"cpu"`` or ``"cuda:0"``.
        start: makes the generator of snapshots; called in the worker thread.
        total: amount of work in ``unit``.
        unit: what is counted, in the singular; "" for a share of one.
        amount: work done, read off a snapshot; one unit a snapshot when omitted.
        link: where a page shows this job.
        rerun: what has finished does not answer it; a computation that is under way is joined.
        unattended: it goes on to its end, even after everybody has left.
        stored: all snapshots, of a computation that was made before; nothing has to run.
    """

    key: str
    title: str
    kind: str
    device: str
    start: Callable[[], Iterator[Any]]
    total: float
    unit: str = "step"
    amount: Callable[[Any], float] | None = None
    link: str = ""
    rerun: bool = False
    unattended: bool = False
    stored: Sequence[Any] = ()


@dataclass(eq=False)
class Computation:
    """A generator, what it has yielded so far, and the jobs that show it.

    Args:
        request: what is computed.
        changed: lock of the manager; it is notified when a job changes its demand.
        lease: seconds after which a job that no page shows wants nothing more.
    """

    request: JobRequest
    changed: threading.Condition
    lease: float
    history: list[Any] = field(default_factory=list)
    history_bytes: int = 0
    jobs: list[Job] = field(default_factory=list)
    finished: bool = False
    error: str = ""
    busy_seconds: float = 0.0
    last_turn: float = field(default_factory=time.monotonic)  # when it last had the device
    _iterator: Iterator[Any] | None = None

    def __post_init__(self) -> None:
        """A stored computation has ended."""
        self.history.extend(self.request.stored)
        self.finished = bool(self.history)

    def wanted(self, now: float, seen_within: float = math.inf) -> bool:
        """Whether a job that a page showed within so many seconds wants more snapshots."""
        if self.finished:
            return False
        made = len(self.history)
        return any(
            now - job.last_seen <= seen_within and job.demand(now) > made for job in self.jobs
        )

    def wanted_soon(self, now: float) -> bool:
        """Whether some job will want more without further ado, at its limited pace."""
        return not self.finished and any(job.is_advancing(now) for job in self.jobs)

    def advance(self, seconds: float) -> None:
        """Run for about ``seconds``, or until nobody wants more; called by the worker alone."""
        started = time.monotonic()
        try:
            if self._iterator is None:
                self._iterator = self.request.start()
            while self.wanted(time.monotonic()):
                snapshot = next(self._iterator)
                size = size_of(snapshot)
                with self.changed:
                    self.history.append(snapshot)
                    self.history_bytes += size
                if time.monotonic() - started > seconds:
                    break
        except StopIteration:
            self.finished = True
        except DDRSError as error:
            self._fail(str(error))
        except Exception as error:  # a job must never take the worker down
            _LOG.exception("job %r failed", self.request.title)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._fail(f"Something went wrong inside the computation ({reason}).")
        finally:
            self.last_turn = time.monotonic()
            self.busy_seconds += self.last_turn - started

    def close(self) -> None:
        """Give the generator up; called by the worker alone."""
        self.finished = True
        iterator, self._iterator = self._iterator, None
        if iterator is not None and hasattr(iterator, "close"):
            iterator.close()

    def _fail(self, message: str) -> None:
        self.error, self.finished = message, True

    def amount(self, snapshots: int) -> float:
        """Work done after that many snapshots, in the request's unit."""
        if not snapshots:
            return 0.0
        measure = self.request.amount
        return float(snapshots) if measure is None else measure(self.history[snapshots - 1])


def size_of(snapshot: Any) -> int:
    """Bytes that a snapshot keeps in memory, roughly: arrays and tensors count in full."""
    held = getattr(snapshot, "nbytes", None)
    if isinstance(held, int):
        return held + _OBJECT_BYTES
    if is_dataclass(snapshot):
        parts = [getattr(snapshot, part.name) for part in fields(snapshot)]
    elif isinstance(snapshot, Mapping):
        parts = list(snapshot.values())
    elif isinstance(snapshot, (tuple, list)):
        parts = list(snapshot)
        if parts and isinstance(parts[0], (int, float)):  # counts of a thousand classes
            return _OBJECT_BYTES * (len(parts) + 1)
    else:
        return sys.getsizeof(snapshot)
    return _OBJECT_BYTES + sum(map(size_of, parts))
