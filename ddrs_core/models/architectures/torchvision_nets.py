"""torchvision's ImageNet classifiers under their own names; torchvision is imported when asked for.

A vision transformer is tied to its image size; where published weights need another than 224, that
network is an entry of its own, such as ``vit_b_16_384``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from torch import nn

from ddrs_core.errors import InvalidParameterError

_TITLES = {
    "alexnet": "AlexNet",
    "convnext": "ConvNeXt",
    "densenet": "DenseNet",
    "efficientnet": "EfficientNet",
    "googlenet": "GoogLeNet",
    "inception": "Inception v3",
    "maxvit": "MaxViT",
    "mnasnet": "MNASNet",
    "mobilenet": "MobileNet",
    "regnet": "RegNet",
    "resnet": "ResNet",
    "resnext": "ResNeXt",
    "shufflenet": "ShuffleNet v2",
    "squeezenet": "SqueezeNet",
    "swin": "Swin transformer",
    "vgg": "VGG",
    "vit": "Vision transformer",
    "wide": "Wide ResNet",
}
_AUX_HEADS = {"googlenet": {"aux_logits": False}, "inception_v3": {"aux_logits": False}}


@lru_cache(maxsize=1)
def torchvision_sizes() -> dict[str, int]:
    """For each network the side of the square images that its published weights take."""
    from torchvision import models

    sizes: dict[str, int] = {}
    for name in models.list_models(module=models):
        weights = models.get_model_weights(name)
        sides = {w: int(w.transforms.keywords["crop_size"]) for w in weights}
        if name.startswith("vit_"):
            sizes[name] = 224
            others = sorted(set(sides.values()) - {224})
            sizes.update({f"{name}_{side}": side for side in others})
        else:
            sizes[name] = sides[weights.DEFAULT]
    return sizes


def describe_torchvision(name: str) -> str:
    """One line about a network."""
    family = _TITLES.get(name.partition("_")[0].rstrip("0123456789"), "Network")
    return f"{family} for ImageNet ({name} of torchvision)"


def build_torchvision(name: str, num_classes: int, in_channels: int = 3) -> nn.Module:
    """A freshly initialised network [B, 3, H, W] -> logits [B, K].

    Auxiliary heads, which serve training only, are left out: the output is a plain tensor.

    Raises:
        InvalidParameterError: for images that do not have three channels.
    """
    from torchvision import models

    if in_channels != 3:
        raise InvalidParameterError(
            f"{name} of torchvision takes colour images (3 channels), not {in_channels} "
            f"{'channel' if in_channels == 1 else 'channels'}. Choose an architecture for your "
            "images, such as cifar_resnet20."
        )
    options: dict[str, Any] = {}
    if name in _AUX_HEADS:
        options = {"init_weights": False, **_AUX_HEADS[name]}
    base = name
    if name.startswith("vit_") and name.count("_") == 3:
        base, _, side = name.rpartition("_")
        options = {"image_size": int(side)}
    return models.get_model(base, weights=None, num_classes=num_classes, **options)
