"""The images of a bank: float32 pixels in [0, 1], kept exactly, in as few bytes as they need."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddrs_core.errors import InvalidParameterError, MismatchError
from ddrs_core.store.bank.index import project
from ddrs_core.store.errors import StoreError

Pixels = NDArray[np.float32]
PIXEL_SCALE = "[0, 1]"
BYTES, FLOATS = b"u", b"f"  # first byte of a stored image: what follows, compressed
LEVELS = np.arange(256, dtype=np.float32) / np.float32(255)
_COMPRESSION = 1  # 6 saves 3 % of a photograph's bytes and takes three times as long


@dataclass(frozen=True)
class BankImage:
    """An image, ready to be compared and stored."""

    pixels: Pixels  # [C, H, W]
    packed: bytes
    digest: str
    projection: NDArray[np.float32]  # [k]


def read_images(images: Iterable[Any], shape: tuple[int, ...]) -> list[BankImage]:
    """Check images, tensors or arrays, and make them ready.

    Raises:
        MismatchError: if an image has another shape than the bank's, or another scale of pixels.
        InvalidParameterError: if a pixel is not a number, or not a float32.
    """
    checked = [check_image(image, shape) for image in images]
    if not checked:
        return []
    points = project(np.stack(checked))
    return [
        BankImage(pixels, pack_image(pixels), digest_image(pixels), point)
        for pixels, point in zip(checked, points, strict=True)
    ]


def check_image(image: Any, shape: tuple[int, ...]) -> Pixels:
    """The pixels [C, H, W] of an image that a bank of that shape may hold."""
    if hasattr(image, "detach"):  # a tensor, wherever it is
        image = image.detach().cpu()
        image = image if image.is_floating_point() and image.element_size() > 2 else image.float()
    try:
        found = np.asarray(image)
    except (TypeError, ValueError):
        raise InvalidParameterError("That is not an image: expected an array of pixels.") from None
    if found.shape != tuple(shape):
        raise MismatchError(
            f"The images of this memory bank have the shape {shape_text(shape)}, not "
            f"{shape_text(found.shape)}."
        )
    if found.dtype.kind not in "fiu":
        raise InvalidParameterError(f"Pixels are numbers, not {found.dtype}.")
    if not np.isfinite(found).all():
        raise InvalidParameterError("The image has pixels that are NaN or infinite.")
    low, high = float(found.min()), float(found.max())
    if low < 0 or high > 1:
        raise MismatchError(
            f"The pixels of this memory bank's images lie in {PIXEL_SCALE}; those of this one "
            f"reach from {low:g} to {high:g}. Bring them to that scale, without normalisation."
        )
    pixels = np.ascontiguousarray(found, dtype=np.float32)
    if (pixels != found).any():
        raise InvalidParameterError(
            "The image has pixels that are not float32 numbers. Round them before they are "
            "certified, so that the certificate is about the image that is stored."
        )
    return pixels + np.float32(0)  # -0 becomes 0


def pack_image(pixels: Pixels) -> bytes:
    """An image as bytes: one a pixel where all of them are k/255, else float32."""
    steps = np.rint(pixels * np.float32(255)).astype(np.uint8)
    if (LEVELS[steps] == pixels).all():
        return BYTES + zlib.compress(steps.tobytes(), _COMPRESSION)
    return FLOATS + zlib.compress(pixels.astype("<f4").tobytes(), _COMPRESSION)


def unpack_image(packed: bytes, shape: tuple[int, ...]) -> Pixels:
    """The pixels from :func:`pack_image`.

    Raises:
        StoreError: if the bytes are damaged.
    """
    kind, size = packed[:1], math.prod(shape) * (1 if packed[:1] == BYTES else 4)
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(packed[1:], size)  # never more, whatever they promise
    except zlib.error:
        raw = b""
    if len(raw) != size or kind not in (BYTES, FLOATS):
        raise StoreError("A stored image of this memory bank is damaged.")
    return raw_pixels(raw, kind, shape)


def raw_pixels(raw: bytes, kind: bytes, shape: tuple[int, ...]) -> Pixels:
    """Pixels from their bytes, uncompressed."""
    if kind == BYTES:
        return LEVELS[np.frombuffer(raw, np.uint8)].reshape(shape)
    return np.frombuffer(raw, "<f4").astype(np.float32).reshape(shape)


def digest_image(pixels: Pixels) -> str:
    """SHA-256 of pixels and shape, as everywhere in the program (:func:`data.image_digest`)."""
    digest = hashlib.sha256(repr(tuple(pixels.shape)).encode())
    digest.update(pixels.astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def shape_text(shape: Iterable[int]) -> str:
    """A shape as text, such as 3x32x32."""
    return "x".join(str(n) for n in shape) or "of a single number"
