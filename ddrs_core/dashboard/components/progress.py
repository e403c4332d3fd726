"""How far a job is, as HTML for a board."""

from __future__ import annotations

import html

from ddrs_core.jobs import Job, JobState
from ddrs_core.quantities import counted, duration, noun

_WORDS = {
    JobState.QUEUED: "waiting for the device",
    JobState.RUNNING: "running",
    JobState.PAUSED: "paused",
    JobState.DONE: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def progress_html(job: Job | None, idle: str = "") -> str:
    """State, progress, rate, time left and company on the device; ``idle`` without a job."""
    if job is None:
        return f'<div class="ddrs-progress"><span>{html.escape(idle)}</span></div>'
    state, total = job.state, job.request.total
    words = [_WORDS[state], f"{job.done:,.0f} of {counted(round(total), job.request.unit)}"]
    if state is JobState.RUNNING:
        rate = _rate(job.rate)
        words.append(f"{rate} {noun(1 if rate == '1' else 2, job.request.unit)}/s on the device")
        left = job.seconds_left
        if left is not None:
            words.append(f"{left:,.1f} s left" if left < 59.5 else f"{duration(left)} left")
        if job.sharing > 1:
            words.append(f"{counted(job.sharing, 'computation')} on the device")
    if state is JobState.FAILED:
        words.append(job.error)
    text = html.escape(" · ".join(words))
    percent = 100 * job.progress
    style = "ddrs-failed" if state is JobState.FAILED else ""
    return (
        f'<div class="ddrs-progress {style}"><span>{text}</span>'
        f'<div role="progressbar" aria-label="{html.escape(job.request.title)}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent:.0f}">'
        f'<i style="width:{percent:.1f}%"></i></div></div>'
    )
