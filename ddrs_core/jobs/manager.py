"""Who computes what and when: one worker thread per device, shared fairly between computations.

Work that a page shows goes first. Work that no page shows stands still after a minute or two, and
is kept until it is the longest unseen of too many jobs: nobody new is ever turned away.
"""

from __future__ import annotations

import atexit
import math
import os
import secrets
import sys
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ddrs_core.jobs.computation import Computation, JobRequest
from ddrs_core.jobs.job import Job
from ddrs_core.runs.device_queue import InteractiveLock, queue_folder

_SLICE_SECONDS = 0.05  # how long one computation keeps the device before the next takes over
_WATCHED_SECONDS = 3.0  # pages tick ten times a second, those in hidden tabs once
_RETRY_SECONDS = 30.0  # a page that is drawn again when a job fails must not start it in a circle
_NICENESS = 10
_IDLE_SECONDS = 0.02  # how often a worker looks for work that is due at a limited pace


@dataclass(eq=False, repr=False, kw_only=True)
class JobManager:
    """Runs computations and keeps the jobs that watch them.

    Args:
        lease: seconds after which a job that no page shows computes no more; it goes on when one
            shows it again.
        keep: seconds after which a job that no page showed is forgotten, with what it has computed.
        max_jobs: jobs that are kept at once; the longest unseen give way to new ones.
        max_per_owner: the same for the jobs of one visitor.
        max_finished: finished computations that are kept for identical requests, for each device.
        max_bytes: of the histories of jobs that nobody attends, beyond which the longest unseen
            give way; and of the finished computations that are kept for each device.
    """

    lease: float = 90.0
    keep: float = 7_200.0
    max_jobs: int = 400
    max_per_owner: int = 64
    max_finished: int = 64
    max_bytes: int = 256 << 20
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)
    _jobs: dict[str, Job] = field(default_factory=dict, init=False)
    _computations: dict[str, Computation] = field(default_factory=dict, init=False)  # by key
    _workers: dict[str, threading.Thread] = field(default_factory=dict, init=False)
    _closed: bool = field(default=False, init=False)

    def submit(
        self, request: JobRequest, owner: str = "", *, speed: float = math.inf, paused: bool = False
    ) -> Job:
        """Start a job, or join the computation of an identical request.

        Args:
            request: what to compute.
            owner: who watches and steers.
            speed: snapshots a second to show at most.
            paused: wait for :meth:`Job.step` or :meth:`Job.resume`.
        """
        with self._changed:
            computation = self._computations.get(request.key)
            stale = computation is not None and computation.finished and request.rerun
            if computation is None or computation.error or stale:
                computation = Computation(request, self._changed, self.lease)
                self._computations[request.key] = computation
            return self._attach(computation, owner, speed=speed, paused=paused)

    def ensure(self, request: JobRequest, owner: str) -> Job:
        """The owner's job for an identical request, or a new one, where there is none.

        One that failed is tried again after a while.
        """
        with self._changed:
            job = self.find(request.key, owner)
            if job is not None and job.error and time.time() - job.created > _RETRY_SECONDS:
                self._remove(job)
                job = None
            return self.submit(request, owner) if job is None else job

    def find(self, key: str, owner: str) -> Job | None:
        """The owner's newest job for a request with that key, and mark it as watched."""
        job = next((job for job in self.jobs(owner) if job.request.key == key), None)
        if job is not None:
            job.touch()
        return job

    def get(self, job_id: str) -> Job | None:
        """The job of that id, whoever owns it; None if there is none."""
        with self._changed:
            return self._jobs.get(job_id)

    def adopt(self, job_id: str, key: str, owner: str) -> Job | None:
        """The job of that id, if it answers the request with that key, for the owner to steer.

        Somebody else's job is copied, so that two people can follow one link and steer for
        themselves: one copy for each visitor, which follows the link again where no page of
        theirs shows it.

        Returns:
            The job, marked as watched; None if it is gone or is that of another request.
        """
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None or job.request.key != key:
                return None
            if job.owner != owner:
                original, job = job, self._copy_of(job_id, owner)
                if job is None:
                    job = self._attach(original._computation, owner, copy_of=job_id)
                    job.follow(original)
                elif time.monotonic() - job.last_seen > self.lease:
                    job.follow(original)
                original.last_seen = time.monotonic()  # a link that is in use keeps its job
            job.touch()
        return job

    def drop(self, job: Job) -> None:
        """Forget a job; its computation stops if nobody else watches it."""
        with self._changed:
            self._remove(job)

    def note_presence(self, owner: str, shown: Collection[str]) -> None:
        """Say that a visitor has a page open.

        Args:
            owner: the visitor.
            shown: ids of the jobs that the page shows.
        """
        now = time.monotonic()
        with self._changed:
            for job in self._jobs.values():
                if job.owner == owner and job.id in shown:
                    job.last_seen = now
            self._changed.notify_all()

    def jobs(self, owner: str | None = None) -> list[Job]:
        """All jobs, or those of one owner, newest first."""
        with self._changed:
            self._drop_stale()
            found = [j for j in self._jobs.values() if owner in (None, j.owner)]
        return sorted(found, key=lambda job: -job.created)

    def active(self, device: str) -> int:
        """Computations that take turns on the device at this moment."""
        now = time.monotonic()
        with self._changed:
            unfinished = self._unfinished(device)
            watched = sum(c.wanted(now, _WATCHED_SECONDS) for c in unfinished)
            return watched or sum(c.wanted(now) for c in unfinished)

    def close(self) -> None:
        """Stop the workers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers.values():
            worker.join(timeout=10)

    def _attach(
        self,
        computation: Computation,
        owner: str,
        *,
        speed: float = math.inf,
        paused: bool = False,
        copy_of: str = "",
    ) -> Job:
        """A new job, which others give way to; the lock is held."""
        name = secrets.token_urlsafe(9)
        job = Job(name, owner, computation, speed=speed, paused=paused, copy_of=copy_of)
        job._active_on_device = lambda: self.active(computation.request.device)
        computation.jobs.append(job)
        self._jobs[job.id] = job
        self._make_room(owner)
        device = computation.request.device
        worker = self._workers.get(device)
        if worker is None or not worker.is_alive():
            worker = threading.Thread(
                target=self._work, args=(device,), name=f"jobs on {device}", daemon=True
            )
            self._workers[device] = worker
            worker.start()
        self._changed.notify_all()
        return job

    def _copy_of(self, job_id: str, owner: str) -> Job | None:
        copies = (j for j in self._jobs.values() if j.owner == owner and j.copy_of == job_id)
        return next(copies, None)

    def _remove(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        job.cancel()  # for a page that still shows it
        if job in job._computation.jobs:
            job._computation.jobs.remove(job)

    def _make_room(self, owner: str) -> None:
        """Let the longest unseen jobs give way, the owner's beyond their share first."""
        self._drop_stale()
        mine = [job for job in self._jobs.values() if job.owner == owner]
        self._drop_beyond(self.max_per_owner, mine)
        self._drop_beyond(self.max_jobs, list(self._jobs.values()))

    def _drop_beyond(self, most: int, jobs: list[Job]) -> None:
        over = len(jobs) - most
        for job in _longest_unseen(jobs)[:over] if over > 0 else ():
            self._remove(job)

    def _drop_stale(self) -> None:
        """Forget jobs that no page showed for long, and those whose histories are too large."""
        now = time.monotonic()
        for job in [j for j in self._jobs.values() if now - j.last_seen > self.keep]:
            if not _has_to_end(job):
                self._remove(job)
        left = [job for job in self._jobs.values() if not job.is_attended(now)]
        held = sum(c.history_bytes for c in {job._computation for job in left})
        for job in _longest_unseen(left) if held > self.max_bytes else ():
            self._remove(job)
            held -= job._computation.history_bytes if not job._computation.jobs else 0
            if held <= self.max_bytes:
                break

    def _work(self, device: str) -> None:
        """The worker: gives turns to the computations of one device that somebody wants.

        While a page shows one of them, the runs of data sets and trainings on the device give way.
        """
        _yield_to_pages()
        interactive = InteractiveLock(queue_folder(), device)
        while True:
            with self._changed:
                if self._closed:
                    interactive.release()
                    return
                self._drop_stale()
                abandoned = self._take_abandoned(device)
                interactive.update(self._is_watched(device))
                current = self._next(device)
                if current is None and not abandoned:
                    now = time.monotonic()
                    paced = any(c.wanted_soon(now) for c in self._unfinished(device))
                    self._changed.wait(_IDLE_SECONDS if paced else 1.0)
            while abandoned:
                abandoned.pop().close()
            if current is not None:
                current.advance(_SLICE_SECONDS)
                current = None  # holding on to it would keep it alive

    def _unfinished(self, device: str) -> list[Computation]:
        mine = self._computations.values()
        return [c for c in mine if not c.finished and c.request.device == device]

    def _next(self, device: str) -> Computation | None:
        """Whose turn it is: the longest waiting that a page shows, else that anybody wants."""
        now = time.monotonic()
        unfinished = self._unfinished(device)
        for seen_within in (_WATCHED_SECONDS, math.inf):
            waiting = [c for c in unfinished if c.wanted(now, seen_within)]
            if waiting:
                return min(waiting, key=lambda c: c.last_turn)
        return None

    def _is_watched(self, device: str) -> bool:
        """Whether a page shows a computation of the device that is not done."""
        now = time.monotonic()
        return any(c.wanted(now, _WATCHED_SECONDS) for c in self._unfinished(device))

    def _take_abandoned(self, device: str) -> list[Computation]:
        """Forget computations without jobs, but for the last few that have finished."""
        unwatched = [
            c
            for c in self._computations.values()
            if c.request.device == device and all(job.is_cancelled for job in c.jobs)
        ]
        kept: set[Computation] = set()
        held = 0
        for computation in reversed(unwatched):
            if computation.finished and not computation.error:
                held += computation.history_bytes
                if held > self.max_bytes or len(kept) >= self.max_finished:
                    break
                kept.add(computation)
        gone = [c for c in unwatched if c not in kept]
        for computation in gone:
            if self._computations.get(computation.request.key) is computation:
                del self._computations[computation.request.key]
        return gone


def _longest_unseen(jobs: Iterable[Job]) -> list[Job]:
    """Jobs in the order in which they give way."""
    return sorted(jobs, key=lambda job: (_has_to_end(job), job.last_seen))


def _has_to_end(job: Job) -> bool:
    return job.request.unattended and not job.state.is_over


def _yield_to_pages() -> None:
    """Let the operating system prefer the threads that serve pages, where it can (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


_MANAGER = JobManager()
atexit.register(_MANAGER.close)  # a thread inside torch must not outlive the interpreter


def get_manager() -> JobManager:
    """The one manager of this process (not in a cache, so that clearing caches drops no job)."""
    return _MANAGER
