"""What runs on this server: this visitor's jobs and runs of every kind, and how many of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from ddrs_core.dashboard.common.result_sources import run_title
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.jobs import Job, get_manager
from ddrs_core.jobs.runs import list_runs
from ddrs_core.paths import home
from ddrs_core.quantities import counted, duration
from ddrs_core.store import TRAIN, RunRecord

_UNASKED = (
    "curve",
    "passes",
    "votes",
    "robustness",
    "failures-clean",
    "failures-levels",
    "failures-nearest",
)  # kinds that a page starts by itself
_MOST_RESTING = 6  # that have ended or stand still; what moves is shown whatever it is
_OTHERS_SECONDS = 5.0  # how long the number of others' runs is remembered, for all visitors


@dataclass(frozen=True)
class Row:
    """A job or a run, whatever its kind."""

    title: str
    state: str
    done: float  # 0 to 1
    link: str  # where a page shows it; "" where none does
    moving: bool  # running, or waiting to
    created: float  # seconds since 1970
    seconds_left: float | None = None

    @property
    def text(self) -> str:
        """The row as Markdown."""
        left = ""
        if self.moving and self.seconds_left is not None:
            left = f", {duration(self.seconds_left)} left"
        opened = f" · [Open it]({self.link})" if self.link else ""
        return f"{literal(self.title)}: {self.state}{left}{opened}"


def show_jobs() -> None:
    """The list as it stands now; drawn again every second."""
    rows, others = list_rows(visitor()), _count_others(visitor())
    for row in rows:
        if row.moving:
            st.progress(min(1.0, max(0.0, row.done)), text=row.text)
        else:
            st.markdown(row.text)
    if not rows:
        st.caption("You have no jobs. What you start on any page is listed here.")
    elif not any(row.moving for row in rows):
        st.caption("Nothing of yours is running now.")
    if others:
        st.caption(f"Other visitors have {counted(others, 'unfinished job')} on this server.")


def list_rows(me: str) -> list[Row]:
    """A visitor's jobs and runs: all that move, then the latest of the others."""
    rows = [_job_row(job) for job in get_manager().jobs(me) if _is_shown(job)]
    try:
        rows += [_run_row(run) for run in list_runs(me)]
    except DDRSError as error:  # the database cannot be used; the rest of the page can
        show_error(error)
    rows.sort(key=lambda row: -row.created)
    resting = [row for row in rows if not row.moving]
    return [row for row in rows if row.moving] + resting[:_MOST_RESTING]


def _is_shown(job: Job) -> bool:
    asked = job.request.kind not in _UNASKED and not job.request.stored
    return job.state.is_moving or asked


def _job_row(job: Job) -> Row:
    job.touch()  # whoever sees it listed watches it
    link = job.request.link
    if job.request.kind == "sigma":
        link += f"&job={job.id}"
    return Row(
        job.request.title,
        job.state.value,
        job.progress,
        link,
        job.state.is_moving,
        job.created,
        job.seconds_left if job.state.is_moving else None,
    )


def _run_row(run: RunRecord) -> Row:
    progress = run.progress
    training = run.kind == TRAIN
    return Row(
        f"training of {run.title}" if training else f"certification of {run_title(run)}",
        run.standing,
        run.share,
        f"{'training' if training else 'compare'}?run={run.id}",
        run.state.is_moving,
        run.created,
        progress.seconds_left if progress is not None else None,
    )


def _count_others(me: str) -> int:
    """Jobs and runs of other visitors that run, or wait to; not those whose visitor has left."""
    others = [job for job in get_manager().jobs() if job.owner != me]
    jobs = sum(job.state.is_moving and job.is_going_on for job in others)
    return jobs + sum(owner != me for owner in _owners_of_moving_runs(str(home())))


@st.cache_data(ttl=_OTHERS_SECONDS, max_entries=2, show_spinner=False)
def _owners_of_moving_runs(folder: str) -> Sequence[str]:
    """The owner of each run that moves; ``folder`` is where they are kept."""

    try:
        return [run.owner for run in list_runs() if run.state.is_moving]
    except DDRSError:  # said above, where this visitor's own runs are listed
        return []
