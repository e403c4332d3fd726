"""Small data sets written by the tests, and the real ones where they are available."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ddrs_core.data.user import records

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder of the user, and no shared data."""
    monkeypatch.setattr(records, "_warned", set())
    folder = tmp_path / "home"
    monkeypatch.setenv("DDRS_HOME", str(folder))
    monkeypatch.delenv("DDRS_DATA_DIR", raising=False)
    return folder


@pytest.fixture
def shared_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real CIFAR-10, where the machine has it."""
    if not (SHARED / "cifar10").is_dir():
        pytest.skip("needs ../shared/data/cifar10")
    monkeypatch.setenv("DDRS_DATA_DIR", str(SHARED))
    return SHARED


def encoded(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    """Pixels uint8 [H, W] or [H, W, 3] as an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=form, **options)
    return buffer.getvalue()


def random_pixels(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def write_parquet(
    path: Path,
    images: Sequence[bytes | None],
    labels: Sequence[Any],
    *,
    names: Sequence[str] | None = ("cat", "dog"),
    image: str = "img",
    label: str = "label",
    rows: int = 4,
    label_type: pa.DataType | None = None,
) -> Path:
    """A file in Hugging Face's layout, with ``rows`` rows in a row group."""
    stored = [{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(images)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({image: pa.array(stored, kind), label: pa.array(labels, label_type)})
    if names is not None:
        features = {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows)
    return path


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write ``root/part/image-0.png`` for parts such as "cat" or "train/cat"."""

    def write(*parts: str, count: int = 2, side: int = 40) -> Path:
        root = tmp_path / "animals"
        for number, part in enumerate(parts):
            (root / part).mkdir(parents=True, exist_ok=True)
            for i, pixels in enumerate(random_pixels(count, side, side, 3, seed=number)):
                Image.fromarray(pixels).save(root / part / f"image-{i}.png")
        return root

    return write
