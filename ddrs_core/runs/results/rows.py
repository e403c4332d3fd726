"""All rows of results as a file to take along: TSV, CSV or Parquet, at full precision."""

from __future__ import annotations

import io
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from ddrs_core.errors import NamedEnum
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.runs.results.tables import harmless

if TYPE_CHECKING:
    import pandas as pd

# Columns, and the attributes that they hold: of a row, of its certificate, of its set.
_ROW = {
    "idx": "index",
    "label": "label",
    "predict": "prediction",
    "radius": "radius",
    "correct": "correct",
    "time": "seconds",
    "sigma": "sigma",
}
_CERTIFICATE = (
    *("n", "p_lower", "grade", "n0", "alpha", "bound", "seed", "precision", "model"),
    *("candidate", "counts", "schedule", "failure", "execution", "clean"),
)
_SET = {
    "dataset": "dataset",
    "split": "split",
    "method": "method",
    "training": "training",
    "results": "title",
}
_WHOLE = ("idx", "label", "predict", "correct", "n", "n0", "seed", "candidate", "clean")
_REAL = ("radius", "time", "sigma", "p_lower", "alpha")


class RowFormat(NamedEnum, kind="file format"):
    """How the rows of results are written."""

    TSV = "tsv"
    CSV = "csv"
    PARQUET = "parquet"


def rows_frame(sets: Sequence[ResultSet]) -> pd.DataFrame:
    """All rows of all sets, first in the columns that everybody reads, at full precision."""
    import pandas as pd  # slow to import

    columns = [*_ROW, *_CERTIFICATE, *_SET]
    data = [_cells(results, row) for results in sets for row in results.rows]
    kinds = {**dict.fromkeys(_WHOLE, "Int64"), **dict.fromkeys(_REAL, "Float64")}
    frame = pd.DataFrame(data, columns=columns)
    return frame.astype({name: kinds.get(name, "string") for name in columns})


def rows_bytes(sets: Sequence[ResultSet], form: RowFormat) -> bytes:
    """All rows as a file."""
    frame = rows_frame(sets)
    if form is RowFormat.PARQUET:
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    separator = "\t" if form is RowFormat.TSV else ","
    for name in ("failure", *_SET):  # texts of other people
        frame[name] = frame[name].map(harmless, na_action="ignore")
    return frame.to_csv(index=False, sep=separator, lineterminator="\n").encode()


def _cells(results: ResultSet, row: ResultRow) -> list[Any]:
    c = row.certificate
    cells = [
        *(getattr(row, name) for name in _ROW.values()),
        *(None if c is None else getattr(c, name) for name in _CERTIFICATE),
        *(getattr(results, name) for name in _SET.values()),
    ]
    return [_plain(cell) for cell in cells]


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, tuple):
        return ",".join(str(v) for v in value)
    return value.value if isinstance(value, Enum) else value
