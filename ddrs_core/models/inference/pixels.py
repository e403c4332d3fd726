"""Pixels are numbers in [0, 1]; anything else gets a sentence that says what to do."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddrs_core.errors import InvalidParameterError

_TOLERANCE = 1e-6  # rounding of whoever prepared the image


def check_pixels(images: Tensor) -> None:
    """Make sure that ``images``, of any shape, has floating-point pixels in [0, 1].

    Raises:
        InvalidParameterError: if a pixel is NaN, infinite or outside [0, 1]: sigma and radius
            would be in another unit.
    """
    if not images.is_floating_point():
        raise InvalidParameterError(
            f"Pixels should be floating-point numbers in [0, 1], not {images.dtype}. "
            "If they go from 0 to 255, convert them and divide by 255."
        )
    if not images.numel():
        return
    low, high = torch.stack(torch.aminmax(images.detach())).tolist()
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidParameterError("The image has pixels that are not finite numbers.")
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        raise InvalidParameterError(
            "Pixels should lie in [0, 1], the scale of sigma and radius, but they go from "
            f"{low:.7g} to {high:.7g}: {_remedy(low, high)}."
        )


def _remedy(low: float, high: float) -> str:
    if low < -_TOLERANCE:
        return "leave normalisation to the classifier, or undo it"
    return "divide by 255" if 2 < high <= 255 else "rescale or clip them"
