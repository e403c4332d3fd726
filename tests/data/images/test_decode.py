"""Pictures that nobody vouches for: right colours where they are right, words where not."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from ddrs_core.data import ImageError
from ddrs_core.data.images.decode import (
    MAX_BYTES,
    Picture,
    display_name,
    read_picture,
    to_grey_or_rgb,
)
from tests.data.conftest import encoded, random_pixels

PIXELS = random_pixels(1, 12, 9, 3)[0]


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file by hand: RGB header and the given chunks."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in (header, *chunks):
        checksum = zlib.crc32(kind + data)
        parts.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum))
    return b"".join(parts)


def attempt(data: bytes) -> Picture | str:
    """The picture, or the words; any other error fails the test."""
    try:
        return read_picture(data, "mutant")
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF", "WEBP"])
def test_lossless_formats_come_back_exactly(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    picture = read_picture(encoded(PIXELS, form, **options), f"a.{form.lower()}")
    assert picture.image.mode == "RGB"
    assert picture.size == (9, 12)
    assert picture.notes == ()
    assert (np.asarray(picture.image) == PIXELS).all()


def test_jpeg_comes_back_nearly() -> None:
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    image = np.asarray(read_picture(encoded(flat, "JPEG", quality=95)).image).astype(int)
    assert abs(image - flat).max() <= 4


def test_grey_stays_grey() -> None:
    picture = read_picture(encoded(PIXELS[..., 0]))
    assert picture.image.mode == "L"
    assert (np.asarray(picture.image) == PIXELS[..., 0]).all()


def test_black_and_white() -> None:
    bits = PIXELS[..., 0] > 127
    picture = read_picture(saved(Image.fromarray(bits), "PNG"))
    assert picture.image.mode == "L"
    assert (np.asarray(picture.image) == 255 * bits).all()


def test_transparency_is_shown_on_white() -> None:
    colour = np.zeros((2, 2, 4), np.uint8)
    colour[0, 0] = (10, 20, 30, 255)
    colour[0, 1] = (10, 20, 30, 0)
    colour[1] = (0, 0, 0, 128)
    picture = read_picture(encoded(colour))
    image = np.asarray(picture.image)
    assert image[0].tolist() == [[10, 20, 30], [255, 255, 255]]
    assert abs(image[1].astype(int) - 127).max() <= 1
    assert picture.notes == ("It has transparency, shown on white.",)


def test_an_opaque_alpha_channel_needs_no_note() -> None:
    colour = np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)])
    picture = read_picture(encoded(colour))
    assert picture.notes == ()
    assert (np.asarray(picture.image) == PIXELS).all()


def test_grey_with_transparency_and_palette_with_transparency() -> None:
    grey = Image.fromarray(np.array([[[7, 255], [7, 0]]], np.uint8), "LA")
    assert np.asarray(read_picture(saved(grey, "PNG")).image).tolist() == [[7, 255]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 8, 7, 1, 1, 1])
    palette.putdata([0, 1])
    picture = read_picture(saved(palette, "PNG", transparency=1))
    assert np.asarray(picture.image).tolist() == [[[9, 8, 7], [255, 255, 255]]]
    opaque = read_picture(saved(palette, "PNG"))
    assert np.asarray(opaque.image).tolist() == [[[9, 8, 7], [1, 1, 1]]]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bits_are_scaled_not_clipped(form: str) -> None:
    values = np.array([[0, 128, 257, 32_768, 65_535]], np.uint16)
    picture = read_picture(encoded(values, form))
    assert np.asarray(picture.image).tolist() == [[0, 0, 1, 128, 255]]
    assert "16-bit" in picture.notes[0]


def test_32_bit_values_beyond_16_bits_are_refused() -> None:
    fits = Image.fromarray(np.array([[0, 65_535]], np.int32))
    assert np.asarray(read_picture(saved(fits, "TIFF")).image).tolist() == [[0, 255]]
    for value in (70_000, -1):
        large = Image.fromarray(np.array([[0, value]], np.int32))
        with pytest.raises(ImageError, match="65,535"):
            read_picture(saved(large, "TIFF"), "large.tif")


def test_floating_point_values_must_be_colours() -> None:
    fine = Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32))
    assert np.asarray(read_picture(saved(fine, "TIFF")).image).tolist() == [[0, 128, 255]]
    for value in (np.nan, np.inf, -np.inf, 1.5, -0.1):
        bad = Image.fromarray(np.array([[0.0, value]], np.float32))
        with pytest.raises(ImageError, match=r"'bad.tif'.*from 0 to 1"):
            read_picture(saved(bad, "TIFF"), "bad.tif")
        with pytest.raises(ImageError, match="from 0 to 1"):
            to_grey_or_rgb(bad)


def test_other_colour_models_become_rgb() -> None:
    red = Image.new("RGB", (16, 16), (200, 30, 40))
    lab = ImageCms.applyTransform(
        red,
        ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        ),
    )
    assert lab is not None
    for image, note in (
        (red.convert("CMYK"), "CMYK colours were converted to RGB."),
        (red.convert("YCbCr"), "YCbCr colours were converted to RGB."),
        (lab, "LAB colours were converted to RGB."),
    ):
        picture = read_picture(saved(image, "TIFF"))
        difference = np.asarray(picture.image).astype(int) - np.asarray(red)
        assert abs(difference).max() <= 4, note
        assert note in picture.notes
    hsv = np.asarray(to_grey_or_rgb(red.convert("HSV"))).astype(int)
    assert abs(hsv - np.asarray(red)).max() <= 4


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_orientation_that_a_camera_noted(form: str) -> None:
    turned = Image.new("RGB", (32, 16), "black")
    turned.paste("white", (0, 0, 16, 16))  # left half
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    picture = read_picture(saved(turned, form, exif=exif))
    assert picture.size == picture.image.size == (16, 32)
    image = np.asarray(picture.image.convert("L"))
    assert image[:12].min() > 200  # what was left is above
    assert image[20:].max() < 50


@pytest.mark.parametrize(
    ("form", "kind"), [("GIF", "frames"), ("PNG", "frames"), ("WEBP", "frames"), ("TIFF", "pages")]
)
def test_the_first_of_several_frames(form: str, kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), (60 * i, 60 * i, 60 * i)) for i in range(4)]
    picture = read_picture(saved(frames[1], form, save_all=True, append_images=frames[2:]))
    assert f"It has 3 {kind}; the first is used." in picture.notes
    assert abs(np.asarray(picture.image).astype(int) - 60).max() <= 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"hello, I am a picture", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "not a picture|damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"\0" * (MAX_BYTES + 1), "20 MB"),
        (png(10_000, 10_000, (b"IDAT", b"")), "10,000 x 10,000 pixels.*40 million"),
        (png(2**31 - 1, 2**31 - 1, (b"IDAT", b"")), "far too many pixels"),
        (png(0, 5), "damaged|not a picture"),
        (b"P5 1000000 1000000 255\n", "million"),
        (b"P5 -5 5 255\n", "damaged|not a picture"),
        (encoded(PIXELS)[:-30], "damaged"),
        (encoded(PIXELS, "JPEG")[:-60], "damaged"),
    ],
)
def test_what_is_no_picture_is_said(data: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said) as raised:
        read_picture(data, "my photo.png")
    assert "'my photo.png'" in str(raised.value)


def test_bombs_are_defused_quickly() -> None:
    bomb = zlib.compress(bytes(200 * 2**20), 9)
    pixels = (b"IDAT", zlib.compress(b"\0" * 10 * 31))
    started = time.process_time()
    for chunks in (
        ((b"zTXt", b"a\0\0" + bomb), pixels),
        ((b"iTXt", b"a\0\1\0\0\0" + bomb), pixels),
        ((b"iCCP", b"a\0\0" + bomb), pixels),
        ((b"IDAT", bomb),),
    ):
        outcome = attempt(png(10, 10, *chunks, (b"IEND", b"")))
        assert isinstance(outcome, str) or outcome.size == (10, 10)
    assert time.process_time() - started < 5


def test_a_long_text_chunk_is_harmless() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 2**21, zip=True)
    with pytest.raises(ImageError):
        read_picture(saved(Image.fromarray(PIXELS), "PNG", pnginfo=info))


SEEDS: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded(PIXELS),
    "jpeg": lambda: encoded(PIXELS, "JPEG"),
    "gif": lambda: encoded(PIXELS[..., 0], "GIF"),
    "webp": lambda: encoded(PIXELS, "WEBP"),
    "tiff": lambda: encoded(PIXELS, "TIFF", compression="tiff_lzw"),
    "bmp": lambda: encoded(PIXELS, "BMP"),
    "ppm": lambda: encoded(PIXELS, "PPM"),
    "tiff-16": lambda: encoded(PIXELS[..., 0].astype(np.uint16), "TIFF"),
}


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(SEEDS)),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=12),
    st.integers(0, 10**6) | st.none(),
)
def test_damage_ends_as_a_picture_or_as_words(
    kind: str, changes: list[tuple[int, int]], length: int | None
) -> None:
    data = bytearray(SEEDS[kind]())
    for place, value in changes:
        data[place % len(data)] = value
    if length is not None:
        data = data[: length % len(data)]
    outcome = attempt(bytes(data))
    assert isinstance(outcome, str) or outcome.image.mode in ("L", "RGB")


@settings(max_examples=100)
@given(
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"BM", b"P6 "]
    ),
    st.binary(max_size=300),
)
def test_random_bytes_end_as_words(start: bytes, rest: bytes) -> None:
    outcome = attempt(start + rest)
    assert isinstance(outcome, str) or outcome.image.mode in ("L", "RGB")


@pytest.mark.slow
def test_pillow_warns_nobody() -> None:
    """A picture of 90 million pixels and broken EXIF data both make Pillow warn."""
    code = """
import io, warnings
from PIL import Image
from ddrs_core.data.images.decode import ImageError, Picture, read_picture
big = b"P5 10000 9000 255\\n"
try:
    read_picture(big)
except ImageError:
    pass
buffer = io.BytesIO()
garbage = b"Exif\\0\\0II*\\0\\x08\\0\\0\\0\\x05\\0garbage"
Image.new("RGB", (4, 4)).save(buffer, format="JPEG", exif=garbage)
read_picture(buffer.getvalue())
"""
    done = subprocess.run(
        [sys.executable, "-W", "always::UserWarning:PIL.Image", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("photo.png", "photo.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\photo.png", "photo.png"),
        ("a\nb\x00c\x1b[31m.png", "a b c [31m.png"),
        ("", ""),
        ("/", ""),
        ("..", ".."),
    ],
)
def test_names_are_made_fit_to_be_shown(given_name: str, shown: str) -> None:
    assert display_name(given_name) == shown


@given(st.text(max_size=200))
def test_any_name_is_short_and_printable(name: str) -> None:
    shown = display_name(name)
    assert len(shown) <= 80
    assert shown.isprintable()
    assert "/" not in shown
