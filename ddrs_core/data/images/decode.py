"""Decoding untrusted pictures: every defect becomes a message, and nothing is executed."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TypeVar

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ddrs_core.errors import DDRSError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
EXTENSIONS = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    ".pfm",
)
PROBED = 16  # pictures that are tried, where one must be decoded to know what a data set holds
# Errors of the machine, after which the same file may be read: no more files or memory.
_NOT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
MAX_BYTES = 20 * 2**20
MAX_PIXELS = 40_000_000
_MAX_BYTES_FOR_COUNTING = 2**20  # counting the frames of a GIF walks through all of it
_LONGEST_NAME = 80
_ORIENTATION = 0x0112  # an EXIF tag
_PILLOW = re.compile(r"PIL\b")


T = TypeVar("T")


class ImageError(DDRSError):
    """A picture that cannot be used: not a picture, damaged, or too large."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: 8 bit, mode L (grey) or RGB, upright.

    ``size`` is (width, height) in pixels, after turning; ``notes`` are sentences on what was
    changed.
    """

    image: Image.Image
    size: tuple[int, int]
    notes: tuple[str, ...]


def display_name(filename: str) -> str:
    """A file name fit to be shown: the last part of a path, without control characters, short."""
    last = PurePosixPath(PureWindowsPath(filename[-4096:]).name).name
    clean = "".join(c if c.isprintable() else " " for c in last)
    clean = " ".join(clean.split())
    return clean if len(clean) <= _LONGEST_NAME else f"{clean[: _LONGEST_NAME - 1]}…"


def _display_path(path: str) -> str:
    """A path below a data set, of which the last two parts are shown."""
    return "/".join(display_name(part) for part in PurePath(path).parts[-2:])


def read_picture(data: bytes, filename: str = "") -> Picture:
    """Decode a PNG, JPEG, WebP, BMP, GIF, TIFF or PPM/PGM/PFM file from memory.

    Any colour mode becomes grey or RGB with 8 bits: transparency is shown on white, 16 bits are
    scaled, the orientation that a camera noted is applied, of several frames or pages the first
    is used.

    Raises:
        ImageError: if the file is empty, larger than 20 MB or 40 million pixels, damaged, in
            another format, or holds values that are no colours.
    """
    return _read(data, display_name(filename))


def _read(data: bytes, name: str) -> Picture:
    try:
        return _decode(data)
    except Exception as error:  # Pillow's decoders raise nearly everything on damaged files
        subject = f"The picture {name!r}" if name else "The picture"
        raise ImageError(f"{subject} {_complaint(error)}") from None


def _decode(data: bytes) -> Picture:
    if not data:
        raise _UnusableError("is empty.")
    if len(data) > MAX_BYTES:
        raise _UnusableError(
            f"has {len(data) / 2**20:.1f} MB; at most {MAX_BYTES >> 20} MB are read. "
            "Save it smaller or with more compression."
        )
    _silence_pillow()
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise _UnusableError(_too_large(f"{width:,} x {height:,}"))
        image.load()
        notes = _frames(image, data)
        plain = _plain(_upright(image, notes), notes)
    return Picture(plain, plain.size, tuple(notes))


class _UnusableError(Exception):
    """The rest of a sentence that begins with "The picture"."""


def _complaint(error: Exception) -> str:
    if isinstance(error, _UnusableError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return _too_large("far too many")
    if isinstance(error, UnidentifiedImageError):
        return (
            "is not a picture in a known format, whatever its name says, or its first bytes are "
            f"damaged. Known are {', '.join(FORMATS[:-1])} and {FORMATS[-1]}."
        )
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return f"is damaged or incomplete and cannot be read ({reason})."


def first_readable(read: Callable[[T], Picture], candidates: Iterable[T]) -> Picture:
    """The first picture that can be decoded; one that is damaged says nothing about the others.

    Raises:
        ImageError: of the first candidate, if none can be decoded.
    """
    refused: ImageError | None = None
    for candidate in candidates:
        try:
            return read(candidate)
        except ImageError as error:
            refused = refused or error
    raise refused or ImageError("There is no picture.")


def read_picture_file(path: str | Path, shown: str | None = None) -> Picture:
    """Decode one image file, as :func:`read_picture` does.

    Args:
        path: the file.
        shown: what messages call it, such as ``class/image.png``; default: the file's name.

    Raises:
        ImageError: with a message that names the file.
        DDRSError: if the machine, not the file, is why it cannot be read.
    """
    name = display_name(str(path)) if shown is None else _display_path(shown)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for its writer
            raise ImageError(f"{name!r} is not a file.")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _NOT_THE_FILE:
            raise DDRSError(f"{path} cannot be opened now: {error.strerror}.") from None
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"The picture {name!r} cannot be read: {reason}.") from None
    return _read(data, name)


def to_grey_or_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode, as :func:`read_picture` does, to mode L or RGB.

    Raises:
        ImageError: if its values are no colours, such as NaN.
    """
    try:
        return _plain(image, [])
    except _UnusableError as error:
        raise ImageError(f"The picture {error}") from None


def _plain(image: Image.Image, notes: list[str]) -> Image.Image:
    """The image in mode L or RGB; sentences on what was changed are added to ``notes``."""
    mode = image.mode
    if mode.startswith("I"):
        return _from_integers(image, notes)
    if mode == "F":
        return _from_floats(image, notes)
    if image.has_transparency_data:
        return _on_white(image, notes)
    if mode in ("L", "RGB"):
        return image if type(image) is Image.Image else image.copy()
    if mode == "1":
        return image.convert("L")
    if mode == "LAB":
        notes.append("LAB colours were converted to RGB.")
        return _from_lab(image)
    if mode not in ("P", "RGBX"):
        notes.append(f"{mode} colours were converted to RGB.")
    return image.convert("RGB")


def _silence_pillow() -> None:
    """Keep Pillow's warnings about a file off the screen; what matters is said in a message.

    ``warnings.catch_warnings`` would not do: it is not safe where several threads decode.
    """
    ours = ("ignore", None, Warning, _PILLOW, 0)
    if ours not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _too_large(pixels: str) -> str:
    return f"has {pixels} pixels; at most {MAX_PIXELS // 10**6} million are read. Save it smaller."


def _frames(image: Image.Image, data: bytes) -> list[str]:
    if not getattr(image, "is_animated", False):
        return []
    kind = "pages" if image.format == "TIFF" else "frames"
    count = _count_frames(data) if len(data) <= _MAX_BYTES_FOR_COUNTING else None
    return [f"It has {count or 'several'} {kind}; the first is used."]


def _count_frames(data: bytes) -> int | None:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:  # a later frame is damaged; the first one is all we need
        return None


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
        if orientation == 1:
            return image
        turned = ImageOps.exif_transpose(image)
    except Exception:  # damaged notes of a camera are no reason to refuse its picture
        return image
    notes.append("It was turned upright as the camera noted.")
    return turned


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    grey = image.mode in ("1", "L", "LA", "La")
    layers = image.convert("LA") if image.mode == "La" else image
    rgba = layers.convert("RGBA")
    lowest, _ = rgba.getchannel("A").getextrema()
    if lowest == 255:
        return rgba.convert("L" if grey else "RGB")
    notes.append("It has transparency, shown on white.")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("L" if grey else "RGB")


def _from_integers(image: Image.Image, notes: list[str]) -> Image.Image:
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65_535:
        raise _UnusableError(
            f"has values from {low:,} to {high:,}; 16-bit pictures have 0 to 65,535. "
            "Save it with 8 or 16 bits."
        )
    notes.append("Its 16-bit values were scaled to 8 bits.")
    table = ((np.arange(65_536) * 255 + 32_767) // 65_535).astype(np.uint8)  # rounds
    return Image.fromarray(table[values.astype(np.uint16)])


def _from_floats(image: Image.Image, notes: list[str]) -> Image.Image:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())  # NaN if there is one
    if not (low >= 0 and high <= 1):
        raise _UnusableError(
            f"has values from {low:g} to {high:g}; floating-point pictures must have "
            "values from 0 to 1. Rescale it, or save it with 8 or 16 bits."
        )
    notes.append("Its floating-point values were scaled to 8 bits.")
    return Image.fromarray((values * 255 + 0.5).astype(np.uint8))


def _from_lab(image: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(lab, rgb, "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted
