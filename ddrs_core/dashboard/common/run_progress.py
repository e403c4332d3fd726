"""Runs that pages follow: where they stand, and when what they have stored is worth a new look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ddrs_core.dashboard.common.result_sources import RUN, find_setting, run_title
from ddrs_core.dashboard.components.progress import progress_bar
from ddrs_core.errors import DDRSError
from ddrs_core.quantities import counted, duration
from ddrs_core.runs.certify.config import Method
from ddrs_core.store import RunRecord, RunState, Wanted

_GROWTH = 1.25  # of the certificates, after which the parts of a page that do not tick follow


def runs_of(names: Sequence[str]) -> dict[str, RunRecord]:
    """The runs whose settings are among sets of results, as they stand now, by id."""
    found: dict[str, RunRecord] = {}
    for name in names:
        if name.startswith(RUN):
            try:
                run, _ = find_setting(name)
            except DDRSError:
                continue  # the page says so
            found[run.id] = run
    return found


def has_grown(now: int, before: int) -> bool:
    """Whether so many certificates have come that the whole page is drawn again."""
    return now >= max(before + 1, _GROWTH * before)


def run_progress_html(run: RunRecord) -> Markup:
    """Where a run stands."""
    return progress_bar(
        _state_of(run),
        run.stored / run.total,
        label=f"Progress of {run_title(run)}",
        title=run_title(run),
        failed=run.state in (RunState.FAILED, RunState.INTERRUPTED),
    )


def _state_of(run: RunRecord) -> list[str]:
    """Where a run stands, in the parts of a line."""
    settings = ", ".join(_setting(s) for s in run.settings)
    parts = [settings, f"{run.stored:,} of {counted(run.total, 'certificate')}"]
    progress = run.progress
    if run.state is RunState.RUNNING:
        said = progress.stage if progress else "certify"
        stage = {"certify": "certifying", "sigma": "choosing sigma"}.get(said, said)
        stage = run.standing if run.gives_way else stage
        asked = {Wanted.PAUSE: "pausing", Wanted.CANCEL: "cancelling", None: stage}
        parts.insert(0, asked[run.wanted])
        if progress is not None and progress.rate > 0:
            parts.append(f"{progress.rate:,.2g} a second")
        if progress is not None and progress.seconds_left is not None:
            parts.append(f"{duration(progress.seconds_left)} left")
    elif run.state is RunState.WAITING:
        parts.insert(0, f"waiting for its turn on {run.device}" if progress else "starting")
    elif run.state is RunState.INTERRUPTED:
        ended = "its process ended unexpectedly; Resume continues where it was"
        parts = ["interrupted", *parts, ended]
    elif run.state is RunState.FAILED:
        parts = ["failed", *parts, run.error]
    else:
        parts.insert(0, run.state.value)
    return parts


def _setting(setting: Mapping[str, Any]) -> str:
    start = " from" if setting["method"] == Method.TUNED else ""
    return f"{setting['method']}{start} {setting['sigma']:g}"
