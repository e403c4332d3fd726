"""Normalisations that the field uses, for files that do not say which one they need.

What their code does (looked up in the repositories):

- Cohen et al. 2019 (locuslab/smoothing, code/datasets.py): CIFAR mean with standard deviations
  .2023 .1994 .2010, and ImageNet's, as the first layer of the network; not in the file.
- SmoothAdv (Hadisalman/smoothing-adversarial, code/architectures.py): the mean only, by
  ``get_input_center_layer``. Its files look exactly like Cohen et al.'s.
- MACER (RuntianZ/macer, main.py): none; pixels in [0, 1].
- Alfarra et al. 2022 (CIFAR10/models/resnet.py, ImageNet/utils.py): Cohen et al.'s constants, in
  the forward pass; on ImageNet the mean only with ``--center-only``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddrs_core.errors import InvalidParameterError, MismatchError, unknown_name
from ddrs_core.models.classifier import ModelCard, Normalization
from ddrs_core.models.importing.sniff import Layout
from ddrs_core.quantities import counted

_CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_ONE = (1.0, 1.0, 1.0)
_CANDIDATES: dict[int, dict[str, Normalization]] = {
    3: {
        "cifar": Normalization(_CIFAR_MEAN, (0.2023, 0.1994, 0.2010)),
        "cifar-mean": Normalization(_CIFAR_MEAN, _ONE),
        "cifar-exact": Normalization(_CIFAR_MEAN, (0.2470, 0.2435, 0.2616)),
        "imagenet": Normalization(_IMAGENET_MEAN, (0.229, 0.224, 0.225)),
        "imagenet-mean": Normalization(_IMAGENET_MEAN, _ONE),
        "half": Normalization((0.5,) * 3, (0.5,) * 3),  # pixels in [-1, 1]
        "none": Normalization((0.0,) * 3, _ONE),
    },
    1: {
        "none": Normalization((0.0,), (1.0,)),
        "mnist": Normalization((0.1307,), (0.3081,)),
        "half": Normalization((0.5,), (0.5,)),
        "digits": Normalization((0.3052,), (0.3760,)),
    },
}
_SMALLEST_PHOTOGRAPH = 64  # pixels; below it CIFAR's constants are usual
_BATCH_VALUES = 3 << 20
_UNLIKELY = 0.001


@dataclass(frozen=True)
class Trial:
    """How well a network does with one normalisation."""

    name: str
    normalization: Normalization
    accuracy: float  # fraction, mean over the noise levels
    loss: float  # cross-entropy in nats, likewise
    images: int


def list_normalizations(channels: int) -> dict[str, Normalization]:
    """The candidates for images with this number of channels, by name; usual ones first."""
    return dict(_CANDIDATES.get(channels) or {"none": Normalization()})


def get_normalization(name: str, channels: int) -> Normalization:
    """Look a candidate up by name.

    Raises:
        UnknownNameError: if there is none of that name for this number of channels.
    """
    candidates = list_normalizations(channels)
    if name not in candidates:
        raise unknown_name(f"normalisation for {channels}-channel images", name, candidates)
    return candidates[name]


def usual_normalization(layout: Layout, shape: Sequence[int]) -> tuple[str, Normalization]:
    """What to assume where there are no labelled images to try it on.

    SmoothAdv's files cannot be told from Cohen et al.'s, although they need ``cifar-mean``.

    Args:
        layout: who writes files like this.
        shape: (C, H, W) of the images.
    """
    channels, height = shape[0], shape[1]
    if layout == Layout.MACER or channels not in (1, 3):
        name = "none"
    elif channels == 1:
        name = "digits" if height == 8 else "none"
    else:
        name = "cifar" if height < _SMALLEST_PHOTOGRAPH else "imagenet"
    return name, get_normalization(name, channels)


def try_normalizations(
    network: nn.Module,
    card_or_shape: ModelCard | Sequence[int],
    images: Tensor,
    labels: Tensor,
    sigmas: Sequence[float] = (0.0,),
    *,
    extra: Normalization | None = None,
    seed: int = 0,
) -> list[Trial]:
    """Classify labelled images with every candidate; best first (accuracy, then lower loss).

    Args:
        network: normalised [B, C, H, W] -> logits [B, K]; used in eval mode.
        card_or_shape: of the model; its shape is (C, H, W).
        images: [M, C, H, W] in [0, 1].
        labels: classes [M].
        sigmas: noise levels, all of them with the same noise for every candidate; networks trained
            with noise are told apart better with it.
        extra: a further candidate, such as that of the file, called "file".
        seed: of the noise.

    Raises:
        MismatchError: if images, labels and model do not fit.
        InvalidParameterError: if there are no images, or no noise levels.
    """
    shape = card_or_shape.shape if isinstance(card_or_shape, ModelCard) else card_or_shape
    _check(tuple(shape), images, labels, sigmas)
    candidates = list_normalizations(shape[0])
    if extra is not None:
        candidates = {"file": extra, **candidates}
    was_training = network.training
    network.eval()
    try:
        trials = [
            Trial(name, norm, *_score(network, norm, images, labels, sigmas, seed), len(images))
            for name, norm in candidates.items()
        ]
    finally:
        network.train(was_training)
    return sorted(trials, key=lambda trial: (-trial.accuracy, trial.loss))


def is_near_chance(trial: Trial, num_classes: int) -> bool:
    """Whether the accuracy could be luck.

    A classifier that guesses is right on each image with probability 1/K. Near chance means that
    such a one has as many right answers, or more, with a probability of at least 0.001 (the upper
    tail of Binomial(M, 1/K)). Ten images right out of 50 are not enough for ten classes; 15 are.
    """
    from scipy.stats import binom

    correct = round(trial.accuracy * trial.images)
    return bool(binom.sf(correct - 1, trial.images, 1 / num_classes) >= _UNLIKELY)


def _check(shape: tuple[int, ...], images: Tensor, labels: Tensor, sigmas: Sequence[float]) -> None:
    if not len(images) or not sigmas:
        raise InvalidParameterError("At least one image and one noise level are needed.")
    if tuple(images.shape[1:]) != shape or len(labels) != len(images):
        raise MismatchError(
            f"The model takes images of shape {list(shape)} with a label each, but there are "
            f"{len(images)} of shape {list(images.shape[1:])} and {counted(len(labels), 'label')}."
        )


@torch.inference_mode()
def _score(
    network: nn.Module,
    normalization: Normalization,
    images: Tensor,
    labels: Tensor,
    sigmas: Sequence[float],
    seed: int,
) -> tuple[float, float]:
    first = next((t for t in (*network.parameters(), *network.buffers())), torch.empty(0))
    mean = torch.tensor(normalization.mean, device=first.device).view(1, -1, 1, 1)
    std = torch.tensor(normalization.std, device=first.device).view(1, -1, 1, 1)
    size = max(1, _BATCH_VALUES // max(1, images[0].numel()))
    size = min(size, 256)
    generator = torch.Generator().manual_seed(seed)
    correct, loss = 0.0, 0.0
    for sigma in sigmas:
        for x, y in zip(images.split(size), labels.split(size), strict=True):
            noisy = x + sigma * torch.randn(x.shape, generator=generator)
            logits = network((noisy.to(first.device) - mean) / std).float().cpu()
            y = y.to("cpu", torch.int64)
            known = (y >= 0) & (y < logits.shape[1])
            correct += float((logits.argmax(1) == y).sum())
            loss += float(F.cross_entropy(logits[known], y[known], reduction="sum"))
    total = len(images) * len(sigmas)
    return correct / total, loss / total
