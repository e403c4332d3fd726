"""Short names of results: training, noise level and method, unique within a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from ddrs_core.dashboard.shell.widget_state import numbered
from ddrs_core.runs.results.results import UNKNOWN, ResultSet, Source

_TRAININGS = {
    "gaussian": "Gaussian",
    "smoothadv": "SmoothAdv",
    "macer": "MACER",
    "consistency": "Consistency",
}
_METHODS = {"ds": "data-dependent", "ds-memory": "with memory", UNKNOWN: "method unknown"}
_TRAINED_AT = re.compile(r"-(\d*\.\d+)$")
_LONGEST = 32  # characters of a name that somebody gave


def short_names(sets: Sequence[ResultSet]) -> list[str]:
    """A name for each set, such as ``Gaussian .25 · fixed``.

    Imported logs, and results of a network whose training is unknown, keep their title. Sets with
    the same name are told apart by what differs: sigma, data set, N, bound, model; else numbered.
    """
    names = [_name(results) for results in sets]
    for detail in _DETAILS:
        details = [detail(results) for results in sets]
        kinds = Counter(name for name, _ in set(zip(names, details, strict=True)))
        names = [
            f"{name}, {more}" if kinds[name] > 1 and more else name
            for name, more in zip(names, details, strict=True)
        ]
    return numbered(names)


def _name(s: ResultSet) -> str:
    if s.source is Source.LOG or s.model is None or s.training == UNKNOWN:
        short = len(s.title) <= _LONGEST
        return s.title if short else f"{s.title[: _LONGEST - 1].rstrip()}…"
    found = _TRAINED_AT.search(s.model)
    trained_at = float(found[1]) if found else None
    training = _TRAININGS.get(s.training, s.training.capitalize())
    training += "-DS2" if s.data_dependent_training else ""
    level = "" if trained_at is None else f" {_level(trained_at)}"
    method = _METHODS.get(s.method, s.method)
    if s.method == "tuned" or (s.method == "fixed" and s.sigma != trained_at):
        method += "" if s.sigma is None else f" {_level(s.sigma)}"
    return f"{training}{level} · {method}"


def _level(sigma: float) -> str:
    return f"{sigma:.4g}".removeprefix("0")


_DETAILS: tuple[Callable[[ResultSet], str], ...] = (
    lambda s: "" if s.sigma is None else f"σ {_level(s.sigma)}",
    lambda s: s.dataset or "",
    lambda s: "" if s.n is None else f"N {s.n:,}",
    lambda s: s.bound or "",
    lambda s: s.model or "",
)
