"""Other people's models: what is in their files, and a classifier from them.

``read_state`` reads the file in a child process, ``recognise`` names the
architecture, ``build_foreign`` makes the classifier. Files rarely hold their normalisation:
:mod:`ddrs_core.models.importing.normalizations` has the usual ones and tries them on labelled
images.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ddrs_core.errors import CheckpointError, MismatchError
from ddrs_core.models.classifier import (
    Classifier,
    ModelCard,
    Normalization,
    build_classifier,
    weights_digest,
    with_card,
)
from ddrs_core.models.importing.normalizations import usual_normalization
from ddrs_core.models.importing.recognise import Recognition, fit, recognise
from ddrs_core.models.importing.sniff import Layout, RawCheckpoint
from ddrs_core.quantities import counted

_SOFTMAX = {
    "authors_resnet18": "softmax: its authors apply one inside the network; here it gives logits"
}


def build_foreign(
    raw: RawCheckpoint,
    architecture: str | None = None,
    num_classes: int | None = None,
    normalization: Normalization | None = None,
    *,
    name: str | None = None,
    dataset: str = "unknown",
    shape: tuple[int, int, int] | None = None,
) -> Classifier:
    """A frozen classifier in eval mode on the CPU with exactly the weights of the file.

    Args:
        raw: what :func:`read_state` gave.
        architecture: its name; recognised when omitted.
        num_classes: how many classes are expected; the file decides when omitted.
        normalization: what the network expects before its first layer; when omitted that of the
            file, else what is usual for files of this layout.
        name: of the model; the file's name when omitted.
        dataset: what it was trained on.
        shape: (C, H, W) of its images, where it is another than the architecture's own.

    Raises:
        UnknownNameError: if there is no such architecture.
        CheckpointError: if the weights do not fit it, or fit none.
        MismatchError: if the file has another number of classes, or the network does not take
            images of that shape.
    """
    if architecture is None:
        found = recognise(raw)
        if not found:
            raise CheckpointError(
                f"The weights in {raw.name} fit none of the architectures that are known here "
                f"({_outline(raw)}). Name one to see what differs."
            )
        architecture = found[0].architecture
    recognition, comparison = fit(raw, architecture)
    if num_classes not in (None, recognition.num_classes):
        raise MismatchError(
            f"The network in {raw.name} has {recognition.num_classes} classes, not {num_classes}."
        )
    if shape is not None and shape[0] != recognition.in_channels:
        raise _wrong_shape(recognition.architecture, raw.name, shape)
    card = ModelCard(
        name=name or raw.name.partition(".")[0] or "model",
        architecture=recognition.architecture,
        dataset=dataset,
        num_classes=recognition.num_classes,
        shape=shape or recognition.shape,
        normalization=_normalization(raw, recognition, normalization),
        method="macer" if raw.layout == Layout.MACER else "unknown",
        licence="unknown",
        origin=_origin(raw),
    )
    classifier = build_classifier(card)
    try:
        classifier.network.load_state_dict(comparison.state, strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"The weights in {raw.name} do not fit {recognition.architecture}: {reason}"
        ) from None
    with_card(classifier, digest=weights_digest(classifier.network))
    classifier.eval().requires_grad_(False)
    if classifier.card.shape != recognition.shape:
        _try_shape(classifier)
    return classifier


def _try_shape(classifier: Classifier) -> None:
    card = classifier.card
    try:
        with torch.no_grad():
            classifier(torch.zeros(1, *card.shape))
    except (RuntimeError, AssertionError, ValueError):
        raise _wrong_shape(card.architecture, card.name, card.shape) from None


def _wrong_shape(architecture: str, name: str, shape: tuple[int, int, int]) -> MismatchError:
    size = " x ".join(str(v) for v in shape)
    return MismatchError(f"{architecture} in {name} does not take images of {size} values.")


def _normalization(
    raw: RawCheckpoint, recognition: Recognition, wanted: Normalization | None
) -> Normalization:
    _, usual = usual_normalization(raw.layout, recognition.shape)
    normalization = wanted or raw.normalization or usual
    sizes = {len(normalization.mean), len(normalization.std)}
    if sizes - {1, recognition.in_channels}:
        raise MismatchError(
            f"The network in {raw.name} takes {counted(recognition.in_channels, 'channel')}, but "
            f"the normalisation is for {max(sizes)}."
        )
    return normalization


def _origin(raw: RawCheckpoint) -> str:
    parts = [f"{raw.layout} layout", raw.name]
    if raw.epoch is not None:
        parts.append(f"epoch {raw.epoch}")
    return ", ".join(parts)


def describe(
    raw: RawCheckpoint, recognitions: Sequence[Recognition], digest: str = ""
) -> list[str]:
    """About ten lines that tell a person what is in the file.

    Args:
        raw: what :func:`read_state` gave.
        recognitions: what :func:`recognise` made of it, best first.
        digest: of the weights in the first architecture; found by building it when omitted.
    """
    lines = [f"file: {raw.name}, {_bytes(raw.size)}", f"layout: {raw.layout}"]
    if raw.epoch is not None:
        lines.append(f"epoch: {raw.epoch}")
    if raw.arch_hint:
        lines.append(f"architecture by the file's own account: {raw.arch_hint}")
    if raw.entry:
        lines.append(f"weights found under: {raw.entry}")
    if raw.extras:
        lines.append(f"not read: {', '.join(raw.extras)}")
    if raw.prefix:
        lines.append(f"names began with {raw.prefix!r}, which was taken off")
    lines.append(f"weights: {_outline(raw)}")
    lines += [f"note: {note}" for note in raw.notes]
    if not recognitions:
        return [*lines, "architecture: none of those that are known here"]
    first = recognitions[0]
    lines.append(f"architecture: {' or '.join(r.architecture for r in recognitions)}")
    lines += [f"note: {note}" for note in first.notes]
    size = " x ".join(str(v) for v in first.shape)
    lines.append(f"classes: {first.num_classes}; images: {size} values (designed for)")
    lines.append(_normalization_line(raw, first))
    if first.architecture in _SOFTMAX:
        lines.append(_SOFTMAX[first.architecture])
    digest = digest or build_foreign(raw, first.architecture).card.digest
    return [*lines, f"digest: {digest}"]


def _normalization_line(raw: RawCheckpoint, first: Recognition) -> str:
    if raw.normalization is not None:
        mean, std = (
            ", ".join(f"{v:.4g}" for v in values)
            for values in (raw.normalization.mean, raw.normalization.std)
        )
        return f"normalisation: in the file (mean {mean}; standard deviation {std})"
    usual, _ = usual_normalization(raw.layout, first.shape)
    others = f" ({usual}-mean for SmoothAdv's)" if raw.layout == Layout.COHEN else ""
    return (
        f"normalisation: not in the file; {usual!r} is usual for such files{others}, and the "
        "others are tried where there are labelled images"
    )


def _outline(raw: RawCheckpoint) -> str:
    numbers = sum(t.numel() for t in raw.state.values() if t.is_floating_point())
    return f"{counted(len(raw.state), 'tensor')} with {counted(numbers, 'number')}"


def _bytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MB" if size >= 2**20 else f"{size / 2**10:,.1f} kB"
