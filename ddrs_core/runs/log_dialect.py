"""Whose log it is: the dialects that are known, by their columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ddrs_core.runs.log import COLUMNS, OLDER_COLUMNS, LogError
from ddrs_core.runs.log_text import Findings

_SHOWN = 60  # characters of a name in a message


class Dialect(StrEnum):
    """Whose log it is."""

    OURS = "ddrs"
    COHEN = "cohen"
    AUTHORS = "ddrs-authors"
    PREDICT = "predict"
    BASE_PREDICT = "base-predict"
    ANCER = "ancer"
    ORIGINAL_INDEX = "original-idx"
    RELATIVE = "relative"

    @property
    def meaning(self) -> str:
        """The dialect in words."""
        return _MEANING[self]


_MEANING = {
    Dialect.OURS: "a log of this program",
    Dialect.COHEN: "the six columns of Cohen et al.'s certify.py",
    Dialect.AUTHORS: "the seven columns of the authors of data-dependent smoothing",
    Dialect.PREDICT: "Cohen et al.'s predict.py",
    Dialect.BASE_PREDICT: "predict.py with the base classifier's answer (SmoothAdv)",
    Dialect.ANCER: "ANCER, with radius_proxy and min_sigma",
    Dialect.ORIGINAL_INDEX: "Cohen et al.'s columns with original_idx",
    Dialect.RELATIVE: "a relative of Cohen et al.'s log",
}
_DIALECT_OF: dict[tuple[str, ...], Dialect] = {
    COLUMNS: Dialect.OURS,
    OLDER_COLUMNS: Dialect.OURS,
    ("idx", "label", "predict", "radius", "correct", "time"): Dialect.COHEN,
    ("idx", "label", "predict", "radius", "correct", "sigma", "time"): Dialect.AUTHORS,
    ("idx", "label", "predict", "correct", "time"): Dialect.PREDICT,
    ("idx", "label", "predict", "basePredict", "correct", "time"): Dialect.BASE_PREDICT,
}
_INDEX = ("idx", "original_idx")
_READ = {*_INDEX, "label", "predict", "radius", "correct", "time", "sigma", "min_sigma"}


@dataclass(frozen=True)
class Header:
    names: tuple[str, ...]
    dialect: Dialect

    @property
    def index(self) -> str:
        return next(name for name in _INDEX if name in self.names)

    @property
    def sigma(self) -> str | None:
        return next((name for name in ("sigma", "min_sigma") if name in self.names), None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the columns mean for whoever reads the figures."""
        notes = []
        if "radius" not in self.names:
            notes.append("There is no column radius: the log holds predictions, whose radius is 0.")
        if "radius_proxy" in self.names:
            notes.append(
                "The radius is that of the largest ball inside an ellipsoid; radius_proxy, which "
                "measures volume, is not used. The log does not say whether the norm is l2 or l1."
            )
        if "label" not in self.names:
            notes.append("There is no column label: what is right was read from correct.")
        elif "correct" not in self.names:
            notes.append("There is no column correct: it was computed from label and predict.")
        if self.dialect is not Dialect.OURS:
            unused = [n for n in self.names if n not in _READ and n != "radius_proxy"]
            if unused:
                shown = ", ".join(name[:_SHOWN] for name in unused[:8])
                notes.append(f"Columns that were not used: {shown or 'without a name'}.")
        return tuple(notes)


def read_header(line: str, name: str, findings: Findings) -> Header:
    cells = line.split("\t")
    names = tuple(cell.strip() for cell in cells)
    known = names in _DIALECT_OF
    if not known and not (
        any(n in names for n in _INDEX)
        and "predict" in names
        and ("label" in names or "correct" in names)
    ):
        raise LogError(
            f"{name} is not a certification log: its first line must name columns such as "
            f"'idx label predict radius correct time', separated by tabs, "
            f"but is {line[:_SHOWN]!r}."
        )
    twice = [n for n in _READ if names.count(n) > 1]
    if twice or all(n in names for n in _INDEX):
        raise LogError(f"{name} has a column twice: {', '.join(sorted(twice)) or 'idx'}.")
    if names != tuple(cells):
        findings.add("The names of the columns were padded with spaces.")
    return Header(names, _dialect(names))


def _dialect(names: tuple[str, ...]) -> Dialect:
    if names in _DIALECT_OF:
        return _DIALECT_OF[names]
    if "radius_proxy" in names or "min_sigma" in names:
        return Dialect.ANCER
    if "original_idx" in names:
        return Dialect.ORIGINAL_INDEX
    if "basePredict" in names:
        return Dialect.BASE_PREDICT
    return Dialect.RELATIVE
