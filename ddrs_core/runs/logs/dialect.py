"""Whose log it is, and which column holds what: the dialects that are known, by their columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ddrs_core.runs.logs.columns import COLUMNS, OLDER_COLUMNS, LogError
from ddrs_core.runs.logs.text import Findings

_SHOWN = 60  # characters of a name in a message


class Dialect(StrEnum):
    """Whose log it is."""

    OURS = "ddrs"
    COHEN = "cohen"
    AUTHORS = "ddrs-authors"
    PREDICT = "predict"
    BASE_PREDICT = "base-predict"
    ANCER = "ancer"
    CHOSEN_SIGMA = "chosen-sigma"
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
    Dialect.ANCER: "ANCER, the radius of an ellipsoid, and its smallest sigma",
    Dialect.CHOSEN_SIGMA: "a relative of Cohen et al.'s log with a sigma chosen for each image",
    Dialect.ORIGINAL_INDEX: "Cohen et al.'s columns with original_idx",
    Dialect.RELATIVE: "a relative of Cohen et al.'s log",
}
_DIALECT_OF: dict[tuple[str, ...], Dialect] = {
    ("idx", "label", "predict", "radius", "correct", "time"): Dialect.COHEN,
    ("idx", "label", "predict", "radius", "correct", "sigma", "time"): Dialect.AUTHORS,
    ("idx", "label", "predict", "correct", "time"): Dialect.PREDICT,
    ("idx", "label", "predict", "basePredict", "correct", "time"): Dialect.BASE_PREDICT,
}
_INDEX = ("idx", "original_idx")
_RADII = ("radius", "l2_radius", "radius_l2", "exact_radius", "certified_radius", "cert_radius")
_CHOSEN_SIGMAS = (
    "best_sigma",
    "sigma_x",
    "min_sigma",
    "sigmamin",
)  # by their name chosen for each image
_SIGMAS = ("best_sigma", "sigma_x", "sigma", "min_sigma", "sigmamin")
_PROXIES = ("radius_proxy", "proxyradius", "proxyvol")  # ANCER and its forks
_VOTES = (
    "count",
    "counts",
    "candidate",
    "n",
    "alpha",
    "bound",
    "schedule",
    "grade",
    "p_lower",
    "failure",
)
_READ = {*_INDEX, *_SIGMAS, *_VOTES, "label", "predict", "radius", "correct", "time"}
_NO_RADII = {  # what a log of predictions may hold beside the columns that are read
    *_READ,
    *COLUMNS,
    "basePredict",
    "N",
    "N0",
    "nA",
    "pA",
    "pABar",
    "pB",
    "prob_lb",
    "p_value",
    "image",
    "path",
    "file",
    "filename",
    "method",
    "training",
    "results",
}
_OTHER_NORM = re.compile(r"(^|_)(l_?inf(inity)?|l_?[013-9p]|tv)(_|$)", re.I)


@dataclass(frozen=True)
class Header:
    """The columns of a log; ``radius`` and ``sigma`` name the columns that hold them, if any."""

    names: tuple[str, ...]
    dialect: Dialect
    radius: str | None

    @property
    def index(self) -> str:
        return next(name for name in _INDEX if name in self.names)

    @property
    def sigma(self) -> str | None:
        return next((name for name in _SIGMAS if name in self.names), None)

    @property
    def sigma_is_chosen(self) -> bool:
        """Whether the name of the column says that sigma was chosen for each image."""
        return self.sigma in _CHOSEN_SIGMAS

    @property
    def notes(self) -> tuple[str, ...]:
        """What the columns mean for a reader of the figures."""
        notes = []
        if self.radius is None:
            notes.append("There is no column radius: the log holds predictions, without radii.")
        elif self.radius != "radius":
            notes.append(f"The l2 radius was read from the column {self.radius}.")
        if proxy := next((name for name in _PROXIES if name in self.names), None):
            notes.append(
                f"The radius is that of the largest ball inside an ellipsoid; {proxy}, which "
                "measures volume, is not used. The log does not say whether the norm is l2 or l1."
            )
        if "label" not in self.names:
            notes.append("There is no column label: what is right was read from correct.")
        elif "correct" not in self.names:
            notes.append("There is no column correct: it was computed from label and predict.")
        if self.dialect is not Dialect.OURS:
            read = {*_READ, *_PROXIES, self.radius}
            unused = [n for n in self.names if n not in read]
            if "count" in self.names and not {"n", "counts"} & set(self.names):
                notes.append("The votes in count were not checked: the log does not say N.")
            elif "alpha" not in self.names and {"count", "counts"} & set(self.names):
                notes.append("alpha is not recorded; 0.001 was assumed when votes were checked.")
            if unused:
                shown = ", ".join(name[:_SHOWN] for name in unused[:8])
                notes.append(f"Columns that were not used: {shown or 'without a name'}.")
        return tuple(notes)


def read_header(line: str, name: str, findings: Findings) -> Header:
    """The columns that the first line of a log names.

    Raises:
        LogError: if it is not a log, or if it does not say which column holds l2 radii.
    """
    cells = line.split("\t")
    names = tuple(cell.strip() for cell in cells)
    if not (
        any(n in names for n in _INDEX)
        and "predict" in names
        and ("label" in names or "correct" in names)
    ):
        raise LogError(
            f"{name} is not a certification log: its first line must name columns such as "
            f"'idx label predict radius correct time', separated by tabs, "
            f"but is {line[:_SHOWN]!r}."
        )
    twice = [n for n in {*_READ, *_RADII} if names.count(n) > 1]
    if twice or all(n in names for n in _INDEX):
        raise LogError(f"{name} has a column twice: {', '.join(sorted(twice)) or 'idx'}.")
    if names != tuple(cells):
        findings.add("The names of the columns were padded with spaces.")
    return Header(names, _dialect(names), _radius_column(names, name))


def _dialect(names: tuple[str, ...]) -> Dialect:
    if names in _DIALECT_OF:
        return _DIALECT_OF[names]
    if set(OLDER_COLUMNS) <= set(names):  # in whatever order an editor left them
        return Dialect.OURS
    if any(name in names for name in (*_PROXIES, "min_sigma", "sigmamin")):
        return Dialect.ANCER
    if any(name in names for name in _CHOSEN_SIGMAS):
        return Dialect.CHOSEN_SIGMA
    if "original_idx" in names:
        return Dialect.ORIGINAL_INDEX
    if "basePredict" in names:
        return Dialect.BASE_PREDICT
    return Dialect.RELATIVE


def _radius_column(names: tuple[str, ...], name: str) -> str | None:
    """The column with l2 radii; None of a log of predictions.

    Raises:
        LogError: if several columns could be it, if the radii are of another norm, or if a column
            that is not known may hold them.
    """
    if "radius" in names:
        return "radius"
    known = [n for n in names if n in _RADII]
    if len(known) == 1:
        return known[0]
    if known:
        raise LogError(
            f"{name} has no column radius, but {_listed(known)}: rename the one that holds the l2 "
            "radii to radius."
        )
    other = [n for n in names if _OTHER_NORM.search(n)]
    if other:
        raise LogError(
            f"{name} holds radii of another norm than l2 ({_listed(other)}), which cannot be "
            "compared with l2 radii."
        )
    strange = [n for n in names if n not in _NO_RADII]
    if strange:
        raise LogError(
            f"{name} has no column radius, and one of its other columns may hold the radii "
            f"({_listed(strange)}). Rename the column of the l2 radii to radius, or remove these "
            "columns if the log holds predictions."
        )
    return None


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name[:_SHOWN]) for name in names[:8])
