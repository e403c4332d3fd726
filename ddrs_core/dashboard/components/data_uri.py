"""Image tensors as pictures for the page, and arrays as text for its scripts."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from torch import Tensor

_LARGEST = 128  # pixels of a side; of a larger picture every k-th pixel is shown
_JPEG_FROM = 64  # noise of larger pictures is sent as JPEG, a tenth of the size


def picture_uri(image: Tensor) -> str:
    """A data URI of an image [C, H, W]; values outside [0, 1] are clipped for display.

    Large images are thinned out and not averaged, which would make noise look weaker than it is.
    """
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().byte().numpy()
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    buffer = io.BytesIO()
    if max(picture.size) <= _JPEG_FROM:
        picture.save(buffer, format="PNG")
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    picture.thumbnail((_LARGEST, _LARGEST), Image.Resampling.NEAREST, reducing_gap=None)
    picture.save(buffer, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def encode_array(values: np.ndarray) -> str:
    """The bytes of an array, in C order, as base64; a script knows shape and type."""
    return base64.b64encode(values.tobytes()).decode()
