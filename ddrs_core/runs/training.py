"""Train a classifier, measure what goes on its card, and save both."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ddrs_core.data import DatasetInfo, list_datasets
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError, unknown_name
from ddrs_core.models import Classifier, ModelCard, device_info, save_checkpoint
from ddrs_core.models.architectures import get_architecture, list_architectures
from ddrs_core.models.classifier import with_card
from ddrs_core.models.device import Precision
from ddrs_core.training import (
    BatchSummary,
    EpochSummary,
    TrainConfig,
    measure_accuracy,
    train_steps,
)

MEASURED_SIGMAS = (0.12, 0.25, 0.50)
BF16_TOLERANCE = 0.005  # of accuracy, at which a model counts as fit for bf16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class ModelSaved:
    """The end of a training run."""

    path: Path  # of the .safetensors file; the card lies beside it
    card: ModelCard


def train_and_save(
    config: TrainConfig, device: torch.device, folder: Path, *, command: str = ""
) -> Iterator[BatchSummary | EpochSummary | ModelSaved]:
    """Train a classifier from scratch, measure it on the test split and save it.

    Args:
        config: the training run.
        device: where to train.
        folder: where ``<name>.safetensors`` and its card go.
        command: the command line that does this again, for the card.

    Yields:
        Summaries of batches and epochs; the last is :class:`ModelSaved`.

    Raises:
        DDRSError: for a name or number that makes no sense.
    """
    if not _NAME.fullmatch(config.model_name):
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
    steps = train_steps(config, device)
    return _train_and_save(steps, config, device, check_folder(folder), command)


def _train_and_save(
    steps: Iterator[BatchSummary | EpochSummary],
    config: TrainConfig,
    device: torch.device,
    folder: Path,
    command: str,
) -> Iterator[BatchSummary | EpochSummary | ModelSaved]:
    classifier = None
    for step in steps:
        if isinstance(step, EpochSummary):
            classifier = step.classifier
        yield step
    assert classifier is not None
    wanted = {f"{sigma:.2f}": sigma for sigma in (*MEASURED_SIGMAS, config.sigma)}
    measured = tuple(sorted(wanted.values()))
    accuracy = measure_accuracy(classifier, config.dataset, measured, precision="fp32")
    with_card(
        classifier,
        accuracy=accuracy,
        precision=lowest_precision(classifier, config.dataset, accuracy, measured),
        command=command,
        machine=f"{device_info(str(device)).title}, torch {torch.__version__}",
    )
    yield ModelSaved(save_checkpoint(classifier, folder), classifier.card)


def lowest_precision(
    classifier: Classifier, dataset: str, accuracy: dict[str, float], sigmas: tuple[float, ...]
) -> Precision:
    """``bf16`` if every accuracy in that format is within 0.5 points of fp32's, else ``fp32``."""
    lower = measure_accuracy(classifier, dataset, sigmas, precision="bf16")
    near = all(abs(lower[name] - accuracy[name]) <= BF16_TOLERANCE for name in accuracy)
    return "bf16" if near else "fp32"


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


def check_folder(folder: Path) -> Path:
    """Make sure, before hours of work, that files can be written into ``folder``.

    Raises:
        DDRSError: if it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DDRSError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DDRSError(f"The folder {folder} cannot be written to. Choose another --out.")
    return folder


def _dataset_info(name: str) -> DatasetInfo:
    known = {info.name: info for info in list_datasets()}
    if name not in known:
        raise unknown_name("data set", name, known)
    return known[name]
