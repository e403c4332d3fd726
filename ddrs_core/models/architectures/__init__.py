"""Network architectures by name.

A new architecture is one file with a module class and one line in ``_REGISTRY``. A builder takes
``(num_classes, in_channels)`` and returns a network [B, C, H, W] -> logits [B, K] that expects
*normalised* input; the normalisation layer is put in front by :class:`ddrs_core.models.Classifier`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ddrs_core.errors import unknown_name
from ddrs_core.models.architectures.cifar_resnet import CifarResNet
from ddrs_core.models.architectures.digits_cnn import DigitsCNN


@dataclass(frozen=True)
class Architecture:
    """A named network family with the input that it was designed for."""

    name: str
    description: str
    shape: tuple[int, int, int]  # (C, H, W)
    build: Callable[[int, int], nn.Module]  # (num_classes, in_channels) -> network


_REGISTRY: dict[str, Architecture] = {
    a.name: a
    for a in (
        Architecture("digits_cnn", "Three convolutions for 8x8 grey images", (1, 8, 8), DigitsCNN),
        Architecture(
            "cifar_resnet20",
            "ResNet-20 for 32x32 images (He et al. 2016, option-A shortcuts)",
            (3, 32, 32),
            lambda num_classes, in_channels: CifarResNet(20, num_classes, in_channels),
        ),
    )
}


def list_architectures() -> list[Architecture]:
    """All architectures that :func:`build_network` knows."""
    return list(_REGISTRY.values())


def get_architecture(name: str) -> Architecture:
    """Look an architecture up by name.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    if name not in _REGISTRY:
        raise unknown_name("architecture", name, _REGISTRY)
    return _REGISTRY[name]


__all__ = ["Architecture", "get_architecture", "list_architectures"]
