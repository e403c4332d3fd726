"""Models that people add: stored in the user's data folder, or as uploads of visitors."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import torch

from ddrs_core.atomic_write import one_at_a_time
from ddrs_core.errors import CheckpointError, InvalidParameterError, unknown_name
from ddrs_core.file_access import drop_oldest
from ddrs_core.models.checkpoint import read_card, save_checkpoint
from ddrs_core.models.classifier import Classifier, ModelCard, with_card
from ddrs_core.models.registry import (
    MODEL_NAME,
    PUBLISHED_PREFIX,
    UPLOAD_PREFIX,
    added_folder,
    path_of,
    uploads_folder,
)

MAX_UPLOADS = 200
MAX_UPLOAD_BYTES = 8 << 30


def add_model(classifier: Classifier) -> ModelCard:
    """Store a model in the user's data folder, where every picker finds it.

    Raises:
        InvalidParameterError: if the name is taken or cannot be a file's name.
        DDRSError: if the folder cannot be written to.
        CheckpointError: if the network does not take the images that its card names.
    """
    name = classifier.card.name
    if not MODEL_NAME.fullmatch(name) or name.startswith((PUBLISHED_PREFIX, UPLOAD_PREFIX)):
        raise InvalidParameterError(
            f"A model's name consists of letters, digits, '.', '_' and '-', unlike {name[:80]!r}; "
            f"it begins neither with {PUBLISHED_PREFIX!r} nor with {UPLOAD_PREFIX!r}."
        )
    with one_at_a_time(added_folder()):
        if path_of(name) is not None:
            raise InvalidParameterError(f"There is a model {name!r} already. Choose another name.")
        return read_card(_save(classifier, added_folder()))


def free_name(name: str) -> str:
    """``name``, or the first of ``name-2``, ``name-3``, ... that no model has."""
    numbered = (f"{name[:95]}-{number}" for number in itertools.count(2))
    return next(n for n in itertools.chain([name], numbered) if path_of(n) is None)


def remove_model(name: str) -> None:
    """Delete a model that was added on this machine.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    path = added_folder() / f"{name}.safetensors"
    if not MODEL_NAME.fullmatch(name) or not path.exists():
        raise unknown_name("added model", name, [p.stem for p in added_folder().glob("*.saf*")])
    path.unlink()
    path.with_suffix(".json").unlink(missing_ok=True)


def keep_upload(classifier: Classifier) -> ModelCard:
    """Store a visitor's model under a name made of its digest; the oldest ones are removed."""
    with_card(classifier, name=f"{UPLOAD_PREFIX}{_upload_digest(classifier)}")
    folder = uploads_folder()
    with one_at_a_time(folder):
        path = _save(classifier, folder)
        drop_oldest(folder.glob("*.safetensors"), MAX_UPLOADS, MAX_UPLOAD_BYTES)
    return read_card(path)


def _upload_digest(classifier: Classifier) -> str:
    """Tells apart the same weights behind different normalisations."""
    card = classifier.card
    text = f"{card.digest}|{card.architecture}|{card.normalization}|{card.sigma}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_answer(classifier: Classifier) -> None:
    """Raises CheckpointError unless the network accepts the images that its card names."""
    card = classifier.card
    try:
        with torch.inference_mode():
            found = tuple(classifier(torch.zeros(1, *card.shape)).shape)
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{card.architecture} does not take images of {list(card.shape)}: "
            f"{str(error).splitlines()[0]}."
        ) from None
    if found != (1, card.num_classes):
        raise CheckpointError(
            f"{card.architecture} should give {card.num_classes} logits for an image of "
            f"{list(card.shape)}, but gives {list(found[1:])}."
        )


def _save(classifier: Classifier, folder: Path) -> Path:
    _check_answer(classifier)
    return save_checkpoint(classifier, folder)
