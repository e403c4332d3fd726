"""What the comparison page says in words and tables, as HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np
import streamlit as st

from ddrs_core.quantities import counted
from ddrs_core.runs.logs.dialect import Dialect
from ddrs_core.runs.results.comparison import high_probability_loss, mismatches
from ddrs_core.runs.results.memory_effect import MemoryEffect, memory_effect
from ddrs_core.runs.results.paired import PairedComparison, RadiusDifference
from ddrs_core.runs.results.results import ResultSet, Source
from ddrs_core.runs.results.tables import Table, comparison_table

_STEP, _COARSE, _MOST_RADII = 0.25, 0.5, 13
_FIRST_RADII = (0.0, 0.25, 0.5, 0.75, 1.0)
_UNKNOWN_GRADE = "Grade unknown: the log does not say where sigma came from."


def table_radii(sets: Sequence[ResultSet]) -> tuple[float, ...]:
    """0 to 1 in quarters, and on up to the largest radius that anybody proved."""
    largest = max((float(np.max(s.radii[s.correct], initial=0.0)) for s in sets), default=0.0)
    step = _STEP if largest <= _STEP * (_MOST_RADII - 1) else _COARSE
    more = 1 + step * np.arange(1, 1 + max(0, math.floor((largest - 1) / step)))
    return (*_FIRST_RADII, *(float(r) for r in more[: _MOST_RADII - len(_FIRST_RADII)]))


@st.cache_data(max_entries=128, show_spinner=False)
def cached_table(key: tuple[object, ...], _sets: Sequence[ResultSet]) -> Table:
    """The comparison table; ``key`` is :func:`version_of` the sets."""
    return comparison_table(_sets, table_radii(_sets))


def version_of(*sets: ResultSet) -> tuple[object, ...]:
    """What tells sets from the same sets with more rows."""
    return tuple((s.id, s.title, len(s.rows)) for s in sets)


def table_html(table: Table, label: str) -> str:
    """A table that scrolls sideways where it must."""
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in table.head)
    rows = []
    for i, row in enumerate(table.rows):
        cells = [f'<th scope="row">{html.escape(row[0])}</th>']
        for j, cell in enumerate(row[1:], start=1):
            text = html.escape(cell)
            cells.append(f"<td><b>{text}</b></td>" if (i, j) in table.bold else f"<td>{text}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="ddrs-scroll" tabindex="0" role="region" aria-label="{html.escape(label)}">'
        f'<table class="ddrs-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def table_note(table: Table, sets: Sequence[ResultSet]) -> str:
    """What the columns mean."""
    notes = [
        "ACR: average certified radius, rounded down, where wrong answers and abstentions count as "
        "0",
        "clean: share whose most frequent class is right, proved or not (– where votes are not "
        "recorded)",
        "abstained: no class could be certified",
        "guarantee: what the radii are worth",
    ]
    if any(s.failed for s in sets):
        notes.append("not readable: counted as not certified, not as abstentions")
    if any(s.acr_is_floor for s in sets):
        notes.append("≥: sampling stopped once the table was settled, so the ACR is a floor")
    bold = "Bold: best by more than chance (95 % paired interval and McNemar's test)"
    if len(sets) > 1:
        notes.append(bold if table.bold else "No figure is best by more than chance: none is bold")
    return ". ".join(notes) + "."


def floor_note(sets: Sequence[ResultSet]) -> str:
    """What is special about the curves of adaptive runs."""
    if not any(s.acr_is_floor for s in sets):
        return ""
    return (
        "Adaptive runs stop voting on an image once it is settled which of some radii (usually 0, "
        "0.25, 0.5, ...) it reaches: in between, their curves are a floor, which makes the steps."
    )


@st.cache_data(max_entries=128, show_spinner=False)
def _cached_effect(key: tuple[object, ...], _results: ResultSet) -> MemoryEffect | None:
    return memory_effect(_results)


def memory_html(sets: Sequence[ResultSet]) -> str:
    """What the memory changed, a sentence for each set that was made with one."""
    effects = [(s, _cached_effect(version_of(s), s)) for s in sets if s.rows]
    return "".join(
        f'<div class="ddrs-outcome"><b>{html.escape(s.title)}</b>. {html.escape(str(effect))}</div>'
        for s, effect in effects
        if effect is not None
    )


def sets_html(sets: Sequence[ResultSet]) -> str:
    """What each set is, its grade of guarantee, and what was found when it was read."""
    items = "".join(
        f"<li><b>{html.escape(s.title)}</b>. {_origin(s)}. {_noise(s)}. {_grade(s)} {_sure(s)}"
        f"{' '.join(html.escape(note) for note in s.notes)}</li>"
        for s in sets
    )
    return f'<ul class="ddrs-sets">{items}</ul>'


def warnings_html(sets: Sequence[ResultSet], sentences: Sequence[str]) -> str:
    """What stands in the way of comparing, and what could not be shown."""
    missing = "".join(f'<p class="ddrs-note">{html.escape(text)}</p>' for text in sentences)
    found = mismatches(sets) if len(sets) > 1 else ()
    if not found:
        return missing
    listed = html.escape(" ".join(found))
    return f'{missing}<div class="ddrs-warning"><b>Compare with care.</b> {listed}</div>'


def verdict_html(a: ResultSet, b: ResultSet, found: PairedComparison) -> str:
    """The differences in words: where A certifies more, where less, where nobody can tell."""
    parts = [_said(d) for d in found.radii if d.verdict != "within the noise"]
    unclear = [f"{d.radius:g}" for d in found.radii if d.verdict == "within the noise"]
    acr = found.acr
    if acr is not None and acr.verdict in ("more", "less") and acr.low is not None:
        high = acr.high or 0.0
        parts.append(
            f"<b>{acr.difference:+.3f}</b> average certified radius ({acr.low:+.3f} to {high:+.3f})"
        )
    lead = (
        f"On {counted(found.shared, 'image')} that both have, <b>A</b> ({html.escape(a.title)}) "
        f"against <b>B</b> ({html.escape(b.title)})"
    )
    said = f"{lead}: {'; '.join(parts)}." if parts else f"{lead}: no difference beyond chance."
    if unclear and parts:
        said += f" Within the noise at r = {', '.join(unclear)}."
    return said


def _said(d: RadiusDifference) -> str:
    return (
        f"<b>{100 * d.difference:+.1f} points</b> at r = {d.radius:g} ({100 * d.low:+.1f} to "
        f"{100 * d.high:+.1f}; {d.gained} gained, {d.lost} lost)"
    )


def _origin(s: ResultSet) -> str:
    if s.source is Source.RUN:
        return "A run of this server"
    own = "Shipped with the program" if s.source is Source.REFERENCE else "Imported log"
    return f"{own}: {html.escape(Dialect(s.dialect).meaning)}"


def _noise(s: ResultSet) -> str:
    training = "" if s.training == "unknown" else f"trained by {html.escape(s.training)}"
    if s.data_dependent_training:
        training += " with data-dependent sigma"
    at = "" if s.sigma is None else f" {s.sigma:g}"
    own = f"an own sigma for every image, from{at}"
    noise = {
        "fixed": f"fixed sigma{at}",
        "ds": own,
        "ds-memory": f"settled against a memory, {own}",
    }.get(s.method, f"sigma{at or ' unknown'}")
    votes = "N unknown" if s.n is None else f"N {'at most ' if s.schedule else ''}{s.n:,}"
    alpha = "alpha unknown" if s.alpha is None else f"alpha {s.alpha:g}"
    parts = [training, noise.removesuffix(", from"), votes, alpha]
    said = ", ".join(part for part in parts if part)
    return said[:1].upper() + said[1:]


def _grade(s: ResultSet) -> str:
    if s.grade is None:
        return _UNKNOWN_GRADE
    return f"<b>{s.grade.capitalize()}</b>. {html.escape(s.grade.meaning)}"


def _sure(s: ResultSet) -> str:
    if s.method == "ds-memory":
        return "No band: with a memory answers depend on each other. "
    loss = high_probability_loss(s)
    if loss is None:
        return "No band: alpha is not recorded. "
    return f"Band: at most {100 * loss:.1f} points lower, with probability 99.9 %. "
