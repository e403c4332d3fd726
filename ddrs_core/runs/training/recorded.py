"""Training runs of the database: made, worked on and looked at.

A run is a row like that of a certification run. Its files lie in ``training/<id>/`` in the user's
data folder: what the ``train`` command writes, and ``run.json``, from which a run is adopted into a
database that does not know it, as after an update of the program or with another database.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import ddrs_core
from ddrs_core.atomic_write import one_at_a_time, write_atomically
from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.models import resolve_device
from ddrs_core.parameters import parameters_of
from ddrs_core.runs.argv import command_lines
from ddrs_core.runs.claim import RunClaim
from ddrs_core.runs.training.adopt import RECORD, adopt_folders, training_folder
from ddrs_core.runs.training.files import TrainingFiles
from ddrs_core.runs.training.progress import (
    ProgressReporter,
    TrainingProgress,
    TrainingStage,
    read_progress,
)
from ddrs_core.runs.training.run import (
    ModelSaved,
    TrainingStep,
    TrainingStopped,
    check_run,
    train_and_save,
)
from ddrs_core.store import (
    TRAIN,
    RunProgress,
    RunRecord,
    RunState,
    Store,
    UnavailableError,
    UnknownEntryError,
)
from ddrs_core.training import SigmaTraining, TrainConfig, get_method


def record_training(
    store: Store, config: TrainConfig, *, title: str = "", owner: str = "", device: str = "auto"
) -> RunRecord:
    """Make a training run in the database, which then waits for somebody to work on it.

    Raises:
        DDRSError: if the settings make no sense, or it cannot be stored.
    """
    check_run(config)
    run = store.create_run(
        title=title or config.model_name,
        owner=owner,
        kind=TRAIN,
        config=config.to_dict(),
        settings=[],
        total=config.epochs,
        code_version=ddrs_core.__version__,
        device=str(resolve_device(device)),
    )
    kept = {name: getattr(run, name) for name in ("owner", "created", "config", "device")}
    try:
        kept |= {"name": config.model_name, "title": run.title}
        write_atomically(run_folder(run) / RECORD, json.dumps(kept, indent=1).encode())
    except DDRSError as error:
        store.claim(run.id)
        store.release(run.id, RunState.FAILED, str(error))
        raise
    return run


def training_run(store: Store, run_id: str) -> RunRecord:
    """The training run of that id, whoever made it.

    Raises:
        UnknownEntryError: if there is none.
    """
    with suppress(UnknownEntryError):
        if (run := store.run(run_id)).kind == TRAIN:
            return run
    for run in training_runs(store):  # it may lie in a folder only
        if run.id == run_id:
            return run
    raise UnknownEntryError(f"There is no training run {run_id[:60]!r} here.")


def training_runs(store: Store, owner: str | None = None) -> list[RunRecord]:
    """All training runs, or those of one owner, newest first.

    Folders of runs that the database does not know are adopted: each becomes a row.
    """
    runs = store.runs(kind=TRAIN)
    if adopt_folders(store, {run.id for run in runs}):
        runs = store.runs(kind=TRAIN)
    return [run for run in runs if owner is None or run.owner == owner]


def recorded_config(run: RunRecord) -> TrainConfig:
    """The settings of a training run.

    Raises:
        InvalidParameterError: if they cannot be read.
    """
    try:
        method, sigmas = dict(run.config["method"]), run.config["data_dependent"]
        method_class = get_method(method.pop("name"))
        if sigmas is not None:
            low, high = sigmas["bounds"]
            sigmas = SigmaTraining(
                **{**_numbers(SigmaTraining, sigmas), "bounds": (float(low), float(high))}
            )
        held = {"method": method_class(**_numbers(method_class, method)), "data_dependent": sigmas}
        return TrainConfig(**{**_numbers(TrainConfig, run.config), **held})
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidParameterError(f"The settings of the run cannot be read: {error}.") from None


def _numbers(config: type, data: dict[str, Any]) -> dict[str, Any]:
    """The same data, with whole numbers made floats where a configuration has floats."""
    known = parameters_of(config)
    exact = {k for k in data if k in known and known[k].kind is float}
    return {k: float(v) if k in exact else v for k, v in data.items()}


def model_name(run: RunRecord) -> str:
    """The name of the model that a training run makes."""
    return recorded_config(run).model_name


def run_folder(run: RunRecord) -> Path:
    """Where the files of a training run lie on this machine."""
    return training_folder() / run.id


def run_files(run: RunRecord) -> TrainingFiles:
    """The files of a training run."""
    return TrainingFiles(run_folder(run), model_name(run))


def run_command(run: RunRecord) -> str:
    """The command line that makes the model of a training run again."""
    return command_lines([recorded_config(run)], "--out", "my-models")


def run_progress(run: RunRecord) -> TrainingProgress | None:
    """How far a training run is, within its epoch; None before its process has said anything."""
    progress = read_progress(run_files(run).progress)
    if progress is not None and (run.process is None or progress.pid != run.process.pid):
        # An earlier process told how far the run is, but not what the present one does.
        return replace(
            progress, stage=TrainingStage.WAITING, images_per_second=0.0, seconds_left=None, ahead=0
        )
    return progress


def train_recorded(
    store: Store, run_id: str, stop: threading.Event | None = None
) -> Iterator[TrainingStep | None]:
    """Train what a run of the database still lacks.

    A request to pause or cancel is obeyed between two batches, and ends the generator. Whoever goes
    on with the run, also after a kill, gets the model of an undisturbed one.

    Args:
        store: the database.
        run_id: which run; this process claims it.
        stop: set by whoever wants the run to save its state and end.

    Yields:
        What :func:`~ddrs_core.runs.training.run.train_and_save` yields, and None while the run
        waits for its turn on the device.

    Raises:
        DDRSError: if the run is claimed by another process, finished, or fails; the database then
            has the reason.
    """
    stop = stop or threading.Event()
    with RunClaim(store, run_id, TRAIN) as claim:
        run, files = claim.record, run_files(claim.record)
        config = recorded_config(run)
        files.run.mkdir(parents=True, exist_ok=True)
        reporter = ProgressReporter(files.progress, config)
        while not stop.is_set() and claim.waits():
            reporter.waiting(claim.ahead)
            yield None
        if stop.is_set() or claim.asked is not None:
            claim.asked = claim.asked or RunState.PAUSED
            reporter.stage(TrainingStage.STOPPED)
            yield TrainingStopped(1, files.folder)
            return
        for step in train_and_save(
            config,
            resolve_device(run.device),
            files.folder,
            command=run_command(run),
            resume=True,
            stop=stop,
            slot=claim.slot,
        ):
            if isinstance(step, TrainingStopped):
                claim.asked = claim.asked or RunState.PAUSED
            elif claim.is_due or isinstance(step, ModelSaved):
                _report(claim, files, config, stop, done=isinstance(step, ModelSaved))
            yield step


def _report(
    claim: RunClaim, files: TrainingFiles, config: TrainConfig, stop: threading.Event, *, done: bool
) -> None:
    """Say how far the run is; a database that cannot be used for a while does not end it."""
    now = read_progress(files.progress)
    if now is None:
        return
    epochs = config.epochs * (1.0 if done else now.done)
    progress = RunProgress(now.stage.value, epochs, now.images_per_second, now.seconds_left)
    try:
        asked = claim.beat(progress, stored=int(epochs), at_once=done)
    except UnavailableError:
        return
    if asked:
        stop.set()


def delete_training(store: Store, run: RunRecord) -> None:
    """Remove a training run and its files; a model that was registered stays.

    Raises:
        StoreError: if it is under way.
    """
    with one_at_a_time(training_folder()):  # else it would be adopted again meanwhile
        store.delete_run(run.id)
        shutil.rmtree(run_folder(run), ignore_errors=True)
