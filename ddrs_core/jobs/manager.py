"""Who computes what and when: one worker thread per device, shared fairly between computations."""

from __future__ import annotations

import atexit
import logging
import math
import os
import secrets
import sys
import threading
import time

from ddrs_core.errors import BusyError
from ddrs_core.jobs.job import Computation, Job, JobRequest, JobState

_LOG = logging.getLogger(__name__)
_SLICE_SECONDS = 0.05  # how long one computation keeps the device before the next takes over
_NICENESS = 10
_IDLE_SECONDS = 0.02  # how often a worker looks for work that is due at a limited pace


class JobManager:
    """Runs computations and keeps the jobs that watch them.

    Args:
        lease: seconds after which a job that nobody looks at is dropped, running or not.
        max_jobs: jobs that are kept at once.
        max_finished: finished computations that are kept for identical requests.
    """

    def __init__(
        self, *, lease: float = 1_800.0, max_jobs: int = 400, max_finished: int = 64
    ) -> None:
        self.lease = lease
        self.max_jobs = max_jobs
        self.max_finished = max_finished
        self._changed = threading.Condition(threading.RLock())
        self._jobs: dict[str, Job] = {}
        self._computations: dict[str, Computation] = {}  # by key, oldest first
        self._workers: dict[str, threading.Thread] = {}
        self._closed = False

    def submit(
        self,
        request: JobRequest,
        owner: str = "",
        *,
        speed: float = math.inf,
        paused: bool = False,
    ) -> Job:
        """Start a job, or join the computation of an identical request.

        Args:
            request: what to compute.
            owner: who watches and steers.
            speed: snapshots a second to show at most.
            paused: wait for :meth:`Job.step` or :meth:`Job.resume`.

        Raises:
            BusyError: if the server holds as many jobs as it can.
        """
        with self._changed:
            self._drop_stale()
            if len(self._jobs) >= self.max_jobs:
                raise BusyError(
                    f"The server already holds {self.max_jobs} jobs. Wait a little, or cancel "
                    "jobs that you no longer need."
                )
            computation = self._computations.get(request.key)
            stale = computation is not None and computation.finished and request.anew
            if computation is None or computation.error or stale:
                computation = Computation(request, self._changed)
                self._computations[request.key] = computation
            job = self._attach(computation, owner, speed=speed, paused=paused)
            self._changed.notify_all()
        return job

    def get(self, job_id: str, owner: str | None = None) -> Job | None:
        """The job of that id, and mark it as watched; None if there is none (any more).

        With an ``owner`` other than the job's, the answer is a copy of the job at the same place,
        so that two people can follow one link and steer for themselves.
        """
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None:
                return None
            job.touch()
            if owner is None or owner == job.owner:
                return job
            copy = self._attach(job._computation, owner)
            copy.place_of(job)
            return copy

    def drop(self, job: Job) -> None:
        """Forget a job; its computation stops if nobody else watches it."""
        with self._changed:
            self._remove(job)

    def jobs(self, owner: str | None = None) -> list[Job]:
        """All jobs, or those of one owner, newest first."""
        with self._changed:
            self._drop_stale()
            found = [j for j in self._jobs.values() if owner is None or j.owner == owner]
        return sorted(found, key=lambda job: -job.created)

    def active(self, device: str) -> int:
        """Computations that want the device at this moment."""
        now = time.monotonic()
        with self._changed:
            return sum(
                c.request.device == device and c.wanted(now) for c in self._computations.values()
            )

    def close(self) -> None:
        """Stop the workers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers.values():
            worker.join(timeout=10)

    def _attach(
        self, computation: Computation, owner: str, *, speed: float = math.inf, paused: bool = False
    ) -> Job:
        job = Job(secrets.token_urlsafe(9), owner, computation, speed=speed, paused=paused)
        job._active_on_device = lambda: self.active(computation.request.device)
        computation.jobs.append(job)
        self._jobs[job.id] = job
        device = computation.request.device
        worker = self._workers.get(device)
        if worker is None or not worker.is_alive():
            worker = threading.Thread(
                target=self._work, args=(device,), name=f"jobs on {device}", daemon=True
            )
            self._workers[device] = worker
            worker.start()
        return job

    def _remove(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        if job in job._computation.jobs:
            job._computation.jobs.remove(job)

    def _drop_stale(self) -> None:
        deadline = time.monotonic() - self.lease
        for job in [j for j in self._jobs.values() if j.last_seen < deadline]:
            self._remove(job)

    def _work(self, device: str) -> None:
        """The worker: round-robin over the computations of one device that somebody wants."""
        _yield_to_pages()
        last = ""  # key of the computation that ran last; holding on to it would keep it alive
        while True:
            with self._changed:
                if self._closed:
                    return
                self._drop_stale()
                abandoned = self._take_abandoned(device)
                current = self._next_after(last, device)
                if current is None and not abandoned:
                    paced = any(
                        j.state is JobState.RUNNING
                        for j in self._jobs.values()
                        if j.request.device == device
                    )
                    self._changed.wait(_IDLE_SECONDS if paced else 1.0)
            while abandoned:
                abandoned.pop().close()
            if current is not None:
                current.advance(_SLICE_SECONDS)
                last = current.request.key
                current = None

    def _next_after(self, last: str, device: str) -> Computation | None:
        now = time.monotonic()
        mine = [c for c in self._computations.values() if c.request.device == device]
        start = next((i + 1 for i, c in enumerate(mine) if c.request.key == last), 0)
        for computation in mine[start:] + mine[:start]:
            if computation.wanted(now):
                return computation
        return None

    def _take_abandoned(self, device: str) -> list[Computation]:
        """Forget computations that nobody watches, but for the last few finished ones."""
        unwatched = [
            c
            for c in self._computations.values()
            if c.request.device == device and all(j.state is JobState.CANCELLED for j in c.jobs)
        ]
        finished = [c for c in unwatched if c.finished and not c.error]
        keep = finished[max(0, len(finished) - self.max_finished) :]
        gone = [c for c in unwatched if c not in keep]
        for computation in gone:
            if self._computations.get(computation.request.key) is computation:
                del self._computations[computation.request.key]
        return gone


def _yield_to_pages() -> None:
    """Let the operating system prefer the threads that serve pages, where it can (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


_MANAGER = JobManager()
atexit.register(_MANAGER.close)  # a thread inside torch must not outlive the interpreter


def get_manager() -> JobManager:
    """The one manager of this process (not in a cache, so that clearing caches drops no job)."""
    return _MANAGER
