"""Speeds of this machine, measured in the background for all visitors, again when it is quieter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.jobs import Job, JobRequest, get_manager
from ddrs_core.quantities import counted, duration
from ddrs_core.runs.device_queue import count_runs, queue_folder
from ddrs_core.runs.speeds import LoadMeter, Speed, Speeds, load_between, read_cpu_times

_LEFT_SECONDS = 60.0  # a page that measures looks every few seconds
_BUSY = 0.25  # share of the processors from which on a page says that the machine is busy
_SPEEDS = Speeds()
_METER = LoadMeter()


@dataclass(frozen=True)
class Measurement:
    """A speed as far as it is known, and what a page should say beside it."""

    speed: Speed | None  # None: not known yet
    moving: bool  # whether it is being measured now
    how: str = ""  # when, and under what load, it was measured
    busy: str = ""  # what else the device has to do now, as a sentence


def measure(
    key: str, title: str, kind: str, device: str, start: Callable[[], Iterator[float]]
) -> Measurement:
    """The best speed seen, measured now where that is due; jobs of the same kind that this visitor
    left are dropped.

    Args:
        key: identity of what is measured, device included.
        title: what people see in the queue.
        kind: what sort of speed, one at a time for a visitor.
        device: where it is measured.
        start: yields the speed, in units a second, as it becomes known.
    """
    runs = _runs_on(device)
    load = _load(device, runs)
    job = _find(key, kind)
    if job is not None and job.state.is_over:
        get_manager().drop(job)
        job = None
    if job is None and _SPEEDS.is_due(key, load):
        watched = partial(_watched, key, device, start)
        request = JobRequest(key, title, kind, device, watched, 1.0, "measurement", rerun=True)
        job = get_manager().submit(request, visitor())
    speed = _SPEEDS.best(key)
    how = "" if speed is None else _how(speed, device)
    return Measurement(speed, job is not None, how, _busy(device, load, runs))


def _find(key: str, kind: str) -> Job | None:
    """This visitor's job for a speed, if there is one."""
    found = None
    for job in [j for j in get_manager().jobs(visitor()) if j.request.kind == kind]:
        if job.request.key == key:
            job.touch()
            found = job
        elif time.monotonic() - job.last_seen > _LEFT_SECONDS:
            get_manager().drop(job)  # else another tab may wait for it
    return found


def _watched(key: str, device: str, start: Callable[[], Iterator[float]]) -> Iterator[float]:
    """Measure, and remember the result with the load meanwhile."""
    before, latest = read_cpu_times(), 0.0
    runs = _runs_on(device)
    try:
        for latest in start():
            yield latest
    except Exception:
        _SPEEDS.note_failure(key)
        raise
    load = load_between(before, read_cpu_times()) if _is_cpu(device) else float(runs > 0)
    if latest > 0:
        _SPEEDS.note(key, latest, load)
    else:
        _SPEEDS.note_failure(key)


def _runs_on(device: str) -> int:
    """Runs of this server that use a device or wait for it; none where nobody can tell."""
    try:
        return count_runs(queue_folder(), device)
    except OSError:  # the folder cannot be read; a run that is started will say so
        return 0


def _is_cpu(device: str) -> bool:
    return device.startswith("cpu")


def _load(device: str, runs: int) -> float | None:
    """Share of a device that others use now: of a GPU, all or nothing."""
    return _METER.load() if _is_cpu(device) else float(runs > 0)


def _how(speed: Speed, device: str) -> str:
    age = _SPEEDS.age(speed)
    when = f"measured {duration(age)} ago" if age >= 60 else "measured just now"
    if _is_cpu(device):
        return f"{when} while other processes used {speed.load:.0%} of the processors"
    return f"{when} while {'another' if speed.load else 'no other'} run used the device"


def _busy(device: str, load: float | None, runs: int) -> str:
    if runs:
        return f"The device is busy now, with {counted(runs, 'run')} ahead."
    if _is_cpu(device) and load is not None and load >= _BUSY:
        return (
            f"The machine is busy now, it will take longer: other processes use {load:.0%} of the "
            "processors."
        )
    return ""
