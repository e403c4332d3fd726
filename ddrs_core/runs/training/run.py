"""A training run in a folder: trained, logged, resumable, and in the end measured and saved."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ddrs_core.data import DatasetInfo, list_datasets
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError, unknown_name
from ddrs_core.file_access import check_folder
from ddrs_core.models import ModelCard, load_checkpoint
from ddrs_core.models.architectures import get_architecture, list_architectures
from ddrs_core.models.registry import MODEL_NAME
from ddrs_core.runs.device_queue import DeviceSlot
from ddrs_core.runs.training.files import TrainingFiles, read_state, write_state
from ddrs_core.runs.training.finish import measure_and_save
from ddrs_core.runs.training.log import TrainingLog
from ddrs_core.runs.training.progress import ProgressReporter, TrainingStage
from ddrs_core.training import ALONE, BatchSummary, EpochSummary, Group, TrainConfig, Trainer

_PAUSE_SECONDS = 0.25  # between two questions whether to go on
SAVE_SECONDS = 20.0  # between two saved states within an epoch


@dataclass(frozen=True)
class ModelSaved:
    """The end of a training run."""

    path: Path  # of the .safetensors file; the card lies beside it
    card: ModelCard


@dataclass(frozen=True)
class TrainingStopped:
    """The run was asked to stop; it can be resumed."""

    epoch: int  # that is under way, from 1
    folder: Path


@dataclass(frozen=True)
class GaveWay:
    """The run stood still for a moment, since somebody watches a computation on its device."""


TrainingStep = BatchSummary | EpochSummary | GaveWay | TrainingStopped | ModelSaved


def train_and_save(
    config: TrainConfig,
    device: torch.device,
    folder: Path,
    *,
    command: str = "",
    resume: bool = False,
    overwrite: bool = False,
    group: Group = ALONE,
    stop: threading.Event | None = None,
    slot: DeviceSlot | None = None,
) -> Iterator[TrainingStep]:
    """Train a classifier, measure it on the test split and save it.

    The state is saved after every epoch, every :data:`SAVE_SECONDS` and when the run is told to
    stop (several processes stop together, at the end of an epoch). A run that was killed and
    resumed gives the same model as an undisturbed one.

    Args:
        config: the training run.
        device: where to train.
        folder: where its files go.
        command: the command line that does this again, for the card.
        resume: go on where the run in ``folder`` is, if there is one.
        overwrite: forget the run in ``folder``, once this one is sure to begin.
        group: the processes that share the run; the first one writes.
        stop: set by whoever wants the run to save its state and end.
        slot: the run's place in the queue of the device, which says when it should give way.

    Yields:
        Summaries of batches and epochs; the last is :class:`ModelSaved` or
        :class:`TrainingStopped`. Processes other than the first end with their last summary.

    Raises:
        DDRSError: for a name or number that makes no sense, or if the folder holds a run of that
            name that is not to be resumed.
    """
    check_run(config)
    files = TrainingFiles(check_folder(folder), config.model_name)
    if not (resume or overwrite) and (files.model.exists() or files.state.exists()):
        raise DDRSError(
            f"{files.folder} holds a run {config.model_name!r} already: add --resume to go on with "
            "it, --overwrite to start afresh, or use another --out or --name."
        )
    if resume and files.model.exists():
        card = load_checkpoint(files.model).card
        _check_finished_run(card, config)
        return iter([ModelSaved(files.model, card)])
    trainer = Trainer(config, device, group)
    if resume and files.state.exists():
        trainer.load(read_state(files.state))
    if overwrite and group.leads:
        files.remove()
    return _run(trainer, files, command, stop or threading.Event(), slot)


def check_run(config: TrainConfig) -> None:
    """Look at a run's settings before anything is touched.

    Raises:
        DDRSError: if a name or number makes no sense, or the architecture takes other images.
    """
    if not MODEL_NAME.fullmatch(config.model_name):
        raise InvalidParameterError(
            f"A model's name consists of letters, digits, '.', '_' and '-', unlike "
            f"{config.model_name[:80]!r}."
        )
    info, architecture = _dataset_info(config.dataset), get_architecture(config.architecture)
    if architecture.shape != info.shape:
        raise MismatchError(
            f"{architecture.name} takes images of shape {list(architecture.shape)}, but "
            f"{info.title} has {list(info.shape)}. Use {default_architecture(config.dataset)}."
        )
    config.check()


def _check_finished_run(card: ModelCard, config: TrainConfig) -> None:
    wanted = json.loads(json.dumps(config.to_dict()))  # as a card holds it
    for name, value in wanted.items():
        if name != "name" and card.training.get(name, value) != value:
            raise InvalidParameterError(
                f"{card.name} is there already, trained with {name.replace('_', ' ')} = "
                f"{card.training[name]}, not {value}. Add --overwrite to train it afresh, or use "
                "another --out or --name."
            )


def _run(
    trainer: Trainer,
    files: TrainingFiles,
    command: str,
    stop: threading.Event,
    slot: DeviceSlot | None,
) -> Iterator[TrainingStep]:
    leads = trainer.group.leads
    classifier = None
    log = None
    progress = None
    if leads:
        files.run.mkdir(parents=True, exist_ok=True)
        progress = ProgressReporter(files.progress, trainer.config)
        progress.start(trainer.step, trainer.batches)
        log = TrainingLog(files.log, files.tensorboard, trainer.config, trainer.epochs_done)
    saved = time.monotonic()
    try:
        for step in trainer.steps():
            if isinstance(step, EpochSummary):
                classifier = step.classifier
                if log is not None:
                    log.append(step)
            elif progress is not None:
                progress.batch(step)
            due = isinstance(step, EpochSummary) or time.monotonic() - saved > SAVE_SECONDS
            # once: what is stopped is saved
            stopping = classifier is None and _is_to_stop(stop, trainer, step)
            if leads and classifier is None and (due or stopping):
                write_state(trainer.state(), files.state)
                saved = time.monotonic()
            yield step
            if slot is not None and progress is not None and classifier is None and not stopping:
                yield from _give_way(slot, progress, stop)
            if stopping:
                if progress is not None:
                    progress.stage(TrainingStage.STOPPED)
                yield TrainingStopped(trainer.epochs_done + 1, files.folder)
                return
    finally:
        if log is not None:
            log.close()
    assert classifier is not None
    if progress is not None:
        progress.stage(TrainingStage.MEASURING)
        measure_and_save(classifier, trainer.config, files, command)
        progress.stage(TrainingStage.FINISHED)
        yield ModelSaved(files.model, classifier.card)


def _give_way(
    slot: DeviceSlot, progress: ProgressReporter, stop: threading.Event
) -> Iterator[TrainingStep]:
    """Stand still for as long as the queue of the device says so."""
    pauses = False
    while not stop.is_set() and slot.gives_way():
        if not pauses:
            progress.stage(TrainingStage.GIVING_WAY)
        pauses = True
        yield GaveWay()
        stop.wait(_PAUSE_SECONDS)
    if pauses:
        progress.stage(TrainingStage.TRAINING)


def _is_to_stop(stop: threading.Event, trainer: Trainer, step: TrainingStep) -> bool:
    """Several processes have to agree, and meet at the end of an epoch anyway."""
    if trainer.group.size == 1:
        return stop.is_set()
    return isinstance(step, EpochSummary) and trainer.group.any(stop.is_set(), trainer.device)


def default_architecture(dataset: str) -> str:
    """The first architecture that was designed for images of this data set's shape.

    Raises:
        UnknownNameError: if there is no such data set.
        MismatchError: if there is no such architecture.
    """
    info = _dataset_info(dataset)
    for architecture in list_architectures():
        if architecture.shape == info.shape:
            return architecture.name
    raise MismatchError(f"No architecture is made for {info.title}; name one by --architecture.")


def _dataset_info(name: str) -> DatasetInfo:
    known = {info.name: info for info in list_datasets()}
    if name not in known:
        raise unknown_name("data set", name, known)
    return known[name]
