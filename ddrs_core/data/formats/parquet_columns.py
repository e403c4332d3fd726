"""The columns of parquet files that hold pictures, labels and names of classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ddrs_core.data.dataset import UNKNOWN_LABEL, DamagedDataError
from ddrs_core.quantities import counted, listed

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MAX_ROWS = 20_000_000  # a small file can claim more than fits in memory
_IMAGE_COLUMNS = ("img", "image")
_MAX_CLASSES = 100_000


@dataclass(frozen=True)
class Columns:
    """Which columns of a file hold pictures and labels."""

    image: str
    label: str | None  # None: the images have no labels
    class_names: tuple[str, ...]  # empty if the file does not tell


def open_parquet(file: Path) -> pq.ParquetFile:
    """Open a file.

    Raises:
        DamagedDataError: if it is damaged, something else or has too many rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise damaged(file, error) from None
    if parquet.metadata.num_rows > MAX_ROWS:
        raise DamagedDataError(
            f"{file} has {counted(parquet.metadata.num_rows, 'row')}; at most {MAX_ROWS:,} are "
            "read."
        )
    return parquet


def damaged(file: Path, error: Exception) -> DamagedDataError:
    """The error for a file that pyarrow cannot read."""
    reason = " ".join(str(error).split())[:120]
    return DamagedDataError(
        f"{file} is damaged or incomplete, or no parquet file at all ({reason}). Fetch it again."
    )


def common_columns(files: Sequence[Path]) -> Columns:
    """The columns of all files of a split.

    Raises:
        DamagedDataError: if one has others than the first, with a message that names both.
    """
    first = _columns(files[0])
    for file in files[1:]:
        columns = _columns(file)
        if (columns.image, columns.label) != (first.image, first.label):
            raise DamagedDataError(
                f"The files of one split must have the same columns: {files[0].name} has "
                f"{first.image!r} and {first.label!r}, but {file.name} has {columns.image!r} and "
                f"{columns.label!r}."
            )
        if columns.class_names and first.class_names not in ((), columns.class_names):
            raise DamagedDataError(
                f"The files of one split must have the same classes: {files[0].name} has "
                f"{listed(first.class_names)}, but {file.name} has {listed(columns.class_names)}."
            )
    return first


def _columns(file: Path) -> Columns:
    import pyarrow as pa

    with open_parquet(file) as parquet:
        schema: Any = parquet.schema_arrow
    image = next((name for name in _IMAGE_COLUMNS if name in schema.names), None)
    if image is None:
        raise DamagedDataError(
            f"{file.name} has no column 'img' or 'image'; it has {', '.join(schema.names)[:200]}."
        )
    kind = schema.field(image).type
    fields = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
    stored = fields.get("bytes")
    if stored is None or not (pa.types.is_binary(stored) or pa.types.is_large_binary(stored)):
        raise DamagedDataError(
            f"The column {image!r} of {file.name} holds {str(kind)[:80]}; expected is a struct "
            "with 'bytes', an encoded picture, as Hugging Face exports it."
        )
    features = _features(schema)
    label = _label_column(file, schema, features)
    return Columns(image, label, _names(features.get(label)) if label is not None else ())


def _label_column(file: Path, schema: Any, features: dict[str, Any]) -> str | None:
    import pyarrow as pa

    if "label" in schema.names:
        candidates = ["label"]
    else:
        integers = [field.name for field in schema if pa.types.is_integer(field.type)]
        named = [name for name in integers if _names(features.get(name))]
        candidates = ["fine_label"] if "fine_label" in integers else named or integers
        candidates = candidates or [name for name in schema.names if "label" in name.lower()]
    if not candidates:
        return None
    if len(candidates) != 1:
        raise DamagedDataError(
            f"{file.name} has no column 'label', and {' and '.join(candidates)} could all be meant."
        )
    kind = schema.field(candidates[0]).type
    if not pa.types.is_integer(kind):
        raise DamagedDataError(
            f"The column {candidates[0]!r} of {file.name} holds {kind}; expected are whole numbers."
        )
    return candidates[0]


def _features(schema: Any) -> dict[str, Any]:
    """The part of the metadata in which Hugging Face describes the columns."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _names(feature: Any) -> tuple[str, ...]:
    names = feature.get("names") if isinstance(feature, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names)


def read_labels(files: Sequence[Path], columns: Columns) -> NDArray[np.int64]:
    """Labels [M] of all files; a missing one is -1."""
    import pyarrow as pa
    import pyarrow.compute as pc

    read = []
    for file in files:
        with open_parquet(file) as parquet:
            if columns.label is None:
                read.append(np.full(parquet.metadata.num_rows, UNKNOWN_LABEL))
                continue
            try:
                column = parquet.read(columns=[columns.label]).column(0)
                read.append(pc.fill_null(column.cast(pa.int64()), -1).to_numpy())
            except (pa.ArrowException, OSError, KeyError, IndexError) as error:
                raise damaged(file, error) from None
    labels = np.concatenate(read).astype(np.int64)
    limit = len(columns.class_names) or _MAX_CLASSES
    if len(labels) and not (labels.min() >= -1 and labels.max() < limit):
        raise DamagedDataError(
            f"The column {columns.label!r} of {files[0].name} has labels from {labels.min()} to "
            f"{labels.max()}; expected are 0 to {limit - 1}, or -1 for unknown."
        )
    return labels
