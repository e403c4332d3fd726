"""A whole memory bank: its growth, gaps, radii and noise levels, and the order of arrival."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ddrs_core.figures.class_axis import class_title
from ddrs_core.figures.memory.balls import OUTCOME_HUES, class_hue
from ddrs_core.figures.palette import (
    BLUE,
    CHOSEN_COLOUR,
    MUTED,
    ORANGE,
    RADIUS_COLOUR,
    SIGMA_COLOUR,
    TEXT,
    Figure,
    axis,
    layout,
    line,
    markers,
    vertical,
)
from ddrs_core.smoothing.memory.arrival_order import OrderStudy
from ddrs_core.smoothing.memory.rules import Outcome

_RADIUS = "radius (ℓ₂, pixels in [0, 1])"
_BINS = 40


def bank_growth_figure(outcomes: Sequence[str]) -> Figure:
    """How many certificates had which outcome, after each arrival.

    ``outcomes`` are in the order of arrival; other values, such as abstentions that stayed, have
    their own lines.
    """
    known = [outcome.value for outcome in Outcome]
    kinds = [*known, *sorted({str(o) for o in outcomes} - set(known))]
    arrived = np.arange(1, len(outcomes) + 1, dtype=np.int32)
    data: list[Figure] = []
    for kind in kinds:
        hits = np.array([str(o) == kind for o in outcomes], dtype=bool)
        if not hits.any():
            continue
        hue = OUTCOME_HUES[Outcome(kind)] if kind in known else MUTED
        so_far, hover = np.cumsum(hits).astype(np.int32), "arrival %{x}: by now %{y} " + kind
        data.append(line(arrived, so_far, hue, 2, shape="hv", name=kind, hover=hover))
    return {
        "data": data,
        "layout": layout(
            xaxis=axis("arrivals", rangemode="tozero"),
            yaxis=axis("certificates so far", rangemode="tozero"),
        ),
    }


def bank_radii_figure(claimed: ArrayLike, settled: ArrayLike) -> Figure:
    """How many balls have which radius: as claimed (dashed), and as settled."""
    before, after = np.asarray(claimed, dtype=np.float64), np.asarray(settled, dtype=np.float64)
    end = 1.02 * max(float(np.max(before, initial=0.0)), float(np.max(after, initial=0.0)), 0.1)
    edges = np.linspace(0.0, end, _BINS + 1)
    return {
        "data": [
            _histogram(after, edges, "settled", RADIUS_COLOUR, "solid"),
            _histogram(before, edges, "claimed", TEXT, "dash"),
        ],
        "layout": layout(
            xaxis=axis(_RADIUS, range=[0, end]), yaxis=axis("balls", rangemode="tozero")
        ),
    }


def bank_gaps_figure(claimed: ArrayLike, settled: ArrayLike) -> Figure:
    """How far each ball is from the nearest of another class, surface to surface: as claimed
    (dashed), where it is negative if they overlap, and as settled."""
    before, after = np.asarray(claimed, dtype=np.float64), np.asarray(settled, dtype=np.float64)
    both = np.concatenate([before, after, [0.0]])
    edges = np.linspace(1.02 * float(both.min()), 1.02 * float(both.max()) or 0.1, _BINS + 1)
    return {
        "data": [
            _histogram(after, edges, "settled", RADIUS_COLOUR, "solid"),
            _histogram(before, edges, "claimed", TEXT, "dash"),
        ],
        "layout": layout(
            shapes=[vertical(0.0, ORANGE, "dot")],
            xaxis=axis("gap to the nearest ball of another class (ℓ₂)"),
            yaxis=axis("balls", rangemode="tozero"),
        ),
    }


def bank_sigmas_figure(sigmas: ArrayLike) -> Figure:
    """How many balls were certified at which noise level."""
    found = np.asarray(sigmas, dtype=np.float64)
    end = 1.05 * max(float(np.max(found, initial=0.0)), 0.1)
    edges = np.linspace(0.0, end, _BINS + 1)
    return {
        "data": [_histogram(found, edges, "σ", SIGMA_COLOUR, "solid")],
        "layout": layout(
            showlegend=False,
            xaxis=axis("noise level σ (pixels in [0, 1])", range=[0, end]),
            yaxis=axis("balls", rangemode="tozero"),
        ),
    }


def order_study_figure(study: OrderStudy) -> Figure:
    """One point an order of arrival: its mean radius, and how many classes it changes."""
    first, rest = study.mean_radius[:1], study.mean_radius[1:]
    return {
        "data": [
            _orders(rest, study.changed_share[1:], "shuffled", BLUE, "circle", 7),
            _orders(first, study.changed_share[:1], "as given", CHOSEN_COLOUR, "star", 14),
        ],
        "layout": layout(
            xaxis=axis("mean settled " + _RADIUS),
            yaxis=axis(
                "classes that differ from the first order", tickformat=".1%", rangemode="tozero"
            ),
        ),
    }


def changing_images_figure(study: OrderStudy, ids: Sequence[int], most: int = 30) -> Figure:
    """Images whose class depends on the order: the share of orders that give each answer.

    ``ids`` [m] names the images; those whose answer is most evenly divided come first.
    """
    worst = sorted(study.changing, key=lambda image: (image.answers[0][1], image.row))[:most]
    names = [f"image {ids[image.row]}" for image in worst]
    data: list[Figure] = []
    for prediction in sorted({c for image in worst for c, _ in image.answers}):
        shares = [dict(image.answers).get(prediction, 0) / study.orders for image in worst]
        title = class_title(prediction, ())
        data.append(
            {
                "type": "bar",
                "name": title,
                "x": names,
                "y": shares,
                "marker": {"color": class_hue(prediction) if prediction >= 0 else ORANGE},
                "hovertemplate": "%{x}: " + title + " in %{y:.0%} of the orders<extra></extra>",
            }
        )
    return {
        "data": data,
        "layout": layout(
            barmode="stack",
            xaxis=axis("images that change", type="category"),
            yaxis=axis("share of orders", range=[0, 1], tickformat=".0%"),
        ),
    }


def _histogram(values: np.ndarray, edges: np.ndarray, name: str, hue: str, dash: str) -> Figure:
    counts, _ = np.histogram(values, edges)
    return line(
        edges,
        np.append(counts, 0).astype(np.int32),
        hue,
        2,
        dash=dash,
        shape="hv",
        name=name,
        fill="tozeroy" if dash == "solid" else "none",
        hover="from %{x:.3f}: %{y} " + name,
    )


def _orders(
    radii: np.ndarray, changed: np.ndarray, name: str, hue: str, symbol: str, size: int
) -> Figure:
    hover = name + ": mean radius %{x:.4f}, %{y:.1%} changed"
    return markers(radii, changed, hue, size, symbol=symbol, opacity=0.7, name=name, hover=hover)
