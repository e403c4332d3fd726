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
    literal_text,
    markers,
)
from ddrs_core.quantities import counted
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
        trace
        for c, name in zip(shown, names, strict=True)
        for trace in _box(results, known & (classes == c), name, SIGMA_COLOUR)
    ]
    if len(found) > len(shown):
        rest = known & ~np.isin(classes, shown)
        name = f"{len(found) - len(shown):,} others"
        boxes += _box(results, rest, name, START_COLOUR)
    return _boxes(results, boxes, "true class" if results.has_labels else "certified class")


def sigma_by_correctness_figure(results: ResultSet) -> Figure:
    """A box of sigma* for the images that were right, wrong, and abstained."""
    known = ~np.isnan(results.sigmas)
    boxes = [
        trace
        for name, held, colour, _ in _outcomes(results)
        if (known & held).any()
        for trace in _box(results, known & held, name, colour)
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


def _box(results: ResultSet, held: np.ndarray, name: str, colour: str) -> list[Figure]:
    """Median, middle half, and the range of nine in ten."""
    lowest, low, middle, high, highest = np.quantile(
        results.sigmas[held], (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    count = int(held.sum())
    common: Figure = {"name": name, "showlegend": False}
    return [
        line([name] * 2, [lowest, highest], colour, 1.5, **common),
        line([name] * 2, [low, high], colour, 14, opacity=0.4, **common),
        markers(
            [name],
            [middle],
            colour,
            18,
            symbol="line-ew",
            edge=(colour, 3),
            customdata=[count],
            hover=f"{literal_text(name)}, {counted(count, 'image')}: median %{{y:.3f}}<br>"
            f"half of them between {low:.3f} and {high:.3f}",
            **common,
        ),
    ]


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
