"""Speeds of this machine, measured once for all visitors in the background."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ddrs_core.dashboard.visitor import visitor
from ddrs_core.errors import BusyError
from ddrs_core.jobs import Job, JobRequest, get_manager

_LEFT_SECONDS = 5.0  # a page that measures looks ten times a second


def measured_once(
    key: str, title: str, kind: str, device: str, start: Callable[[], Iterator[float]]
) -> Job | None:
    """The job that measures a speed; those of the same kind that this visitor left are dropped.

    Args:
        key: identity of what is measured, device included.
        title: what people see in the queue.
        kind: what sort of speed, one at a time for a visitor.
        device: where it is measured.
        start: yields the speed as it becomes known.

    Returns:
        The job, or None where the machine takes no more of them.
    """
    for job in [j for j in get_manager().jobs(visitor()) if j.request.kind == kind]:
        if job.request.key == key:
            job.touch()
            return job
        if time.monotonic() - job.last_seen > _LEFT_SECONDS:
            get_manager().drop(job)  # else another tab may wait for it
    request = JobRequest(key, title, kind, device, start, 1.0, "trials")
    try:
        return get_manager().submit(request, visitor())
    except BusyError:
        return None
