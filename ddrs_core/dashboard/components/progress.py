"""How far a job is, as HTML for a board."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ddrs_core.dashboard.components.render import render
from ddrs_core.jobs import Job, JobState
from ddrs_core.quantities import counted, duration, noun

_STATES = {
    JobState.QUEUED: "waiting for the device",
    JobState.RUNNING: "running",
    JobState.PAUSED: "paused",
    JobState.DONE: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}


def progress_html(job: Job | None, idle: str = "") -> Markup:
    """State, progress, rate, time left and other work on the device; ``idle`` without a job."""
    if job is None:
        return progress_bar([idle])
    state, total = job.state, job.request.total
    parts = [_STATES[state], f"{job.done:,.0f} of {counted(round(total), job.request.unit)}"]
    if state is JobState.RUNNING:
        rate = f"{job.rate:,.0f}" if job.rate >= 10 else f"{job.rate:.2g}"
        parts.append(f"{rate} {noun(1 if rate == '1' else 2, job.request.unit)}/s on the device")
        left = job.seconds_left
        if left is not None:
            parts.append(f"{left:,.1f} s left" if left < 59.5 else f"{duration(left)} left")
        if job.sharing > 1:
            parts.append(f"{counted(job.sharing, 'computation')} on the device")
    failed = state is JobState.FAILED
    if failed:
        parts.append(job.error)
    return progress_bar(parts, job.progress, label=job.request.title, failed=failed)


def progress_bar(
    parts: Sequence[str],
    done: float | None = None,
    *,
    label: str = "",
    title: str = "",
    failed: bool = False,
) -> Markup:
    """One line and, where ``done`` is known, a bar.

    Args:
        parts: of the line, joined by dots; empty ones are left out.
        done: 0 to 1.
        label: of the bar, for those who cannot see it.
        title: what runs, in bold before the line.
        failed: in the colour of failures.
    """
    return render("progress.html", parts=parts, done=done, label=label, title=title, failed=failed)
