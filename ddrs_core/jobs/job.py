"""A job is one person's view of a computation: it can be paused, stepped, slowed and cancelled.

Identical requests share one computation, while everybody pauses and steps for themselves. A job is
*watched* while a page shows it. Work that is watched goes first, and work that no page has shown
for a minute or two stands still until one does again, whatever else its owner looks at.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from ddrs_core.jobs.computation import Computation, JobRequest


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)

    @property
    def is_moving(self) -> bool:
        """Whether it changes by itself, without anybody pressing anything."""
        return self in (JobState.QUEUED, JobState.RUNNING)


class Job:
    """A handle on a computation; made by :meth:`JobManager.submit`. Thread-safe."""

    def __init__(
        self,
        job_id: str,
        owner: str,
        computation: Computation,
        *,
        speed: float = math.inf,
        paused: bool = False,
        copy_of: str = "",
    ) -> None:
        self.id = job_id
        self.owner = owner
        self.copy_of = copy_of  # id of the job, of somebody else, that it was copied from
        self.last_seen = time.monotonic()  # when a page last showed it
        self.created = time.time()
        self._computation = computation
        self._changed = computation.changed
        self._anchor = (time.monotonic(), 0.0)  # when the position was what
        self._speed = speed  # snapshots a second
        self._paused = paused
        self._cancelled = False

    @property
    def request(self) -> JobRequest:
        """What was asked for."""
        return self._computation.request

    @property
    def state(self) -> JobState:
        """Where the job stands for its watcher."""
        with self._changed:
            seen, made = self._seen(time.monotonic()), len(self._computation.history)
            if self._cancelled:
                return JobState.CANCELLED
            if self._computation.finished and seen >= made:
                return JobState.FAILED if self._computation.error else JobState.DONE
            if self._paused and self._anchor[1] <= made:  # else a step is still being made
                return JobState.PAUSED
            return JobState.RUNNING if made else JobState.QUEUED

    @property
    def is_going_on(self) -> bool:
        """Whether it computes, or will, and somebody watches it."""
        return not self.state.is_over and self.is_attended(time.monotonic())

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody has stopped it for good."""
        return self._cancelled

    @property
    def error(self) -> str:
        """The message of a failed job, otherwise empty."""
        return self._computation.error

    @property
    def history(self) -> Sequence[Any]:
        """All snapshots up to where this job stands."""
        with self._changed:
            return self._computation.history[: self._seen(time.monotonic())]

    @property
    def latest(self) -> Any | None:
        """The snapshot where this job stands; None before the first."""
        with self._changed:
            seen = self._seen(time.monotonic())
            return self._computation.history[seen - 1] if seen else None

    @property
    def done(self) -> float:
        """Work shown so far, in the request's unit."""
        with self._changed:
            return self._computation.amount(self._seen(time.monotonic()))

    @property
    def progress(self) -> float:
        """Share of the work shown so far, 0 to 1; a computation may end early."""
        if self.state is JobState.DONE:
            return 1.0
        return min(1.0, self.done / max(self.request.total, 1e-12))

    @property
    def rate(self) -> float:
        """Units a second, while the device worked on this computation."""
        with self._changed:
            made = self._computation.amount(len(self._computation.history))
            return made / max(self._computation.busy_seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present pace; None while unknown."""
        with self._changed:
            pace = self.rate / max(1, self.sharing)
            if self.request.amount is None:
                pace = min(pace, self._speed)
        return (self.request.total - self.done) / pace if pace > 0 else None

    @property
    def sharing(self) -> int:
        """How many computations share the device at this moment, this one included."""
        return self._active_on_device() if self._active_on_device else 1

    _active_on_device: Callable[[], int] | None = None

    @property
    def speed(self) -> float:
        """Snapshots a second at which the job is shown; infinite when unlimited."""
        return self._speed

    def pause(self) -> None:
        """Stop where the job stands now."""
        with self._changed:
            self._move_anchor()
            self._paused = True

    def resume(self) -> None:
        """Go on."""
        with self._changed:
            self._move_anchor()
            self._paused = False
            self._changed.notify_all()

    def step(self) -> None:
        """Show one more snapshot, then stand still."""
        with self._changed:
            self._move_anchor()
            when, position = self._anchor
            self._anchor = (when, math.floor(position) + 1.0)
            self._paused = True
            self._changed.notify_all()

    def set_speed(self, snapshots_per_second: float) -> None:
        """Show at most that many snapshots a second; ``math.inf`` lifts the limit."""
        with self._changed:
            self._move_anchor()
            self._speed = max(0.01, snapshots_per_second)
            self._changed.notify_all()

    def cancel(self) -> None:
        """Stop for good; what has been shown stays."""
        with self._changed:
            if not self.state.is_over:
                self._move_anchor()
                self._paused = self._cancelled = True
                self._changed.notify_all()

    def touch(self) -> None:
        """Say that a page shows it."""
        now = time.monotonic()
        was_attended = self.is_attended(now)
        self.last_seen = now
        if not was_attended:
            with self._changed:
                self._changed.notify_all()

    def is_attended(self, now: float) -> bool:
        """Whether a page has shown it lately, or need not."""
        return self.request.unattended or now - self.last_seen < self._computation.lease

    def is_advancing(self, now: float) -> bool:
        """Whether it goes on by itself, at its pace; also where it has shown everything."""
        return not self._paused and not self._cancelled and self.is_attended(now)

    def demand(self, now: float) -> float:
        """How many snapshots the watcher wants by now (one ahead of what is shown)."""
        if self._cancelled or not self.is_attended(now):
            return 0.0
        position = self._position(now)
        return position if self._paused else math.floor(min(position, 1e15)) + 1.0

    def follow(self, other: Job) -> None:
        """Stand where ``other`` stands, in the same mode (for a copy of somebody's job)."""
        with self._changed:
            now = time.monotonic()
            self._anchor = (now, float(other._seen(now)))
            self._speed, self._paused = other._speed, other._paused
            self._cancelled = other._cancelled

    def _position(self, now: float) -> float:
        when, position = self._anchor
        if self._paused:
            return position
        if math.isinf(self._speed):
            return math.inf
        return position + self._speed * (now - when)

    def _seen(self, now: float) -> int:
        """Snapshots that are visible now; a limited pace never saves up lost time."""
        made = len(self._computation.history)
        position = self._position(now)
        if not self._paused and not math.isinf(position) and position > made + 1:
            self._anchor = (now, float(made))
        return int(min(position, made))

    def _move_anchor(self) -> None:
        now = time.monotonic()
        position = self._position(now)
        if not self._paused:  # steps that were asked for and are not made yet still count
            position = min(position, float(len(self._computation.history)))
        self._anchor = (now, position)
