"""The models that can be picked by name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ddrs_core.data import DatasetInfo
from ddrs_core.errors import MismatchError, unknown_name
from ddrs_core.models.checkpoint import load_checkpoint, read_card
from ddrs_core.models.classifier import Classifier, ModelCard
from ddrs_core.models.device import resolve_device

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "models"


def list_models() -> list[ModelCard]:
    """Cards of all models at hand, sorted by name; data-dependently trained ones come last."""
    cards = [_card(path, path.stat().st_mtime_ns) for path in ASSETS.glob("*.safetensors")]
    return sorted(cards, key=lambda card: ("-ds" in card.name, card.name))


@lru_cache(maxsize=256)
def _card(path: Path, _changed: int) -> ModelCard:
    """Read once per version of the file; pages ask many times a second."""
    return read_card(path)


def get_card(name: str) -> ModelCard:
    """The card of one model.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    cards = {card.name: card for card in list_models()}
    if name not in cards:
        raise unknown_name("model", name, cards)
    return cards[name]


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
