"""Downloads that visitors start: one for all, with progress, going on while they look elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import streamlit as st

from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.dashboard.shell.polling import Watch
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.download import DownloadProgress
from ddrs_core.jobs import Job, JobRequest, JobState, get_manager

_QUEUE = "network"  # its own queue: a download holds up no computation


def start_download(key: str, title: str, start: Callable[[], Iterator[DownloadProgress]]) -> None:
    """Start a download, or join the one that somebody else has started."""
    manager, me = get_manager(), visitor()
    request = JobRequest(
        key,
        title,
        "download",
        _QUEUE,
        start,
        1.0,
        "",
        amount=_share,
        link="library",
        unattended=True,
    )
    old = manager.find(key, me)
    manager.submit(request, me)
    if old is not None:
        manager.drop(old)


def show_download(key: str) -> Job | None:
    """Progress of this visitor's download under a key, if there is one."""
    job = get_manager().find(key, visitor())
    if job is not None:
        Watch(job).draw(lambda: _show(job))
    return job


def _show(job: Job) -> None:
    latest: DownloadProgress | None = job.latest
    if job.state is JobState.FAILED:
        st.error(literal(job.error or ""), icon=":material/error:")
    elif job.state is JobState.DONE:
        st.success("It is here.", icon=":material/check:")
    elif latest is None:
        st.progress(0.0, text="Connecting")
    else:
        done, total = latest.done / 2**20, (latest.total or 0) / 2**20
        text = f"{done:,.1f} of {total:,.1f} MB" if total else f"{done:,.1f} MB"
        st.progress(min(1.0, job.progress), text=f"{latest.stage.capitalize()}: {text}")


def _share(progress: DownloadProgress) -> float:
    return progress.done / progress.total if progress.total else 0.0
