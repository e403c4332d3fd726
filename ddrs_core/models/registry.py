"""The models that can be picked by name."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from ddrs_core.data import DatasetInfo
from ddrs_core.errors import CheckpointError, MismatchError, unknown_name
from ddrs_core.models.checkpoint import check_weights, load_checkpoint, read_card
from ddrs_core.models.classifier import Classifier, ModelCard
from ddrs_core.models.device import resolve_device

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "models"


def list_models() -> list[ModelCard]:
    """Cards of all models at hand, sorted by name; data-dependently trained ones come last.

    Damaged models are left out, with a warning in the log.
    """
    cards = [entry for entry in _entries().values() if isinstance(entry, ModelCard)]
    return sorted(cards, key=lambda card: ("-ds" in card.name, card.name))


def _entries() -> dict[str, ModelCard | str]:
    """For each model file the card, or what is wrong with it."""
    paths = ASSETS.glob("*.safetensors")
    return {p.stem: _entry(p, _version(p), _version(p.with_suffix(".json"))) for p in paths}


@lru_cache(maxsize=256)
def _entry(path: Path, *_versions: tuple[int, int]) -> ModelCard | str:
    """Read once per version of the files; pages ask many times a second."""
    try:
        check_weights(path)
        card = read_card(path)
        if card.name != path.stem:
            raise CheckpointError(f"The card of {path.name} belongs to a model {card.name[:80]!r}.")
    except CheckpointError as error:
        logging.getLogger(__name__).warning("A model is left out: %s", error)
        return str(error)
    return card


def _version(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def get_card(name: str) -> ModelCard:
    """The card of one model.

    Raises:
        UnknownNameError: if there is none of that name.
        CheckpointError: if its card or its file is damaged.
    """
    entries = _entries()
    if name not in entries:
        raise unknown_name("model", name, [card.name for card in list_models()])
    entry = entries[name]
    if isinstance(entry, str):
        raise CheckpointError(f"Model {name!r} cannot be used. {entry}")
    return entry


def load_model(name: str, device: str = "auto") -> Classifier:
    """Load a model by name, frozen and in eval mode; the result is shared, so do not change it.

    Args:
        name: as listed by :func:`list_models`.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:<i>``.

    Raises:
        UnknownNameError: if there is no such model.
        DeviceError: if there is no such device.
        CheckpointError: if its file is damaged.
    """
    return _load(get_card(name).name, str(resolve_device(device)))


@lru_cache(maxsize=8)
def _load(name: str, device: str) -> Classifier:
    return load_checkpoint(ASSETS / f"{name}.safetensors").to(device)


def check_fit(card: ModelCard, dataset: DatasetInfo) -> None:
    """Make sure that a model can classify the images of a data set.

    Raises:
        MismatchError: if shape or number of classes differ.
    """
    if tuple(card.shape) != tuple(dataset.shape):
        raise MismatchError(
            f"Model {card.name!r} takes images of {_size(card.shape)}, but {dataset.title} has "
            f"{_size(dataset.shape)}. Choose a model trained on {dataset.title}."
        )
    if card.num_classes != dataset.num_classes:
        raise MismatchError(
            f"Model {card.name!r} knows {card.num_classes} classes, but {dataset.title} has "
            f"{dataset.num_classes}. Choose a model trained on {dataset.title}."
        )


def _size(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{channels} x {height} x {width} values"
