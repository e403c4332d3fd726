"""Diagnoses as a file to take along, with every field."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ddrs_core.errors import InvalidParameterError
from ddrs_core.runs.diagnose.images import FIELDS, ImageDiagnosis
from ddrs_core.runs.results.tables import harmless

SEPARATORS = {".csv": ",", ".tsv": "\t"}


def as_file(images: Sequence[ImageDiagnosis], suffix: str) -> bytes:
    """The diagnoses as JSON (a list of objects) or as a table.

    Args:
        images: in the order of the file.
        suffix: ``.json``, ``.csv`` or ``.tsv``.

    Raises:
        InvalidParameterError: for another suffix.
    """
    rows = [image.to_dict() for image in images]
    if suffix == ".json":
        return json.dumps(rows, indent=1, allow_nan=False).encode()
    if suffix not in SEPARATORS:
        raise InvalidParameterError(f"A file ends in .csv, .tsv or .json, not in {suffix!r}.")
    import pandas as pd  # slow to import

    for row in rows:
        row["marks"] = "; ".join(row["marks"])
        row["reason"] = harmless(row["reason"])
    frame = pd.DataFrame(rows, columns=list(FIELDS))
    whole = ("index", "label", "prediction", "clean", "samples_needed", "attack_prediction")
    frame = frame.astype({name: "Int64" for name in (*whole, "attack_tries") if name in frame})
    text: str = frame.to_csv(index=False, sep=SEPARATORS[suffix], lineterminator="\n")
    return text.encode()
