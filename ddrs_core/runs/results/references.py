"""The certification logs that come with the program."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ddrs_core.runs.certify.config import Method
from ddrs_core.runs.logs.reading import read_log
from ddrs_core.runs.results.results import ResultSet, Source

_RESULTS = Path(__file__).resolve().parents[3] / "assets" / "results"


@lru_cache(maxsize=1)
def reference_files() -> dict[str, Path]:
    """The shipped logs by the id of their results: ``reference.study.digits-...-ds-0.5``."""
    files = sorted(_RESULTS.glob("*/*.tsv"))
    return {f"reference.{path.parent.name}.{path.stem}": path for path in files}


@lru_cache(maxsize=64)
def reference_results(name: str) -> ResultSet:
    """The results of one of :func:`reference_files`.

    Raises:
        KeyError: if there is none of that name.
    """
    path = reference_files()[name]
    results = replace(read_log(path), id=name, source=Source.REFERENCE)
    # its log says fixed: the level had been chosen on training images before
    return replace(results, method=Method.TUNED) if path.parent.name == "tuned" else results
