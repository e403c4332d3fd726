"""Results side by side: certified accuracy against the radius, and two sets image by image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddrs_core.figures.palette import (
    BLUE,
    GRADE_COLOURS,
    GREEN,
    MORE_HUES,
    MUTED,
    ORANGE,
    PINK,
    SKY,
    TEXT,
    Figure,
    axis,
    layout,
    line,
    literal_text,
    markers,
    see_through,
)
from ddrs_core.runs.results.comparison import (
    RHO,
    Curve,
    Envelope,
    certified_accuracy,
    certified_curve,
    radius_cap,
)
from ddrs_core.runs.results.paired import Pairs
from ddrs_core.runs.results.published import PublishedResult
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.smoothing import Grade

_NEAR_CAP = 1.3  # times the largest radius: farther caps would squeeze the points
_TRAINING_HUES = {"gaussian": BLUE, "smoothadv": ORANGE, "macer": GREEN}  # of published figures
_GRADE_HUES = {  # the first of each is that of the grade's badge
    Grade.UNCONDITIONAL: (GRADE_COLOURS[Grade.UNCONDITIONAL], SKY, MORE_HUES[3]),
    Grade.FOR_QUERIES_AFTER: (GRADE_COLOURS[Grade.FOR_QUERIES_AFTER], PINK, "#B39DDB"),
    Grade.CONDITIONAL: (GRADE_COLOURS[Grade.CONDITIONAL], ORANGE, MORE_HUES[2]),
    None: (GREEN, MORE_HUES[1], "#888888"),  # not recorded
}
_DASHES = ("solid", "dash", "longdashdot")  # where more sets have a grade than it has hues
_RADIUS = "certified radius r (ℓ₂, pixels in [0, 1])"


@dataclass(frozen=True)
class CurveStyle:
    """How the curve of a set is drawn; ``is_bound``: between the radii at which its adaptive
    sampling stops, the curve is a lower bound, and dotted."""

    colour: str
    dash: str
    is_bound: bool


def curve_styles(sets: Sequence[ResultSet]) -> list[CurveStyle]:
    """A hue of its grade for each set: blue is unconditional, violet for queries after x, amber
    conditional, green not recorded."""
    used: Counter[Grade | None] = Counter()
    styles = []
    for results in sets:
        hues = _GRADE_HUES[results.grade]
        rank = used[results.grade]
        used[results.grade] += 1
        dash = _DASHES[rank // len(hues) % len(_DASHES)]
        is_bound = results.acr_is_floor
        styles.append(CurveStyle(hues[rank % len(hues)], "dot" if is_bound else dash, is_bound))
    return styles


def certified_accuracy_figure(
    sets: Sequence[ResultSet],
    *,
    envelope: Envelope | None = None,
    references: Sequence[PublishedResult] = (),
    rho: float = RHO,
) -> Figure:
    """Certified accuracy against the radius: exact steps, with the part that is sure with
    probability 1 - rho shaded below them.

    Hues are those of :func:`curve_styles`. Of an adaptive run the steps are dotted, and hollow
    circles stand at the radii that its sampling settles, where it is no mere lower bound. The
    envelope is dotted, published figures are thin lines with dots.
    """
    curves = [certified_curve(results, rho) for results in sets]
    ends = [float(c.radii[-1]) for c in curves] + [max(p.radii) for p in references]
    end = 1.04 * max([*ends, 0.25])
    data: list[Figure] = []
    for results, curve, style in zip(sets, curves, curve_styles(sets), strict=True):
        grade = "" if results.grade is None else f" · {results.grade.badge}"
        title, colour = literal_text(results.shown_title), style.colour
        drawn = {"dash": style.dash, "name": title + grade, "legendgroup": results.id}
        data += _band(curve, title, colour, end)
        data.append(_steps(curve.radii, curve.accuracy, end, colour, 2.5, **drawn))
        if style.is_bound:
            settled = np.array([r for r in _settled_radii(results) if r < end])
            height = certified_accuracy(results, settled)
            quiet: Figure = {
                "legendgroup": results.id,
                "showlegend": False,
                "name": f"{title}: settled",
            }
            data.append(markers(settled, height, colour, 8, symbol="circle-open", **quiet))
    if envelope is not None:
        dotted = {"dash": "dot", "name": envelope.title}
        data.append(_steps(envelope.radii, envelope.accuracy, end, TEXT, 2, **dotted))
    data += [_reference(result) for result in references]
    figure_layout = layout(
        margin={"l": 56, "r": 16, "t": 10, "b": 46},
        xaxis=axis(_RADIUS, range=[0, end]),
        yaxis=axis("certified accuracy", range=[0, 1.02], tickformat=".0%"),
    )
    # The curves fall, so there is room on the right. Plotly reverses the order of filled areas.
    figure_layout["legend"] |= {"orientation": "v", "x": 1, "xanchor": "right"}
    figure_layout["legend"] |= {"y": 1, "yanchor": "top", "traceorder": "normal"}
    return {"data": data, "layout": figure_layout}


def radius_against_radius_figure(pairs: Pairs, a: ResultSet, b: ResultSet) -> Figure:
    """One point an image: its radius in b across, in a upwards; wrong answers count as 0.

    ``customdata`` holds the image numbers. Above the dotted line a proves more. Dashed lines are
    the largest radii that N samples could prove, where they are not far beyond the points. Points
    are hollow where a radius is the lower bound of an adaptive run.
    """
    titled_a, titled_b = literal_text(a.title), literal_text(b.title)
    hollow = "-open" if a.acr_is_floor or b.acr_is_floor else ""
    groups = (
        ("both right", pairs.correct_a & pairs.correct_b, BLUE, "circle"),
        (f"right in {titled_a} only", pairs.correct_a & ~pairs.correct_b, GREEN, "triangle-up"),
        (f"right in {titled_b} only", ~pairs.correct_a & pairs.correct_b, ORANGE, "triangle-down"),
        ("neither right", ~pairs.correct_a & ~pairs.correct_b, PINK, "x"),
    )
    largest = max(0.1, float(np.max(np.concatenate([pairs.radii_a, pairs.radii_b]), initial=0.0)))
    caps = [
        cap if cap is not None and cap <= _NEAR_CAP * largest else None
        for cap in (radius_cap(b), radius_cap(a))  # across, upwards
    ]
    end = 1.05 * max([largest, *(cap for cap in caps if cap is not None)])
    return {
        "data": [
            markers(
                pairs.radii_b[held],
                pairs.radii_a[held],
                colour,
                7,
                name=name,
                customdata=pairs.indices[held],
                symbol=symbol + hollow,
                opacity=0.8,
                hover="image %{customdata}: %{y:.3f} against %{x:.3f}",
            )
            for name, held, colour, symbol in groups
        ],
        "layout": layout(
            xaxis=axis(f"radius in {titled_b} (ℓ₂)", range=[-0.02 * end, end]),
            yaxis=axis(f"radius in {titled_a} (ℓ₂)", range=[-0.02 * end, end]),
            shapes=[
                _rule(0, 0, end, end, "dot"),
                *([] if caps[0] is None else [_rule(caps[0], 0, caps[0], end, "dash")]),
                *([] if caps[1] is None else [_rule(0, caps[1], end, caps[1], "dash")]),
            ],
        ),
    }


def _settled_radii(results: ResultSet) -> list[float]:
    """The radii at which an adaptive run settles whether an image reaches them."""
    found = re.search(r"\bradii=([0-9.,]+)", results.schedule)
    return [float(r) for r in found[1].split(",") if r] if found else []


def _steps(
    radii: np.ndarray, accuracy: np.ndarray, end: float, colour: str, width: float, **style: Any
) -> Figure:
    """A line that falls to 0 after the last radius."""
    style = {"hover": "%{fullData.name}<br>r = %{x:.3f}: %{y:.1%}", "shape": "vh", **style}
    return line(np.append(radii, end), np.append(accuracy, 0.0), colour, width, **style)


def _band(curve: Curve, name: str, colour: str, end: float) -> list[Figure]:
    """The shaded part between the curve and what is sure."""
    if curve.lower is None:
        return []
    quiet = {"hover": "", "showlegend": False, "legendgroup": f"band {name}"}
    area = {"fill": "tonexty", "fillcolor": see_through(colour, 0.22), "name": f"{name}: sure"}
    return [
        _steps(curve.radii, curve.accuracy, end, colour, 0, **quiet, name=f"{name}: upper edge"),
        _steps(curve.radii, curve.lower, end, colour, 0, **quiet, **area),
    ]


def _reference(result: PublishedResult) -> Figure:
    return line(
        np.array(result.radii),
        np.array(result.accuracy),
        _TRAINING_HUES.get(result.training, PINK),
        1,
        mode="lines+markers",
        name=result.title,
        marker={"size": 4},
        text=[result.source] * len(result.radii),
        hover="%{fullData.name}<br>r = %{x:.2f}: %{y:.1%}<br>%{text}",
    )


def _rule(x0: float, y0: float, x1: float, y1: float, dash: str) -> Figure:
    style = {"color": MUTED, "width": 1.5, "dash": dash}
    ends = {"x0": x0, "y0": y0, "x1": x1, "y1": y1}
    return {"type": "line", **ends, "layer": "below", "line": style}
