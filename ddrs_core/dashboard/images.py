"""Image tensors as pictures for the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from torch import Tensor

_LARGEST = 144  # pixels of a side; a larger picture is shown reduced
_JPEG_FROM = 64  # noise of larger pictures is sent as JPEG, a tenth of the size


def picture_uri(image: Tensor) -> str:
    """A data URI of an image [C, H, W]; values outside [0, 1] are clipped for display."""
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().byte().numpy()
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    buffer = io.BytesIO()
    if max(picture.size) <= _JPEG_FROM:
        picture.save(buffer, format="PNG")
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    picture.thumbnail((_LARGEST, _LARGEST), Image.Resampling.BOX)
    picture.save(buffer, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
