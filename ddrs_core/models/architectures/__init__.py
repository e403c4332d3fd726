"""Network architectures by name.

A new architecture is one file with a module class and one line in ``_OWN``. A builder takes
``(num_classes, in_channels)`` and returns a network [B, C, H, W] -> logits [B, K] that expects
*normalised* input; the normalisation layer is put in front by :class:`ddrs_core.models.Classifier`.
torchvision's classifiers are found under torchvision's names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

from torch import nn

from ddrs_core.errors import unknown_name
from ddrs_core.models.architectures.authors_resnet18 import AuthorsResNet18
from ddrs_core.models.architectures.cifar_resnet import CifarResNet, Shortcut
from ddrs_core.models.architectures.cifar_resnet18 import CifarResNet18
from ddrs_core.models.architectures.digits_cnn import DigitsCNN
from ddrs_core.models.architectures.lenet import LeNet
from ddrs_core.models.architectures.torchvision_nets import (
    build_torchvision,
    describe_torchvision,
    torchvision_sizes,
)
from ddrs_core.models.architectures.wide_resnet import WideResNet


@dataclass(frozen=True)
class Architecture:
    """A named network family with the input that it was designed for."""

    name: str
    description: str
    shape: tuple[int, int, int]  # (C, H, W)
    build: Callable[[int, int], nn.Module]  # (num_classes, in_channels) -> network


_CIFAR = (3, 32, 32)
_DEPTHS = (20, 32, 44, 56, 110)


def _cifar_resnet(depth: int, shortcut: Shortcut) -> Architecture:
    suffix, option = ("", "option-A") if shortcut == "pad" else ("_projection", "option-B")
    return Architecture(
        f"cifar_resnet{depth}{suffix}",
        f"ResNet-{depth} for 32x32 images (He et al. 2016, {option} shortcuts)",
        _CIFAR,
        lambda classes, channels: CifarResNet(depth, classes, channels, shortcut),
    )


_OWN: dict[str, Architecture] = {
    a.name: a
    for a in (
        Architecture("digits_cnn", "Three convolutions for 8x8 grey images", (1, 8, 8), DigitsCNN),
        *(_cifar_resnet(depth, "pad") for depth in _DEPTHS),
        *(_cifar_resnet(depth, "projection") for depth in _DEPTHS),
        Architecture("cifar_resnet18", "ResNet-18 for 32x32 images", _CIFAR, CifarResNet18),
        Architecture(
            "authors_resnet18",
            "ResNet-18 of Alfarra et al. 2022 (ImageNet stem, no first batch-norm)",
            _CIFAR,
            AuthorsResNet18,
        ),
        Architecture(
            "wideresnet40_2",
            "Wide ResNet-40-2 for 32x32 images (Zagoruyko and Komodakis 2016)",
            _CIFAR,
            partial(WideResNet, 40, 2),
        ),
        Architecture("lenet", "LeNet for 28x28 grey images (as in MACER)", (1, 28, 28), LeNet),
    )
}


def list_architectures() -> list[Architecture]:
    """Our own architectures; quick, and torchvision is not imported."""
    return list(_OWN.values())


@lru_cache(maxsize=1)
def _torchvision() -> dict[str, Architecture]:
    return {
        name: Architecture(
            name, describe_torchvision(name), (3, side, side), partial(build_torchvision, name)
        )
        for name, side in torchvision_sizes().items()
    }


def list_torchvision_architectures() -> list[Architecture]:
    """torchvision's ImageNet classifiers, by name; the first call imports torchvision."""
    return list(_torchvision().values())


def get_architecture(name: str) -> Architecture:
    """Look an architecture up by name, among our own first.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    found = _OWN.get(name) or _torchvision().get(name)
    if found is None:
        raise unknown_name("architecture", name, [*_OWN, *_torchvision()])
    return found
