"""Our own model files: weights as safetensors, the card as JSON beside them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from ddrs_core.atomic_write import replacing
from ddrs_core.errors import CheckpointError, DDRSError
from ddrs_core.file_access import check_regular, open_regular, writing
from ddrs_core.models.classifier import (
    Classifier,
    ModelCard,
    build_classifier,
    weights_digest,
    with_card,
)


def save_checkpoint(classifier: Classifier, folder: Path) -> Path:
    """Write ``<name>.safetensors`` and ``<name>.json`` into ``folder``; returns the former.

    Weights that half precision holds exactly are written in it; nothing is ever rounded. The
    weights' file appears last and whole, so that where it is, the model is complete. Only one
    process or thread may write a name at a time.

    Raises:
        CheckpointError: if they cannot be written.
    """
    state = {k: _stored(v) for k, v in classifier.network.state_dict().items()}
    with_card(classifier, digest=weights_digest(classifier.network))
    path = folder / f"{classifier.card.name}.safetensors"
    with writing(path, CheckpointError):
        folder.mkdir(parents=True, exist_ok=True)
    write_card(classifier.card, path)
    partial = path.with_suffix(".partial")
    with replacing(path, CheckpointError, partial=partial):
        partial.write_bytes(save(state))  # save_file makes it unreadable for other users
    return path


def write_card(card: ModelCard, path: Path) -> None:
    """Write the JSON card that lies beside a ``.safetensors`` file.

    Raises:
        CheckpointError: if it cannot be written.
    """
    partial = path.with_suffix(".partial")
    with replacing(path.with_suffix(".json"), CheckpointError, partial=partial):
        partial.write_text(json.dumps(card.to_dict(), indent=2) + "\n", encoding="utf-8")


def round_weights(classifier: Classifier) -> None:
    """Round every matrix and filter of the network to what half precision can hold, in place.

    Biases and batch statistics, which are few, stay as they are, and so does what does not fit
    into the range of half precision.
    """
    with torch.no_grad():
        for tensor in classifier.network.state_dict().values():
            rounded = tensor.half().float()
            if tensor.is_floating_point() and tensor.ndim > 1 and rounded.isfinite().all():
                tensor.copy_(rounded)
    with_card(classifier, digest=weights_digest(classifier.network))


def _stored(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.float32 and tensor.ndim > 1:
        half = tensor.half()
        return half if torch.equal(half.float(), tensor) else tensor
    return tensor


def read_card(path: Path) -> ModelCard:
    """Read the JSON card that lies beside a ``.safetensors`` file.

    Raises:
        CheckpointError: if it is missing or not a model card.
    """
    card_path = path.with_suffix(".json")
    try:
        with open_regular(card_path, CheckpointError) as file:
            data = json.loads(file.read())
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.name} has no card: {card_path.name} should lie beside it."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"The card {card_path.name} cannot be read: {error}.") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"The card {card_path.name} should hold a JSON object.")
    try:
        return ModelCard.from_dict(data)
    except CheckpointError as error:
        raise CheckpointError(f"{card_path.name}: {error}") from None


def check_weights(path: Path) -> None:
    """Look at the beginning and the length of a ``.safetensors`` file, which is quick.

    Raises:
        CheckpointError: if it is missing, cut off or something else.
    """
    try:
        check_regular(path, CheckpointError)
        with safe_open(path, framework="pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path.name} is not a readable safetensors file: {error}.") from None


def load_checkpoint(path: Path) -> Classifier:
    """Load a model written by :func:`save_checkpoint`, in eval mode on the CPU.

    Raises:
        CheckpointError: if the file is missing, damaged, holds numbers that are not finite or
            does not fit its card.
    """
    card = read_card(path)
    try:
        check_regular(path, CheckpointError)
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path.name} is not a readable safetensors file: {error}.") from None
    try:
        classifier = build_classifier(card)
        classifier.network.load_state_dict(state)
    except DDRSError:
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"The weights in {path.name} do not fit the architecture {card.architecture}: {reason}"
        ) from None
    if not all(torch.isfinite(t).all() for t in state.values()):
        raise CheckpointError(f"{path.name} holds weights that are not finite numbers.")
    digest = weights_digest(classifier.network)
    if card.digest and digest != card.digest:
        raise CheckpointError(
            f"{path.name} is not the file its card describes: its digest is {digest}, "
            f"the card says {card.digest}."
        )
    return with_card(classifier, digest=digest).eval().requires_grad_(False)
