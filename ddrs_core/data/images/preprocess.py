"""Pictures of any size as images of the shape that a network takes.

The rule of ImageNet evaluation: resize so that the shorter side is 256/224 of the wanted size and
cut out the middle. Below 128 pixels the middle is not cut narrower: small pictures show one
thing that fills them.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddrs_core.data.dataset import Shape
from ddrs_core.data.images.decode import Picture, to_grey_or_rgb

PHOTOGRAPH_SIZE = 224  # pixels a side, unless another size is asked for
_MARGIN = 256 / 224
_SMALLEST_WITH_MARGIN = 128
_LONGEST = 8  # sides beyond 8 : 1 are cut first: a strip of 1 x 40 million would not fit in memory


def fit_picture(picture: Picture | Image.Image, shape: Shape) -> Tensor:
    """A picture as float32 [C, H, W] in [0, 1], resized (bilinear, antialiased) and centre-cropped.

    For 224 x 224 this gives exactly what torchvision's ImageNet transforms give before they
    normalise. Grey becomes RGB and RGB grey as ``shape`` wants; small pictures are enlarged.

    Raises:
        ImageError: if a PIL image holds values that are no colours.
    """
    image = picture.image if isinstance(picture, Picture) else to_grey_or_rgb(picture)
    channels, height, width = shape
    margin = _MARGIN if min(height, width) >= _SMALLEST_WITH_MARGIN else 1.0
    image = _cover(_without_long_ends(image), round(width * margin), round(height * margin))
    return as_tensor(_cut_middle(image, width, height), channels)


def as_tensor(image: Image.Image, channels: int) -> Tensor:
    """An image of mode L or RGB as float32 [channels, H, W] in [0, 1], at the size it has."""
    mode = "L" if channels == 1 else "RGB"
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    planes = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.divide(planes, np.float32(255), dtype=np.float32, order="C"))


def _without_long_ends(image: Image.Image) -> Image.Image:
    longest = _LONGEST * min(image.size)
    width, height = image.size
    if max(width, height) <= longest:
        return image
    return _cut_middle(image, min(width, longest), min(height, longest))


def _cover(image: Image.Image, width: int, height: int) -> Image.Image:
    """Resize, with the proportions kept, to the smallest size that covers width x height."""
    w, h = image.size
    if h * width <= w * height:
        size = max(width, int(height * w / h)), height
    else:
        size = width, max(height, int(width * h / w))
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def _cut_middle(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.size == (width, height):
        return image
    left = round((image.width - width) / 2)
    top = round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
