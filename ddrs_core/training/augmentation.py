"""Augmentation on the device: flips and shifts of whole batches.

A new augmentation is one function and one line in ``AUGMENTATIONS``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# (images [B, C, H, W], random numbers in [0, 1) [B, 3]) -> images [B, C, H, W]
Augmentation = Callable[[Tensor, Tensor], Tensor]

_SHIFT = 8  # an image is shifted by at most 1/8 of its size, 4 pixels of 32


def keep(images: Tensor, chance: Tensor) -> Tensor:
    """The images as they are."""
    return images


def flip(images: Tensor, chance: Tensor) -> Tensor:
    """Half of the images, mirrored left to right."""
    return torch.where((chance[:, 0] < 0.5).view(-1, 1, 1, 1), images.flip(3), images)


def shift(images: Tensor, chance: Tensor) -> Tensor:
    """Each image moved by up to an eighth of its size, its border mirrored to fill the gap.

    The mirrored border keeps the pixels' distribution, which padding with zeros would not.
    """
    height, width = images.shape[2:]
    rows = _moved(height, chance[:, 1])  # [B, H]
    columns = _moved(width, chance[:, 2])  # [B, W]
    number = torch.arange(len(images), device=images.device)
    moved = images.permute(0, 2, 3, 1)[
        number[:, None, None], rows[:, :, None], columns[:, None, :]
    ]  # [B, H, W, C]
    return moved.permute(0, 3, 1, 2)


def flip_and_shift(images: Tensor, chance: Tensor) -> Tensor:
    """Both, as is usual for CIFAR-10."""
    return flip(shift(images, chance), chance)


def _moved(size: int, chance: Tensor) -> Tensor:
    """Where each pixel of a row comes from, [B, size]."""
    most = size // _SHIFT
    offset = (chance * (2 * most + 1)).long().clamp(max=2 * most) - most
    place = torch.arange(size, device=chance.device) + offset[:, None]
    place = place.abs()
    return torch.where(place >= size, 2 * (size - 1) - place, place)


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": keep,
    "flip": flip,
    "shift": shift,
    "flip-shift": flip_and_shift,
}
