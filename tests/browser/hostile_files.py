"""Files that nobody would want to be handed, made on the spot: each a few kilobytes."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.browser.conftest import ROOT

Files = dict[str, tuple[bytes, str]]  # by file name: the bytes, and words of the answer
SHIPPED = ROOT / "assets/models/digits-gaussian-0.50.safetensors"


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    """A PNG chunk, with its own checksum unless another is given."""
    right = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc or right)


def png(
    width: int, height: int, *extra: bytes, pixels: bytes | None = None, packed: bytes = b""
) -> bytes:
    """A grey PNG file as the standard describes it, with chunks of one's own after the header."""
    rows = (b"\0" + b"\x60" * width) * height if pixels is None else pixels
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
            *extra,
            chunk(b"IDAT", packed or zlib.compress(rows, 9)),
            chunk(b"IEND", b""),
        ]
    )


def drawn(mode: str = "RGB", size: tuple[int, int] = (80, 60)) -> Image.Image:
    """A picture with some content."""
    values = np.random.default_rng(4).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values).convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """A GIF whose screen and frame claim to be of these sizes."""
    header = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    picture = b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0)
    return header + picture + b"\x02\x02\x44\x01\x00\x3b"


class Payload:
    """Creates a file when it is unpickled, if that is allowed to happen."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def hostile_pictures(marker: Path) -> Files:
    """Pictures that must be refused."""
    photograph = encoded(drawn(), "PNG")
    jpeg = encoded(drawn(), "JPEG")
    nan = Image.fromarray(np.full((8, 8), np.nan, np.float32))
    bomb = zlib.compress(bytes(100 * 2**20), 9)
    damaged, unknown = "is damaged or incomplete", "is not a picture in a known format"
    return {
        "huge.png": (png(60_000, 60_000, pixels=b"\0" * 1000), "pixels; at most"),
        "large.png": (png(7_000, 6_000, pixels=b"\0" * 1000), "7,000 x 6,000 pixels; at most"),
        "cut.png": (photograph[: len(photograph) // 2], damaged),
        "cut.jpg": (jpeg[: len(jpeg) // 2], damaged),
        "words.png": (b"This is a shopping list, not a picture.\n" * 20, unknown),
        "broken chunk.png": (png(30, 30, chunk(b"gAMA", b"\0\0\1\1", 12345)), unknown),
        "broken pixels.png": (png(30, 30, packed=b"\x78\x9c" + b"\xa5" * 50), damaged),
        "text bomb.png": (png(30, 30, chunk(b"zTXt", b"comment\0\0" + bomb)), damaged),
        "no pixels.png": (png(0, 30), unknown),
        "huge screen.gif": (gif((65_000, 65_000), (8, 8)), "pixels; at most"),
        "huge frame.gif": (gif((8, 8), (65_000, 65_000)), "The picture"),
        "nan.tiff": (encoded(nan, "TIFF"), "values from nan to nan"),
        "page.jpg": (b"<!DOCTYPE html><script>document.title='caught'</script>" * 9, unknown),
        "pickle.png": (pickle.dumps(Payload(marker)), unknown),
        "program.png": (b"%!PS-Adobe-3.0\n(x) (w) file\nshowpage\n" * 30, unknown),
        "vector.png": (
            b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
            unknown,
        ),
        "header.ppm": (b"P6\n60000 60000\n255\n" + b"\0" * 500, "pixels; at most"),
        "![x](y.png) $a^2$ :red[b] <b>c.png": (b"not a picture", unknown),
        "empty.png": (b"", "is empty"),
    }


def odd_pictures() -> Files:
    """Unusual pictures that are accepted, with a sentence on what was done."""
    frames = [drawn("P"), drawn("P", (80, 60)).rotate(90), drawn("P").rotate(180)]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    deep = Image.fromarray(np.arange(6400, dtype=np.uint16).reshape(80, 80) * 10)
    clear = drawn("RGBA")
    clear.putalpha(77)
    return {
        "animated.gif": (animated, "3 frames; the first is used"),
        "cmyk.jpg": (encoded(drawn("CMYK"), "JPEG"), "CMYK colours were converted to RGB"),
        "sixteen bits.png": (encoded(deep, "PNG"), "16-bit values were scaled to 8 bits"),
        "clear.png": (encoded(clear, "PNG"), "transparency, shown on white"),
    }


def good_picture() -> bytes:
    return encoded(drawn("L", (96, 64)), "PNG")


def digits_state() -> dict[str, Tensor]:
    """The weights of the shipped network for digits."""
    return load_file(SHIPPED)


def saved(content: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def cohen_checkpoint() -> bytes:
    """The shipped network as Cohen et al. write theirs, with the normalisation left out."""
    state = {f"1.{key}": value for key, value in digits_state().items()}
    optimizer = {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    return saved({"epoch": 90, "arch": "digits_cnn", "state_dict": state, "optimizer": optimizer})


def hostile_models(marker: Path) -> Files:
    """Checkpoints that must be refused."""
    state = digits_state()
    zipped = saved(state)
    legacy = saved(state, _use_new_zipfile_serialization=False)
    weight = next(key for key in state if key.endswith("weight"))
    nan = {**state, weight: torch.full_like(state[weight], float("nan"))}
    unlike = {**state, "classifier.3.bias": torch.ones(7)}
    script = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is on its way out
        torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)), script)
    span = {"a": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 16]}}
    header = json.dumps(span).encode()
    shared = torch.zeros(1 << 17)
    return {
        "payload.pth": (saved({"state_dict": Payload(marker)}), "wants to call"),
        "payload.pkl": (pickle.dumps(Payload(marker), 2), "wants to call"),
        "module.pth": (saved(nn.Sequential(nn.Linear(3, 2))), "pickled Python object"),
        "bomb.pth": (_zip_bomb(zipped), "made to fill the memory"),
        "cut.pth": (zipped[: len(zipped) // 2], "damaged or cut off"),
        "cut old.pth": (legacy[: len(legacy) // 2], "damaged or cut off"),
        "nan.pth": (saved(nan), "not finite numbers"),
        "classes.pth": (saved(unlike), "fit none of the architectures"),
        "words.pth": (b"epoch 1: loss 2.3\n" * 50, "is text, not weights"),
        "photograph.pth": (encoded(drawn(), "PNG"), "is a PNG image, not weights"),
        "script.pth": (script.getvalue(), "TorchScript program"),
        "claims.safetensors": (
            struct.pack("<Q", len(header)) + header + b"\0" * 16,
            "not a readable safetensors",
        ),
        "strides.pth": (saved({weight: torch.zeros(1).expand(300_000, 300_000)}), "made to fill"),
        "nothing.pth": (saved({}), "no tensors"),
        "itself.pth": (saved(_holding_itself()), "no tensors"),
        "deep.pth": (_zipped(b"\x80\x02" + b"]" * 99_999 + b"a" * 99_998 + b"."), "nested too"),
        "counters.pth": (_zipped(_copies()), "no tensors"),
        "shared.pth": (saved({f"w{i}": shared for i in range(9_000)}), "made to fill the memory"),
        "keras.h5": (b"\x89HDF\r\n\x1a\n" + bytes(500), "HDF5 file, as Keras writes"),
    }


def _holding_itself() -> dict[str, Any]:
    content: dict[str, Any] = {}
    content["itself"] = [content]
    return content


def _copies() -> bytes:
    """A pickle that makes a dictionary and copies it a thousand times."""
    entries = b"".join(b"J" + struct.pack("<i", i) + b"N" for i in range(10_000))
    call = b"ccollections\nCounter\nh\x00\x85Ra"
    return b"\x80\x02}(" + entries + b"uq\x00]" + call * 1000 + b"."


def _zipped(pickled: bytes) -> bytes:
    """A file as torch.save writes it, with this pickle in it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return made.getvalue()


def _zip_bomb(genuine: bytes) -> bytes:
    """A torch file whose numbers unpack to 400 times as much as is stored."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(genuine)) as old,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            numbers = "/data/" in member.filename
            new.writestr(
                member.filename, bytes(8 * 2**20) if numbers else old.read(member.filename)
            )
    return made.getvalue()
