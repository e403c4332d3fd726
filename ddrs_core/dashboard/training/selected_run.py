"""What the training page shows: one of the visitor's runs, or the log of a shipped model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.browser_history import set_query
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.dashboard.shell.widget_state import fill_on_arrival, show_widget
from ddrs_core.errors import DDRSError, unknown_name
from ddrs_core.quantities import counted
from ddrs_core.runs.training.log import TrainingRecord, read_training_log, shipped_logs
from ddrs_core.runs.training.progress import TrainingProgress, TrainingStage
from ddrs_core.runs.training.recorded import run_files, run_progress, training_run, training_runs
from ddrs_core.store import RunRecord, RunState, open_store
from ddrs_core.training import EpochSummary

_EXAMPLE = "log:"  # before the name of a shipped model; without it the choice is the id of a run


@dataclass(frozen=True)
class Shown:
    """A training run with its log, as both stand at this moment."""

    key: str
    name: str  # of the model
    config: dict[str, Any]  # as TrainConfig.to_dict gives it
    epochs: tuple[EpochSummary, ...]
    log: Path
    run: RunRecord | None  # None: the log of a shipped model
    progress: TrainingProgress | None = None  # None: a shipped log, or its process said nothing yet

    @property
    def total(self) -> int:
        """Epochs of the run."""
        return int(self.config["epochs"])

    @property
    def sigma(self) -> float:
        """The noise level, or where all images start."""
        return float(self.config["sigma"])

    @property
    def data_dependent(self) -> bool:
        """Whether every image has its own sigma."""
        return self.config.get("data_dependent") is not None

    @property
    def bounds(self) -> tuple[float, float]:
        """The limits of the images' sigmas, if images have their own."""
        low, high = self.config["data_dependent"]["bounds"]
        return float(low), float(high)

    @property
    def is_mine(self) -> bool:
        """Whether this visitor started the run."""
        return self.run is not None and self.run.owner == visitor()

    def refreshed(self) -> Shown:
        """The same, as it stands now.

        Raises:
            DDRSError: if the run is gone.
        """
        if self.run is None:
            return self
        return _shown(training_run(open_store(), self.run.id))


def pick_shown() -> Shown | None:
    """The picker of runs and examples; None where there are neither."""
    state = st.session_state
    titles = _titles()
    fill_on_arrival("training", lambda: _fill_widgets(titles))
    chosen = state.get(keys.TRAINING_SHOWN)
    if chosen is not None and chosen not in titles and not chosen.startswith(_EXAMPLE):
        titles = _with_linked(titles, chosen)
    if not titles:
        st.query_params.clear()
        return None
    show_widget(
        st.selectbox,
        keys.TRAINING_SHOWN,
        "Shown",
        titles,
        label_visibility="collapsed",
        on_change=_forget_problem,
    )
    key = str(state[keys.TRAINING_SHOWN])
    _write_url(key)
    return _open(key)


def show_run(run: RunRecord) -> None:
    """Let the picker show a run, from now on."""
    st.session_state[keys.TRAINING_SHOWN] = run.id
    _forget_problem()


def show_another() -> None:
    """Let the picker show what comes first: the run that was shown is gone."""
    st.session_state[keys.TRAINING_SHOWN] = None
    _forget_problem()


def _forget_problem() -> None:
    st.session_state[keys.TRAINING_PROBLEMS] = []


def _titles() -> dict[str, str]:
    """Own runs first, newest on top; then the shipped logs, data-dependent ones of digits first,
    and of these the simplest method."""
    titles = {run.id: _title(run) for run in training_runs(open_store(), visitor())}
    apart = ("digits", "-ds2", "gaussian")
    logs = sorted(shipped_logs(), key=lambda name: (*(part not in name for part in apart), name))
    return titles | {_EXAMPLE + name: f"Example: how {name} was trained" for name in logs}


def _title(run: RunRecord, whose: str = "Your run") -> str:
    started = time.strftime("%d %b %H:%M", time.localtime(run.created))
    return f"{whose}: {run.title}, {counted(run.config['epochs'], 'epoch')}, started {started}"


def _with_linked(titles: dict[str, str], run_id: str) -> dict[str, str]:
    """Add the run of somebody whose link was opened."""
    try:
        return {run_id: _title(training_run(open_store(), run_id), "A run by link"), **titles}
    except DDRSError as error:
        st.session_state[keys.TRAINING_PROBLEMS] = [str(error)]
        return titles


def _fill_widgets(titles: dict[str, str]) -> None:
    """Show what the URL names, else what was shown before."""
    state = st.session_state
    state[keys.TRAINING_PROBLEMS] = []
    query = st.query_params
    if keys.RUN in query:
        st.session_state[keys.TRAINING_SHOWN] = query[keys.RUN][:200]
    elif keys.LOG in query:
        wanted = query[keys.LOG][:200]
        if _EXAMPLE + wanted in titles:
            st.session_state[keys.TRAINING_SHOWN] = _EXAMPLE + wanted
        else:
            error = unknown_name("training log of a model", wanted, shipped_logs())
            state[keys.TRAINING_PROBLEMS] = [str(error)]


def _write_url(key: str) -> None:
    example = key.startswith(_EXAMPLE)
    wanted = {keys.LOG: key.removeprefix(_EXAMPLE)} if example else {keys.RUN: key}
    set_query(wanted)


def _open(key: str) -> Shown:
    if key.startswith(_EXAMPLE):
        name = key.removeprefix(_EXAMPLE)
        path = shipped_logs()[name]
        record = _read(path, *_version(path))
        return Shown(key, name, record.config, record.epochs, path, None)
    return _shown(training_run(open_store(), key))


def _shown(run: RunRecord) -> Shown:
    files = run_files(run)
    epochs = _epochs(files.log, running=run.state.is_moving)
    return Shown(run.id, files.name, run.config, epochs, files.log, run, run_progress(run))


def is_measured(shown: Shown) -> bool:
    """Whether the run has been trained, and its process measures the model."""
    stages = (TrainingStage.MEASURING, TrainingStage.FINISHED)
    moving = shown.run is not None and shown.run.state is RunState.RUNNING
    return moving and shown.progress is not None and shown.progress.stage in stages


def _epochs(path: Path, *, running: bool) -> tuple[EpochSummary, ...]:
    """The epochs in a run's log; it may not be there yet, or be written this moment."""
    if not path.exists():
        return ()
    try:
        return _read(path, *_version(path)).epochs
    except DDRSError:
        if running:
            return ()
        raise


def _version(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, *_versions: int) -> TrainingRecord:
    """Read once for each version of the file; several visitors may look twice a second."""
    return read_training_log(path)
