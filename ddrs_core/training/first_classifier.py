"""The classifier that a training run starts with."""

from __future__ import annotations

from pathlib import Path

import torch

from ddrs_core.data import DatasetInfo
from ddrs_core.errors import MismatchError
from ddrs_core.models import (
    Classifier,
    ModelCard,
    Normalization,
    build_classifier,
    load_checkpoint,
    load_model,
)
from ddrs_core.training.config import TrainConfig
from ddrs_core.training.loader import ImageFeed

_MEASURED_FOR_NORMALIZATION = 10_000  # images


def with_weights_of(config: TrainConfig, info: DatasetInfo) -> Classifier:
    """A classifier with the weights of ``config.init``, and the card of the new model.

    Raises:
        MismatchError: if they do not fit the run.
        DDRSError: if there are none.
    """
    path = Path(config.init)
    found = (
        load_checkpoint(path) if path.suffix == ".safetensors" else load_model(config.init, "cpu")
    )
    card = found.card
    if card.architecture != config.architecture:
        raise MismatchError(
            f"{card.name!r} is a {card.architecture}, and its weights do not fit a "
            f"{config.architecture}. Choose that architecture, or another model to start from."
        )
    if (card.num_classes, card.shape) != (info.num_classes, info.shape):
        raise MismatchError(
            f"{card.name!r} knows {card.num_classes} classes of images {list(card.shape)}, but "
            f"{info.title} has {info.num_classes} and {list(info.shape)}."
        )
    start = _build(config, card.normalization, info)
    start.network.load_state_dict(found.network.state_dict())
    return start


def with_random_weights(config: TrainConfig, feed: ImageFeed, info: DatasetInfo) -> Classifier:
    """A new classifier, whose normalisation is measured on images of the run."""
    images = feed.sample(_MEASURED_FOR_NORMALIZATION)
    mean = tuple(round(float(v), 4) for v in images.mean(dim=(0, 2, 3)))
    std = tuple(round(float(v), 4) for v in images.std(dim=(0, 2, 3)))
    return _build(config, Normalization(mean, std), info)


def _build(config: TrainConfig, normalization: Normalization, info: DatasetInfo) -> Classifier:
    card = ModelCard(
        name=config.model_name,
        architecture=config.architecture,
        dataset=config.dataset,
        num_classes=info.num_classes,
        shape=info.shape,
        normalization=normalization,
        method=config.method.name,
        sigma=config.sigma,
        seed=config.seed,
        training=config.to_dict(),
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # leaves the GPUs' generators alone
        return build_classifier(card)
