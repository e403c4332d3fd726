"""The sentences and tables of the comparison page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st
from markupsafe import Markup

from ddrs_core.dashboard.components.render import render
from ddrs_core.figures import Figure, curve_styles
from ddrs_core.figures.palette import TEXT
from ddrs_core.runs.logs.dialect import Dialect
from ddrs_core.runs.results.comparison import (
    certified_accuracy,
    high_probability_loss,
    mismatches,
    missing_baseline,
)
from ddrs_core.runs.results.memory_effect import MemoryEffect, memory_effect
from ddrs_core.runs.results.paired import PairedComparison, RadiusDifference
from ddrs_core.runs.results.results import ResultSet, Source
from ddrs_core.runs.results.tables import Table, clean_note, comparison_table

_STEP, _COARSE, _MOST_RADII = 0.25, 0.5, 13
_FIRST_RADII = (0.0, 0.25, 0.5, 0.75, 1.0)


def table_radii(sets: Sequence[ResultSet]) -> tuple[float, ...]:
    """0 to 1 in quarters, and on up to the largest radius that anybody proved."""
    largest = max((float(np.max(s.radii[s.counted], initial=0.0)) for s in sets), default=0.0)
    step = _STEP if largest <= _STEP * (_MOST_RADII - 1) else _COARSE
    more = 1 + step * np.arange(1, 1 + max(0, math.floor((largest - 1) / step)))
    return (*_FIRST_RADII, *(float(r) for r in more[: _MOST_RADII - len(_FIRST_RADII)]))


@st.cache_data(max_entries=128, show_spinner=False)
def cached_table(key: tuple[object, ...], _sets: Sequence[ResultSet]) -> Table:
    """The comparison table; ``key`` is :func:`version_of` the sets."""
    return comparison_table(_sets, table_radii(_sets))


def version_of(*sets: ResultSet) -> tuple[object, ...]:
    """Changes when the sets have other rows; a cache key."""
    return tuple((s.id, s.title, len(s.rows), hash(s.indices.tobytes())) for s in sets)


def sets_table_html(table: Table, sets: Sequence[ResultSet], titles: Mapping[str, str]) -> Markup:
    """The comparison table with the grade as a badge beside each name, whose full one is where the
    pointer rests, and with bound first, images and N last, so that a screen cuts no figure off."""
    places = {table.head[0]: 0, "bound": 1, "images": 3, "N": 3}
    order = [j for j in range(len(table.head)) if table.head[j] not in ("guarantee", "s/image")]
    order.sort(key=lambda j: places.get(table.head[j], 2))
    names = [render("compare/name.html", set=s, title=titles.get(s.id, s.title)) for s in sets]
    shown = Table(
        ("set", *(table.head[j] for j in order[1:])),
        tuple(
            (name, *(row[j] for j in order[1:]))
            for name, row in zip(names, table.rows, strict=True)
        ),
        frozenset((i, order.index(j)) for i, j in table.bold),
    )
    return table_html(shown, "Comparison table")


def legend_html(
    sets: Sequence[ResultSet],
    titles: Mapping[str, str],
    pair: Sequence[str] = (),
    figure: Figure | None = None,
) -> Markup:
    """A line's sample, the name and the badge of each set, and which of them are A and B; then
    the other lines of the figure."""
    letters = {name: letter for letter, name in zip("AB", pair, strict=False)}
    entries = [
        {
            "set": s,
            "style": style,
            "title": titles.get(s.id, s.title),
            "letter": letters.get(s.id, "") if len(sets) > 1 else "",
        }
        for s, style in zip(sets, curve_styles(sets), strict=True)
    ]
    others = [
        {
            "name": trace["name"],
            "colour": trace["line"]["color"].replace(TEXT, "currentColor"),
            "is_dotted": trace["line"].get("dash") == "dot",
        }
        for trace in (figure or {"data": ()})["data"]
        if trace.get("showlegend", True) and "legendgroup" not in trace
    ]
    return render("compare/legend.html", entries=entries, others=others)


def table_html(table: Table, label: str) -> Markup:
    """A table with its best figures in bold."""
    return render("table.html", head=table.head, rows=table.rows, bold=table.bold, label=label)


def table_note(table: Table, sets: Sequence[ResultSet]) -> str:
    """What the columns mean."""
    notes = [
        "ACR: average certified radius, rounded down, where wrong answers and abstentions count as "
        "0",
        "clean: share of images that the network classifies correctly without noise",
        "abstained: no class could be certified",
        "bound: one-sided, as in the literature, or two-sided, which proves more of the same votes",
    ]
    if note := clean_note(sets):
        notes.append(note.removesuffix("."))
    if not all(s.has_labels for s in sets):
        notes.append(
            "(any class): no image has a label, so radii count whatever the class, and no accuracy "
            "is known"
        )
    if any(s.failed for s in sets):
        notes.append("not readable: counted as not certified, not as abstentions")
    if any(s.acr_is_floor for s in sets):
        notes.append("≥: sampling stopped early, so the ACR is a lower bound")
    notes.append("r = ...: share of all images with the correct class and a radius of at least r")
    bold = "Bold: best by more than chance (95 % paired interval and McNemar's test)"
    if len(sets) > 1:
        notes.append(bold if table.bold else "No value is bold: none is best by more than chance")
    return ". ".join(notes) + "."


@st.cache_data(max_entries=128, show_spinner=False)
def _cached_effect(key: tuple[object, ...], _results: ResultSet) -> MemoryEffect | None:
    return memory_effect(_results)


def memory_html(sets: Sequence[ResultSet]) -> Markup:
    """What the memory changed, a sentence for each set that was made with one."""
    found = [(s.title, _cached_effect(version_of(s), s)) for s in sets if s.rows]
    return render("compare/memory.html", effects=[(t, e) for t, e in found if e is not None])


def sets_html(sets: Sequence[ResultSet], titles: Mapping[str, str] | None = None) -> Markup:
    """What each set is, its grade of guarantee, and what was found when it was read."""
    described = [
        {
            "results": s,
            "title": (titles or {}).get(s.id, s.title),
            "origin": _origin(s),
            "noise": _noise(s),
            "band": _band(s),
        }
        for s in sets
    ]
    return render("compare/sets.html", sets=described)


def warnings_html(sets: Sequence[ResultSet], sentences: Sequence[str]) -> Markup:
    """Why the sets are not fully comparable, what could not be shown, and which row is missing."""
    found = mismatches(sets) if len(sets) > 1 else ()
    return render(
        "compare/warnings.html",
        missing=sentences,
        baseline=missing_baseline(sets),
        mismatches=found,
    )


def headline_html(a: ResultSet, b: ResultSet, found: PairedComparison, common: str = "") -> Markup:
    """How much more A certifies than B where they differ most, and what either is worth;
    ``common`` says on which images, where those are not all."""
    clear = [d for d in found.radii if d.verdict in ("more", "less")]
    most = max(clear, key=lambda d: abs(d.difference), default=None)
    against = [d for d in clear if most is not None and d.verdict != most.verdict]
    return render(
        "compare/headline.html",
        a=a,
        b=b,
        shared=found.shared,
        common=common,
        most=most and _points(most),
        least=against and _points(max(against, key=lambda d: abs(d.difference))),
        others=[f"{d.radius:g}" for d in clear if d is not most],
        unclear=[f"{d.radius:g}" for d in found.radii if d.verdict == "within the noise"],
    )


def _points(d: RadiusDifference) -> dict[str, Any]:
    """A difference in percentage points, without its sign."""
    low, high = sorted((abs(d.low), abs(d.high)))
    return {
        "points": f"{100 * abs(d.difference):.1f} points {d.verdict}",
        "radius": f"{d.radius:g}",
        "interval": f"{100 * low:.1f} to {100 * high:.1f}",
        "gained": d.gained,
        "lost": d.lost,
    }


def single_html(results: ResultSet, radius: float = 0.5) -> Markup:
    """What a set certifies that stands alone."""
    share = float(certified_accuracy(results, [radius])[0]) if results.rows else 0.0
    return render("compare/single.html", set=results, share=share, radius=radius)


def _origin(s: ResultSet) -> str:
    if s.source is Source.RUN:
        return "A run of this server"
    own = "Shipped with the program" if s.source is Source.REFERENCE else "Imported log"
    return f"{own}: {Dialect(s.dialect).meaning}"


def _noise(s: ResultSet) -> str:
    training = "" if s.training == "unknown" else f"trained by {s.training}"
    if s.data_dependent_training:
        training += " with data-dependent sigma"
    at = "" if s.sigma is None else f" {s.sigma:g}"
    own = f"one sigma per image, from{at}"
    noise = {
        "fixed": f"fixed sigma{at}",
        "tuned": f"one sigma{at}, tuned on training images",
        "ds": own,
        "ds-memory": f"settled against a memory, {own}",
    }.get(s.method, f"sigma{at or ' unknown'}")
    votes = "N unknown" if s.n is None else f"N {'at most ' if s.schedule else ''}{s.n:,}"
    alpha = "alpha unknown" if s.alpha is None else f"alpha {s.alpha:g}"
    bound = "bound unknown" if s.bound is None else f"{s.bound} bounds"
    parts = [training, noise.removesuffix(", from"), votes, alpha, bound]
    said = ", ".join(part for part in parts if part)
    return said[:1].upper() + said[1:]


def _band(s: ResultSet) -> str:
    """What the shaded band of its curve means."""
    if s.method == "ds-memory":
        return "No band: with a memory, the answers depend on each other."
    if not s.has_labels:
        return "No band: without labels no class is known to be right."
    loss = high_probability_loss(s)
    if loss is None:
        return "No band: alpha is not recorded."
    return f"Band: at most {100 * loss:.1f} points lower, with probability 99.9 %."
