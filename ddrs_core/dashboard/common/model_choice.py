"""Which models and data sets a page offers, opens on, and what it calls them."""

from __future__ import annotations

import math
from contextlib import suppress

from ddrs_core.dashboard.shell.my_uploads import my_uploads
from ddrs_core.data import DatasetInfo, list_datasets
from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.models import ModelCard, accepts, get_card, list_models
from ddrs_core.models.registry import is_shipped
from ddrs_core.smoothing import get_preset
from ddrs_core.training import METHODS

PICTURES = "pictures"  # the visitor's own pictures, among the data sets to choose from


def own_models() -> list[ModelCard]:
    """The models that this visitor uploaded or opened by a link."""
    cards = []
    for name in my_uploads("model"):
        with suppress(DDRSError):  # an upload that has given way to newer ones
            cards.append(get_card(name))
    return cards


def fitting_models(dataset: DatasetInfo) -> list[ModelCard]:
    """The models that accept the images of a data set, the visitor's own last; those that know its
    classes come first."""
    cards = [*list_models(), *own_models()]
    fitting = [card for card in cards if accepts(card, dataset)]
    return sorted(fitting, key=lambda card: card.num_classes != dataset.num_classes)


def default_model(dataset: DatasetInfo) -> ModelCard:
    """The model that a data set is first shown with: of those that were trained on it with one
    noise level, by Gaussian augmentation if there are such, the last; for photographs of any
    kind, one that sees most of them. What comes with the program goes before what somebody has
    trained on this server.

    Raises:
        InvalidParameterError: if no model accepts its images.
    """
    cards = fitting_models(dataset)
    if not cards:
        size = " x ".join(str(v) for v in dataset.shape)
        raise InvalidParameterError(
            f"No model here accepts the images of {dataset.title} ({size} values) yet. Add one in "
            "the library: a checkpoint of your own, or one of torchvision's."
        )
    trained = [c for c in cards if c.dataset == dataset.name and "-ds" not in c.name]
    trained = [c for c in trained if is_shipped(c.name)] or trained
    noisy = [c for c in trained or cards if c.trained_with_noise]
    noisy = [c for c in noisy if c.method == "gaussian"] or noisy
    if not trained and dataset.resizable:
        return max(noisy or cards, key=lambda card: math.prod(card.shape))
    return (noisy or trained or cards)[-1]


def default_dataset() -> DatasetInfo:
    """What pages open on: CIFAR-10 where it is available, the digits otherwise."""
    available = {info.name: info for info in list_datasets()}
    return available.get("cifar10", next(iter(available.values())))


def start_sigma(card: ModelCard, preset: str) -> float:
    """The preset's own sigma_0, else the model's training sigma, else 0.25."""
    return get_preset(preset).sigma_0 or card.sigma or 0.25


def title_of(card: ModelCard) -> str:
    """The title of a model: of an upload its architecture, of others their name."""
    if not card.name.startswith("upload-"):
        return card.name
    return f"your {card.architecture}" + (f" at {card.sigma:g}" if card.sigma else "")


def describe_model(card: ModelCard) -> str:
    """Architecture, origin and training of a model in one line."""
    noise = {None: "noise unknown", True: f"sigma {card.sigma or 0:g}", False: "no noise"}
    size = card.parameters / 1e6
    parts = [
        f"{card.architecture}, {size:.2f} M parameters"
        if size >= 0.1
        else f"{card.architecture}, {card.parameters / 1000:,.0f} k parameters"
    ]
    title = METHODS[card.method].title.partition(" (")[0] if card.method in METHODS else card.method
    method = "training unknown" if title == "unknown" else f"trained by {title}"
    parts.append(f"{method}, {noise[card.trained_with_noise]}")
    if card.origin:
        parts.append(card.origin)
    return "; ".join(parts) + "."
