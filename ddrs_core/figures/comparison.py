"""Results side by side: certified accuracy against the radius, and two sets image by image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np

from ddrs_core.figures.palette import (
    AMBER,
    BLUE,
    GREEN,
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
from ddrs_core.runs.results.comparison import RHO, Curve, Envelope, certified_curve, radius_cap
from ddrs_core.runs.results.paired import Pairs
from ddrs_core.runs.results.published import PublishedResult
from ddrs_core.runs.results.results import UNKNOWN, ResultSet

_NEAR_CAP = 1.3  # times the largest radius: farther caps would squeeze the points
_HUES = {"gaussian": BLUE, "smoothadv": ORANGE, "macer": GREEN, UNKNOWN: PINK}
_OTHER_HUES = (AMBER, SKY)
_WIDTHS = (2.5, 1.75, 1.25)  # of lines with the same hue and dashes
_DASHES = {"ds": "solid", "ds-memory": "longdashdot"}  # everything else is dashed
_RADIUS = "certified radius r (l2, pixels in [0, 1])"


def certified_accuracy_figure(
    sets: Sequence[ResultSet],
    *,
    envelope: Envelope | None = None,
    references: Sequence[PublishedResult] = (),
    rho: float = RHO,
) -> Figure:
    """Certified accuracy against the radius: exact steps, with the part that is sure with
    probability 1 - rho shaded below them.

    The hue shows the training method; solid lines have a sigma for each image, dashed ones one
    for all, those with dots and dashes a memory. The envelope is dotted, published figures are
    thin lines with dots.
    """
    curves = [certified_curve(results, rho) for results in sets]
    ends = [float(c.radii[-1]) for c in curves] + [max(p.radii) for p in references]
    end = 1.04 * max([*ends, 0.25])
    data: list[Figure] = []
    used: dict[tuple[str, str], count[int]] = {}
    for results, curve in zip(sets, curves, strict=True):
        colour, dash = _hue(results.training, sets), _DASHES.get(results.method, "dash")
        rank = next(used.setdefault((colour, dash), count()))
        width = _WIDTHS[min(rank, len(_WIDTHS) - 1)]
        title = literal_text(results.shown_title)
        data += _band(curve, title, colour, end)
        data.append(_steps(curve.radii, curve.accuracy, end, colour, width, dash=dash, name=title))
    if envelope is not None:
        style = {"dash": "dot", "name": envelope.title}
        data.append(_steps(envelope.radii, envelope.accuracy, end, TEXT, 2, **style))
    data += [_reference(result, _hue(result.training, sets)) for result in references]
    figure_layout = layout(
        margin={"l": 56, "r": 16, "t": 30, "b": 46},
        xaxis=axis(_RADIUS, range=[0, end]),
        yaxis=axis("certified accuracy (% of images)", range=[0, 1.02], tickformat=".0%"),
    )
    figure_layout["legend"]["traceorder"] = "normal"  # plotly reverses it where areas are filled
    return {"data": data, "layout": figure_layout}


def radius_against_radius_figure(pairs: Pairs, a: ResultSet, b: ResultSet) -> Figure:
    """One point an image: its radius in b across, in a upwards; wrong answers count as 0.

    ``customdata`` holds the image numbers. Above the dotted line a proves more. Dashed lines are
    the largest radii that N samples could prove, where they are not far beyond the points.
    """
    titled_a, titled_b = literal_text(a.title), literal_text(b.title)
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
                type="scattergl",
                name=name,
                customdata=pairs.indices[held],
                symbol=symbol,
                opacity=0.8,
                hover="image %{customdata}: %{y:.3f} against %{x:.3f}",
            )
            for name, held, colour, symbol in groups
        ],
        "layout": layout(
            xaxis=axis(f"radius in {titled_b} (l2)", range=[-0.02 * end, end]),
            yaxis=axis(f"radius in {titled_a} (l2)", range=[-0.02 * end, end]),
            shapes=[
                _rule(0, 0, end, end, "dot"),
                *([] if caps[0] is None else [_rule(caps[0], 0, caps[0], end, "dash")]),
                *([] if caps[1] is None else [_rule(0, caps[1], end, caps[1], "dash")]),
            ],
        ),
    }


def _hue(training: str, sets: Sequence[ResultSet]) -> str:
    if training in _HUES:
        return _HUES[training]
    others = dict.fromkeys(s.training for s in sets if s.training not in _HUES)
    position = list(others).index(training) if training in others else len(others)
    return _OTHER_HUES[position % len(_OTHER_HUES)]


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


def _reference(result: PublishedResult, colour: str) -> Figure:
    return line(
        np.array(result.radii),
        np.array(result.accuracy),
        colour,
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
