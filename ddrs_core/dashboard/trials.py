"""Speeds of this machine, measured once for all visitors in the background."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ddrs_core.dashboard.visitor import visitor
from ddrs_core.jobs import Job, JobRequest, get_manager

_LEFT_SECONDS = 60.0  # a page says three times a minute which jobs it shows


def measured_once(
    key: str, title: str, kind: str, device: str, start: Callable[[], Iterator[float]]
) -> Job:
    """The job that measures a speed; those of the same kind that this visitor left are dropped.

    Args:
        key: identity of what is measured, device included.
        title: what people see in the queue.
        kind: what sort of speed, one at a time for a visitor.
        device: where it is measured.
        start: yields the speed as it becomes known.
    """
    manager, me = get_manager(), visitor()
    job = manager.ensure(JobRequest(key, title, kind, device, start, 1.0, "trials"), me)
    for old in [j for j in manager.jobs(me) if j.request.kind == kind and j is not job]:
        if time.monotonic() - old.last_seen > _LEFT_SECONDS:
            manager.drop(old)  # else another tab may wait for it
    return job
