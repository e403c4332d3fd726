"""Parquet files in the layout that Hugging Face exports image data sets in.

A column ``img`` or ``image`` (a struct of ``bytes``, an encoded picture, and ``path``), an integer
column of labels, if they are known, and the class names in the schema metadata. One file, or a
folder in one of the layouts of :mod:`~ddrs_core.data.formats.parquet_files`. Rows are read lazily,
a row group at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ddrs_core.cache import LRU
from ddrs_core.data.dataset import DamagedDataError, DatasetInfo, Opened, Shape, size_text
from ddrs_core.data.formats.parquet_columns import (
    common_columns,
    damaged,
    open_parquet,
    read_labels,
)
from ddrs_core.data.formats.parquet_files import parquet_files, split_files
from ddrs_core.data.images.decode import PROBED, ImageError, Picture, read_picture
from ddrs_core.data.images.preprocess import PHOTOGRAPH_SIZE, as_tensor, fit_picture
from ddrs_core.errors import MismatchError
from ddrs_core.quantities import counted, listed

if TYPE_CHECKING:
    import pyarrow as pa

MAX_GROUP_BYTES = 4 * 2**30
_RULES = 2  # raised when the same files are read in another way, so that records notice
_LARGEST_FIXED = 64  # pixels; larger ones are photographs, to be resized
_REMEMBERED_BYTES = 256 * 2**20  # of row groups, for each open split


def matches(path: Path) -> bool:
    """Whether this is a parquet file or a folder of them; nothing is opened."""
    try:
        return bool(parquet_files(path))
    except DamagedDataError:  # describing it says which configurations there are
        return True


def fingerprint(path: Path) -> str:
    """Changes when one of the files does; costs one look at the folder and one at each file."""
    stats = [(str(file.relative_to(path)), file.stat()) for file in parquet_files(path)]
    found = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return f"{_RULES} {found}"


def describe(path: Path, name: str, title: str, size: int | None) -> DatasetInfo:
    """Find out what a parquet data set holds; the first images are decoded, as far as they can.

    Small images of one size are used as they are; others are photographs, prepared at
    ``size`` x ``size`` (224 unless given) or any other shape.

    Raises:
        DamagedDataError: if a file is missing, broken or laid out in another way.
        ImageError: if none of the first images can be decoded.
        MismatchError: if ``size`` is given for images of one fixed size.
    """
    splits = split_files(path)
    files = next(iter(splits.values()))
    columns = common_columns(files)
    labels = read_labels(files, columns)
    if not len(labels):
        raise DamagedDataError(f"{files[0].name} holds no images.")
    rows = _Rows(files, columns.image)
    fixed = _fixed_shape(_first_pictures(rows))
    if fixed is not None and size is not None:
        raise MismatchError(
            f"The images of {title} are {size_text(fixed)} and are used as they are: leave out "
            f"the size, {size}."
        )
    side = size or PHOTOGRAPH_SIZE
    classes = columns.class_names or tuple(f"class {i}" for i in range(int(labels.max()) + 1))
    shown = f"{fixed[2]}x{fixed[1]} pixels" if fixed else "photographs"
    unlabelled = "" if classes else ", without labels"
    return DatasetInfo(
        name=name,
        title=title,
        description=f"{counted(len(labels), 'image')} in the {next(iter(splits))} split, {shown}"
        f"{unlabelled}, from parquet files.",
        class_names=classes,
        shape=fixed or (3, side, side),
        origin=str(path),
        resizable=fixed is None,
        splits=tuple(splits),
    )


def open_split(path: Path, info: DatasetInfo, split: str) -> Opened:
    """Images and labels of one split; no image is decoded before it is asked for.

    Raises:
        DamagedDataError: if a file is missing, broken or laid out in another way.
    """
    files = split_files(path).get(split)
    if files is None:
        raise DamagedDataError(f"The {split} split is no longer in {path}.")
    columns = common_columns(files)
    if columns.class_names and columns.class_names != info.class_names:
        raise DamagedDataError(
            f"The classes of {info.title} are {listed(info.class_names)}, but {files[0]} has "
            f"{listed(columns.class_names)}. Add it as a data set of its own."
        )
    labels = read_labels(files, columns)
    known = info.num_classes
    if len(labels) and int(labels.max()) >= known:
        raise DamagedDataError(
            f"The {split} split in {path} has the label {int(labels.max())}, but the "
            f"classes are numbered from 0 to {known - 1}."
        )
    return ParquetImages(_Rows(files, columns.image), info), labels


@dataclass(frozen=True)
class _RowGroup:
    file: Path
    metadata: Any
    index: int
    start: int  # number of its first row, in all files
    file_start: int  # and of the first row of its file


class _Rows:
    """The encoded pictures of some files, read a row group at a time; safe between threads."""

    def __init__(self, files: Sequence[Path], column: str) -> None:
        self._column = column
        self._groups: list[_RowGroup] = []
        rows = 0
        for file in files:
            with open_parquet(file) as parquet:
                metadata = parquet.metadata
            file_start = rows
            for index in range(metadata.num_row_groups):
                self._groups.append(_RowGroup(file, metadata, index, rows, file_start))
                rows += metadata.row_group(index).num_rows
        self._rows = rows
        self._starts = np.array([group.start for group in self._groups], np.int64)
        self._read: LRU[pa.Array] = LRU(_REMEMBERED_BYTES, lambda array: float(array.nbytes))

    def __len__(self) -> int:
        return self._rows

    def picture(self, row: int) -> Picture:
        """Decode one picture.

        Raises:
            ImageError: if it is missing or damaged.
            DamagedDataError: if the file is.
        """
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        group = self._groups[number]
        stored = self._read.get(number, partial(self._read_group, group))
        data = stored[row - group.start].as_py()
        where = f"row {row - group.file_start} of {group.file.name}"
        if data is None:
            raise ImageError(f"{where[0].upper()}{where[1:]} holds no picture.")
        return read_picture(data, where)

    def _read_group(self, group: _RowGroup) -> pa.Array:
        """The column of encoded pictures: binary [rows of the group]."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        size = group.metadata.row_group(group.index).total_byte_size
        if size > MAX_GROUP_BYTES:
            raise DamagedDataError(
                f"A row group of {group.file} has {size:,} bytes; at most {MAX_GROUP_BYTES:,} are "
                "read. Write the file with smaller row groups."
            )
        try:  # opened for every read: one handle is not safe between threads
            with pq.ParquetFile(group.file, metadata=group.metadata) as parquet:
                table = parquet.read_row_group(group.index, columns=[f"{self._column}.bytes"])
            return pc.struct_field(table.column(0).combine_chunks(), "bytes")
        except (pa.ArrowException, OSError) as error:
            raise damaged(group.file, error) from None


class ParquetImages:
    """The images of one split, float32 [C, H, W], decoded when asked for."""

    def __init__(self, rows: _Rows, info: DatasetInfo) -> None:
        self._rows = rows
        self._info = info

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Tensor:
        picture = self._rows.picture(index)
        channels, height, width = self._info.shape
        if self._info.resizable:
            return fit_picture(picture, self._info.shape)
        if picture.size != (width, height):
            raise ImageError(
                f"Image {index} of {self._info.title} is {picture.size[0]} x {picture.size[1]} "
                f"pixels; the others are {width} x {height}."
            )
        return as_tensor(picture.image, channels)


def _first_pictures(rows: _Rows) -> list[Picture]:
    """Those of the first pictures that can be decoded."""
    found, refused = [], None
    for row in range(min(PROBED, len(rows))):
        try:
            found.append(rows.picture(row))
        except ImageError as error:
            refused = refused or error
    if not found:
        raise refused or ImageError("There is no picture.")
    return found


def _fixed_shape(pictures: Sequence[Picture]) -> Shape | None:
    """The shape that small images share, None if they are to be resized."""
    sizes = {picture.size for picture in pictures}
    if len(sizes) != 1 or max(pictures[0].size) > _LARGEST_FIXED:
        return None
    grey = all(picture.image.mode == "L" for picture in pictures)
    width, height = pictures[0].size
    return 1 if grey else 3, height, width
