"""Data sets as people have them: layouts, leftovers of other programs, and damaged images."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from ddrs_core.data.builtin.digits import load_digits_split


def write_picture(path: Path, colour: str | int = "red", side: int = 32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = "L" if isinstance(colour, int) else "RGB"
    Image.new(mode, (side, side), colour).save(path)
    return path


def cut_off(path: Path, size: int = 60) -> Path:
    """Damage a picture as an interrupted copy does."""
    path.write_bytes(path.read_bytes()[:size])
    return path


def digit_folders(root: Path, per_class: int = 4, damaged: Collection[str] = ()) -> Path:
    """Real digits in a folder for each class, ``0/0.png`` to ``9/...``; some are cut off."""
    images, labels = load_digits_split("train")
    for digit in range(10):
        pixels = 16 * images[labels == digit, 0][:per_class].numpy()
        for number, image in enumerate(pixels):
            path = root / str(digit) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15.9).astype(np.uint8)).save(path)
    for name in damaged:
        cut_off(root / name)
    return root
