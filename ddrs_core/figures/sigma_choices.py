"""The noise levels that images chose: by class, by correctness, and against their radii."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddrs_core.figures.class_axis import axis_names
from ddrs_core.figures.palette import (
    BLUE,
    ORANGE,
    PINK,
    RADIUS_COLOUR,
    SIGMA_COLOUR,
    START_COLOUR,
    Figure,
    axis,
    horizontal,
    layout,
    line,
    markers,
)
from ddrs_core.runs.results.comparison import cap_over_sigma
from ddrs_core.runs.results.results import ResultSet

_SIGMA = "noise level sigma* (pixels in [0, 1])"
_LONGEST = 14  # characters of a name on an axis
_FEW = 16  # boxes side by side, at most


def sigma_by_class_figure(results: ResultSet, class_names: Sequence[str] = ()) -> Figure:
    """A box of sigma* for every true class that has an image; of more than 16 classes for those
    with most images, and one for all others. Without labels it is the certified class."""
    classes = results.labels if results.has_labels else results.predictions
    known = ~np.isnan(results.sigmas) & (classes >= 0)
    found, counts = np.unique(classes[known], return_counts=True)
    shown = found
    if len(found) > _FEW:
        shown = np.sort(found[np.argsort(-counts, kind="stable")[: _FEW - 1]])
    names = axis_names(shown.tolist(), class_names, _LONGEST)
    boxes = [
        _box(results, known & (classes == c), name, SIGMA_COLOUR)
        for c, name in zip(shown, names, strict=True)
    ]
    if len(found) > len(shown):
        rest = known & ~np.isin(classes, shown)
        name = f"{len(found) - len(shown):,} others"
        boxes.append(_box(results, rest, name, START_COLOUR))
    return _boxes(results, boxes, "true class" if results.has_labels else "certified class")


def sigma_by_correctness_figure(results: ResultSet) -> Figure:
    """A box of sigma* for the images that were right, wrong, and abstained."""
    known = ~np.isnan(results.sigmas)
    boxes = [
        _box(results, known & held, name, colour)
        for name, held, colour, _ in _outcomes(results)
        if (known & held).any()
    ]
    return _boxes(results, boxes, "answer")


def radius_against_sigma_figure(results: ResultSet) -> Figure:
    """One point an image; ``customdata`` holds the image numbers. The line is the largest radius
    that N samples can prove at a sigma. Points are hollow where a radius is a lower bound."""
    hollow = "-open" if results.acr_is_floor else ""
    known = ~np.isnan(results.sigmas)
    top = 1.05 * float(np.max(results.sigmas[known], initial=0.1))
    high = 1.05 * float(np.max(results.radii, initial=0.1))
    data: list[Figure] = [
        markers(
            results.sigmas[known & held],
            results.radii[known & held],
            colour,
            7,
            type="scattergl",
            name=name,
            customdata=results.indices[known & held],
            symbol=symbol + hollow,
            opacity=0.8,
            hover="image %{customdata}: radius %{y:.3f} at sigma %{x:.3f}",
        )
        for name, held, colour, symbol in _outcomes(results)
    ]
    slope = cap_over_sigma(results)
    if slope is not None:
        ends = np.array([0.0, top])
        data.append(line(ends, slope * ends, RADIUS_COLOUR, 1.5, dash="dash", name="cap for N"))
    return {
        "data": data,
        "layout": layout(
            xaxis=axis(_SIGMA, range=[0, top]),
            yaxis=axis("certified radius (ℓ₂, pixels in [0, 1])", range=[-0.02 * high, high]),
        ),
    }


def _outcomes(results: ResultSet) -> tuple[tuple[str, np.ndarray, str, str], ...]:
    """Name, images, colour and symbol of each kind of answer."""
    answered = results.certified
    return (
        ("right", answered & results.correct, BLUE, "circle"),
        ("wrong", answered & results.labelled & ~results.correct, ORANGE, "triangle-down"),
        ("without label", answered & ~results.labelled, SIGMA_COLOUR, "square"),
        ("abstained", results.abstained, PINK, "x"),
    )


def _box(results: ResultSet, held: np.ndarray, name: str, colour: str) -> Figure:
    return {
        "type": "box",
        "name": name,
        "y": results.sigmas[held],
        "boxpoints": "outliers",
        "customdata": results.indices[held],
        "line": {"color": colour, "width": 1.5},
        "marker": {"color": colour, "size": 4},
        "showlegend": False,
        "hovertemplate": "image %{customdata}: sigma %{y:.3f}<extra></extra>",
    }


def _boxes(results: ResultSet, boxes: list[Figure], title: str) -> Figure:
    start = None if results.has_one_sigma else results.sigma
    return {
        "data": boxes,
        "layout": layout(
            showlegend=False,
            shapes=[] if start is None else [horizontal(start, START_COLOUR, "dot")],
            xaxis=axis(title, type="category", dtick=1),
            yaxis=axis(_SIGMA, rangemode="tozero"),
        ),
    }
