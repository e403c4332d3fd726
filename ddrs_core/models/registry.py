"""The models that can be picked by name.

A name is looked up among the shipped models, those that were added to the user's data folder,
uploads (which are never listed: whoever knows such a name may use it), what this process has
attached, and torchvision's published weights where they have been downloaded.
"""

from __future__ import annotations

import copy
import logging
import re
from functools import lru_cache
from pathlib import Path
from weakref import WeakValueDictionary

from ddrs_core.errors import CheckpointError, unknown_name
from ddrs_core.models.checkpoint import check_weights, load_checkpoint, read_card
from ddrs_core.models.classifier import Classifier, ModelCard
from ddrs_core.models.inference.device import resolve_device
from ddrs_core.models.torchvision_weights import (
    PublishedWeights,
    get_published,
    is_downloaded,
    list_published,
    load_published,
    weights_folder,
)
from ddrs_core.paths import home

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "models"
UPLOAD_PREFIX = "upload-"
PUBLISHED_PREFIX = "torchvision-"
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_UPLOAD_NAME = re.compile(UPLOAD_PREFIX + r"[0-9a-f]{12,16}")
_ATTACHED: dict[str, Classifier] = {}
# By name, digest and device. Each NoisyForward evaluates its own copy of a model, so that
# a strong reference here would keep a second one, whatever its size.
_LOADED: WeakValueDictionary[tuple[str, str, str], Classifier] = WeakValueDictionary()


def added_folder() -> Path:
    """Where models lie that were added on this machine."""
    return home() / "models"


def uploads_folder() -> Path:
    """Where models lie that visitors uploaded."""
    return home() / "uploads" / "models"


def list_models() -> list[ModelCard]:
    """Cards of all available models, sorted by name; data-dependently trained ones come after the
    others, torchvision's last.

    Damaged models are left out, with a warning in the log.

    >>> "digits-gaussian-0.50" in [card.name for card in list_models()]
    True
    """
    cards = [entry for entry in _entries().values() if isinstance(entry, ModelCard)]
    cards += [model.card for model in _ATTACHED.values()]
    cards.sort(key=lambda card: ("-ds" in card.name, card.name))
    return cards + [_published_card(weights) for weights in _downloaded()]


def is_shipped(name: str) -> bool:
    """Whether the model of this name comes with the program."""
    return (ASSETS / f"{name}.safetensors").is_file()


def _downloaded() -> list[PublishedWeights]:
    """The downloaded weights of torchvision; torchvision is imported only if there are files."""
    if not any(weights_folder().glob("*.pth")):
        return []
    return [weights for weights in list_published() if is_downloaded(weights)]


def _published_card(weights: PublishedWeights) -> ModelCard:
    """What is known before the file is read; its weights' digest is not."""
    return ModelCard(
        name=weights.name,
        architecture=weights.architecture,
        dataset="imagenet",
        num_classes=len(weights.categories),
        shape=weights.shape,
        normalization=weights.normalization,
        method="standard",
        sigma=0.0,
        accuracy={"clean, as published": weights.accuracy},
        parameters=weights.num_params,
        licence="BSD-3-Clause",
        origin=f"torchvision, {weights.weights}",
    )


def _entries() -> dict[str, ModelCard | str]:
    """For each model file the card, or what is wrong with it; shipped models win."""
    paths = {p.stem: p for folder in (added_folder(), ASSETS) for p in folder.glob("*.safetensors")}
    return {stem: _entry_now(path) for stem, path in paths.items()}


def _entry_now(path: Path) -> ModelCard | str:
    return _entry(path, _version(path), _version(path.with_suffix(".json")))


@lru_cache(maxsize=1024)
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


def path_of(name: str) -> Path | None:
    """The model's file, wherever it lies; None if it has none."""
    if not MODEL_NAME.fullmatch(name):
        return None
    folders = [ASSETS, added_folder()]
    if _UPLOAD_NAME.fullmatch(name):
        folders.append(uploads_folder())
    paths = (folder / f"{name}.safetensors" for folder in folders)
    return next((path for path in paths if path.exists()), None)


def get_card(name: str) -> ModelCard:
    """The card of one model.

    Raises:
        UnknownNameError: if there is none of that name.
        CheckpointError: if its card or its file is damaged.
    """
    path = path_of(name)
    if path is not None:
        entry = _entry_now(path)
        if isinstance(entry, str):
            raise CheckpointError(f"Model {name!r} cannot be used. {entry}")
        return entry
    if name in _ATTACHED:
        return _ATTACHED[name].card
    if name.startswith(PUBLISHED_PREFIX):
        weights = get_published(name)
        if not is_downloaded(weights):
            raise CheckpointError(
                f"The weights of {name!r} are not on this machine yet. Get them with "
                f"'python -m ddrs_core models download {name}' or in the library."
            )
        return _published_card(weights)
    if _UPLOAD_NAME.fullmatch(name):
        raise CheckpointError("This uploaded model is no longer kept here. Upload it again.")
    raise unknown_name("model", name, [card.name for card in list_models()])


def load_model(name: str, device: str = "auto") -> Classifier:
    """Load a model by name, frozen and in eval mode; the result is shared, so do not change it.

    It is loaded again once no caller refers to it.

    Args:
        name: as listed by :func:`list_models`.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:<i>``.

    Raises:
        UnknownNameError: if there is no such model.
        DeviceError: if there is no such device.
        CheckpointError: if its file is damaged.

    >>> model = load_model("digits-gaussian-0.50", "cpu")
    >>> model.card.sigma, model.card.shape
    (0.5, (1, 8, 8))
    """
    card = get_card(name)
    key = (card.name, card.digest, str(resolve_device(device)))
    model = _LOADED.get(key)
    if model is None:
        model = _LOADED[key] = _load(card.name, key[2])
    return model


def _load(name: str, device: str) -> Classifier:
    path = path_of(name)
    if path is not None:
        return load_checkpoint(path).to(device)
    if name in _ATTACHED:
        attached = _ATTACHED[name]
        return attached if device == "cpu" else copy.deepcopy(attached).to(device)
    return load_published(get_published(name)).to(device)


def attach_model(classifier: Classifier) -> ModelCard:
    """Make a model available by its card's name, in this process only."""
    _ATTACHED[classifier.card.name] = classifier
    return classifier.card
