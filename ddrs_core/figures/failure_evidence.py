"""Why one image is not certified: other noise levels, more samples, and how near attacks come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddrs_core.figures.palette import (
    AMBER,
    BLUE,
    CHOSEN_COLOUR,
    GREEN,
    MUTED,
    ORANGE,
    PINK,
    RADIUS_COLOUR,
    START_COLOUR,
    TEXT,
    Figure,
    axis,
    horizontal,
    layout,
    line,
    literal_text,
    markers,
    vertical,
)
from ddrs_core.quantities import counted
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.segment import SegmentVotes
from ddrs_core.smoothing.sigma.regret import LevelReview

_EXPECTED = "expected ℓ₂ radius (pixels in [0, 1])"
_PROVED = "proved ℓ₂ radius (pixels in [0, 1])"
_MOST_CURVES = 4  # classes along a segment


def levels_figure(review: LevelReview, target: float) -> Figure:
    """The radius that a certification would probably prove at each noise level that was tried;
    the image's own level, the best one and ``target`` are marked."""
    top = 1.15 * max(target, *review.radii, 1e-3)
    return {
        "data": [
            line(
                np.array(review.levels),
                np.array(review.radii),
                RADIUS_COLOUR,
                2,
                name="expected radius",
                mode="lines+markers",
                marker={"size": 5},
                hover="σ = %{x:.3g}: expected radius about %{y:.3f}",
            ),
            markers(
                [review.sigma],
                [review.radius],
                START_COLOUR,
                12,
                name=f"its own σ = {review.sigma:.3g}",
                hover="its own σ = %{x:.3g}: expected radius about %{y:.3f}",
            ),
            markers(
                [review.best_sigma],
                [review.best_radius],
                CHOSEN_COLOUR,
                13,
                symbol="star",
                name=f"best σ = {review.best_sigma:.3g}",
                hover="best σ = %{x:.3g}: expected radius about %{y:.3f}",
            ),
        ],
        "layout": layout(
            shapes=[horizontal(target, TEXT, "dot")],
            annotations=[_note(1, target, f"r = {target:g}", xref="paper", xanchor="right")],
            xaxis=axis("noise level σ (pixels in [0, 1])", type="log", nticks=8),
            yaxis=axis(_EXPECTED, range=[-0.03 * top, top]),
        ),
    }


def samples_figure(samples: Floats, radii: Floats, n: int, radius: float, target: float) -> Figure:
    """What the same shares of votes would prove with other N, fixed in advance.

    Args:
        samples, radii: the curve [S].
        n, radius: where the certificate stands.
        target: r.
    """
    finite = np.isfinite(radii)
    top = 1.15 * max(target, float(np.max(radii[finite], initial=0.0)), radius)
    return {
        "data": [
            line(
                samples[finite],
                radii[finite],
                RADIUS_COLOUR,
                2,
                name="the same shares would prove",
                hover="N = %{x:,.0f} would prove %{y:.3f}",
            ),
            markers(
                [n],
                [radius],
                START_COLOUR,
                12,
                name=f"proved with {counted(n, 'vote')}",
                hover="%{x:,} votes: proved radius %{y:.3f}",
            ),
        ],
        "layout": layout(
            shapes=[horizontal(target, TEXT, "dot")],
            annotations=[_note(1, target, f"r = {target:g}", xref="paper", xanchor="right")],
            xaxis=axis("number of samples N", type="log", exponentformat="power", dtick=1),
            yaxis=axis(_PROVED, range=[-0.03 * top, top]),
        ),
    }


def bounds_figure(
    certified: float, attack: float | None, reach: float | None, target: float, *, proved: bool
) -> Figure:
    """The interval in which the true radius lies.

    Args:
        certified: lower bound.
        attack: distance of an image that gets another class, the upper bound.
        reach: without such an image, the largest radius at which one was looked for.
        target: r.
        proved: whether the lower bound holds for the class that should be certified.
    """
    end = 1.2 * max(target, certified, attack or 0.0, reach or 0.0)
    data: list[Figure] = []
    if certified > 0:
        name = "proved" if proved else "proved, for a wrong class"
        data.append(
            line([0, certified], [0, 0], GREEN if proved else ORANGE, 14, name=name, hover="")
        )
    upper = attack or reach
    if upper is not None and upper > certified:
        gap = {"dash": "dot"} if attack is None else {}
        said = "not known" if attack is not None else "not known; no attack succeeded"
        data.append(line([certified, upper], [0, 0], AMBER, 6, name=said, hover="", **gap))
    if attack is not None:
        data.append(
            markers(
                [attack],
                [0],
                ORANGE,
                16,
                symbol="x",
                name="an image of another class",
                hover="attack distance %{x:.4f}",
            )
        )
    return {
        "data": data,
        "layout": layout(
            margin={"l": 16, "r": 16, "t": 34, "b": 46},
            shapes=[vertical(target, TEXT, "dot", 2)],
            annotations=[_note(target, 0, f" r = {target:g}", yref="paper", xanchor="left")],
            xaxis=axis("ℓ₂ distance from the image (pixels in [0, 1])", range=[0, end]),
            yaxis={"visible": False, "range": [-1, 1], "fixedrange": True},
        ),
    }


def segment_figure(votes: SegmentVotes, distance: float, names: Sequence[str]) -> Figure:
    """The shares of votes on the straight line from an image to its adversarial one.

    Args:
        votes: at points of the line.
        distance: its length.
        names: of the classes.
    """
    counts = np.array(votes.counts, dtype=np.float64)  # [P, K]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    order = np.argsort(-shares.max(axis=0), kind="stable")[:_MOST_CURVES]
    hues = (BLUE, ORANGE, GREEN, PINK)
    at = distance * np.array(votes.positions)
    return {
        "data": [
            line(
                at,
                shares[:, k],
                hue,
                2.5 if place < 2 else 1.25,
                name=literal_text(names[k]),
                mode="lines+markers",
                marker={"size": 5},
                hover=f"{literal_text(names[k])}: %{{y:.0%}} at distance %{{x:.3f}}",
            )
            for place, (k, hue) in enumerate(zip(order, hues, strict=False))
        ],
        "layout": layout(
            shapes=[horizontal(0.5, MUTED, "dash")],
            xaxis=axis("ℓ₂ distance from the image", range=[0, 1.02 * distance]),
            yaxis=axis("share of votes", range=[0, 1.02], tickformat=".0%"),
        ),
    }


def empty_figure(text: str) -> Figure:
    """The place of a figure, with a sentence that says what is missing."""
    note = _note(0.5, 0.5, text, xref="paper", yref="paper", xanchor="center")
    return {
        "data": [],
        "layout": layout(annotations=[note], xaxis={"visible": False}, yaxis={"visible": False}),
    }


def _note(x: float, y: float, text: str, **more: str) -> Figure:
    font = {"size": 13, "color": TEXT}
    return {"x": x, "y": y, "text": text, "showarrow": False, "yanchor": "bottom", **more} | {
        "font": font
    }
