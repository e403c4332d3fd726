"""All rows of results as a file to take along: TSV, CSV or Parquet, at full precision."""

from __future__ import annotations

import io
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn

from ddrs_core.errors import unknown_name
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.runs.results.tables import harmless

if TYPE_CHECKING:
    import pandas as pd

_ROW_COLUMNS = ("idx", "label", "predict", "radius", "correct", "time", "sigma")
_CERTIFICATE_COLUMNS = (
    "n",
    "p_lower",
    "grade",
    "n0",
    "alpha",
    "bound",
    "seed",
    "precision",
    "model",
    "candidate",
    "counts",
    "schedule",
    "failure",
    "execution",
)
_SET_COLUMNS = ("dataset", "split", "method", "training", "results")


class RowFormat(StrEnum):
    """How the rows of results are written."""

    TSV = "tsv"
    CSV = "csv"
    PARQUET = "parquet"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise unknown_name("file format", value, cls)


def rows_frame(sets: Sequence[ResultSet]) -> pd.DataFrame:
    """All rows of all sets, first in the columns that everybody reads, at full precision."""
    import pandas as pd  # slow to import

    columns = [*_ROW_COLUMNS, *_CERTIFICATE_COLUMNS, *_SET_COLUMNS]
    data = [[*_row_cells(row), *_set_cells(results)] for results in sets for row in results.rows]
    frame = pd.DataFrame(data, columns=columns)
    whole = ["idx", "label", "predict", "correct", "n", "n0", "seed", "candidate"]
    real = ["radius", "time", "sigma", "p_lower", "alpha"]
    kinds = {**dict.fromkeys(whole, "Int64"), **dict.fromkeys(real, "Float64")}
    texts = [name for name in columns if name not in kinds]
    return frame.astype({**kinds, **dict.fromkeys(texts, "string")})


def rows_bytes(sets: Sequence[ResultSet], form: RowFormat) -> bytes:
    """All rows as a file."""
    frame = rows_frame(sets)
    if form is RowFormat.PARQUET:
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()
    separator = "\t" if form is RowFormat.TSV else ","
    for name in ("failure", *_SET_COLUMNS):  # texts of other people
        frame[name] = frame[name].map(harmless, na_action="ignore")
    return frame.to_csv(index=False, sep=separator, lineterminator="\n").encode()


def _row_cells(row: ResultRow) -> list[Any]:
    c = row.certificate
    correct = None if row.correct is None else int(row.correct)
    cells: list[Any] = [
        row.index,
        row.label,
        row.prediction,
        row.radius,
        correct,
        row.seconds,
        row.sigma,
    ]
    if c is None:
        return cells + [None] * len(_CERTIFICATE_COLUMNS)
    return [
        *cells,
        c.n,
        c.p_lower,
        c.grade.value,
        c.n0,
        c.alpha,
        c.bound.value,
        c.seed,
        c.precision,
        c.model,
        c.candidate,
        ",".join(str(v) for v in c.counts),
        c.schedule,
        c.failure,
        c.execution,
    ]


def _set_cells(results: ResultSet) -> list[Any]:
    return [results.dataset, results.split, results.method, results.training, results.title]
