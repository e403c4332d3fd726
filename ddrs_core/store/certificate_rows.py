"""A certificate as a row of the table, exactly: every number comes back bit for bit."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from itertools import groupby
from typing import Any

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import Certificate

FIELDS = tuple(field.name for field in fields(Certificate))


def to_row(certificate: Certificate) -> dict[str, Any]:
    """The columns of a certificate.

    Raises:
        InvalidParameterError: if a number is NaN or infinite, or a count is negative.
    """
    row = {name: getattr(certificate, name) for name in FIELDS}
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidParameterError(f"The certificate's {name} is {value}, and is not stored.")
    return {
        **row,
        "grade": certificate.grade.value,
        "bound": certificate.bound.value,
        "seed": str(certificate.seed),
        "counts": pack_counts(certificate.counts),
    }


def from_row(row: dict[str, Any]) -> Certificate:
    """The certificate of a row."""
    data = {name: row[name] for name in FIELDS}
    counts = unpack_counts(data["counts"])
    return Certificate.from_dict({**data, "seed": int(data["seed"]), "counts": counts})


def pack_counts(counts: Sequence[int]) -> str:
    """Votes [K] as a JSON list in which -k stands for k zeros: short, also for 1,000 classes."""
    packed: list[int] = []
    for is_zero, group in groupby(counts, key=lambda count: count == 0):
        values = [int(count) for count in group]
        if min(values) < 0:
            raise InvalidParameterError("A certificate with negative counts is not stored.")
        packed += [-len(values)] if is_zero else values
    return json.dumps(packed, separators=(",", ":"))


def unpack_counts(text: str) -> tuple[int, ...]:
    """Votes [K] from :func:`pack_counts`."""
    counts: list[int] = []
    for value in json.loads(text):
        counts += [0] * -value if value < 0 else [value]
    return tuple(counts)
