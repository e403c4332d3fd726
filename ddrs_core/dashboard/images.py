"""Image tensors as pictures for the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from torch import Tensor


def png_uri(image: Tensor) -> str:
    """A data URI of an image [C, H, W]; values outside [0, 1] are clipped for display."""
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().byte().numpy()
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
