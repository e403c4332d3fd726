"""Why images are not certified: the shares of the kinds, and the evidence for one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ddrs_core.figures.palette import (
    AMBER,
    BLUE,
    CHOSEN_COLOUR,
    GREEN,
    MORE_HUES,
    MUTED,
    ORANGE,
    PINK,
    RADIUS_COLOUR,
    SKY,
    START_COLOUR,
    TEXT,
    Figure,
    axis,
    horizontal,
    layout,
    line,
    literal_text,
    markers,
    see_through,
    vertical,
)
from ddrs_core.quantities import counted
from ddrs_core.smoothing.confidence import Floats, interval
from ddrs_core.smoothing.diagnosis import FailureKind
from ddrs_core.smoothing.segment import SegmentVotes
from ddrs_core.smoothing.sigma.regret import LevelReview

KIND_COLOURS = {
    FailureKind.CERTIFIED: GREEN,
    FailureKind.DAMAGED: MORE_HUES[1],
    FailureKind.WRONG_CLEAN: MORE_HUES[2],
    FailureKind.WRONG_NOISY: ORANGE,
    FailureKind.UNDECIDED_TWO: PINK,
    FailureKind.UNDECIDED_MANY: MORE_HUES[0],
    FailureKind.UNDECIDED: PINK,
    FailureKind.MEMORY: MORE_HUES[3],
    FailureKind.CAPPED: BLUE,
    FailureKind.TOO_FEW_SAMPLES: SKY,
    FailureKind.TOO_CLOSE: AMBER,
    FailureKind.UNRECORDED: "#777777",
}
KINDS = tuple(FailureKind)  # a part of a bar names its kind by the place here
_RADIUS = "ℓ₂ radius (pixels in [0, 1])"
_FADED = 0.35  # what is not chosen
_MOST_CURVES = 4  # classes along a segment


def kinds_figure(
    bars: Sequence[tuple[str, Mapping[FailureKind, int]]], chosen: FailureKind | None = None
) -> Figure:
    """The images of each set, divided by kind.

    Args:
        bars: title and counts of each, from top to bottom.
        chosen: kind of the first set whose part is emphasised.

    Returns:
        Stacked bars; ``customdata`` is 100 times the number of the bar plus the place of the kind
        among :data:`KINDS`.
    """
    titles = [literal_text(title) for title, _ in bars]
    totals = [max(1, sum(counts.values())) for _, counts in bars]
    data = []
    for place, kind in enumerate(KINDS):
        counts = [found.get(kind, 0) for _, found in bars]
        if not any(counts):
            continue
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": kind.heading,
                "y": titles,
                "x": [c / total for c, total in zip(counts, totals, strict=True)],
                "text": [f"{c:,}" if c else "" for c in counts],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "customdata": [100 * row + place for row in range(len(bars))],
                "marker": {
                    "color": KIND_COLOURS[kind],
                    "opacity": 1 if chosen in (None, kind) else _FADED,
                    "line": {"color": "rgba(128,128,128,0.5)", "width": 0.5},
                },
                "hovertemplate": f"{kind.heading}: %{{text}} images, %{{x:.1%}}<extra></extra>",
            }
        )
    return {
        "data": data,
        "layout": layout(
            barmode="stack",
            bargap=0.18,
            uniformtext={"mode": "hide", "minsize": 11},
            margin={"l": 0, "r": 0, "t": 2, "b": 2},
            xaxis={"visible": False, "range": [0, 1], "fixedrange": True},
            yaxis=axis(
                "", autorange="reversed", showgrid=False, fixedrange=True, visible=len(bars) > 1
            ),
            showlegend=False,  # the page has one that says the counts
        ),
    }


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
                hover="σ = %{x:.3g}: radius about %{y:.3f}",
            ),
            markers(
                [review.sigma],
                [review.radius],
                START_COLOUR,
                12,
                name=f"its own σ = {review.sigma:.3g}",
                hover="its own σ = %{x:.3g}: radius about %{y:.3f}",
            ),
            markers(
                [review.best_sigma],
                [review.best_radius],
                CHOSEN_COLOUR,
                13,
                symbol="star",
                name=f"best σ = {review.best_sigma:.3g}",
                hover="best σ = %{x:.3g}: radius about %{y:.3f}",
            ),
        ],
        "layout": layout(
            shapes=[horizontal(target, TEXT, "dot")],
            annotations=[_note(1, target, f"r = {target:g}", xref="paper", xanchor="right")],
            xaxis=axis("noise level σ (pixels in [0, 1])", type="log", nticks=8),
            yaxis=axis(_RADIUS, range=[-0.03 * top, top]),
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
                name="same shares of votes",
                hover="N = %{x:,.0f}: radius %{y:.3f}",
            ),
            markers(
                [n],
                [radius],
                START_COLOUR,
                12,
                name=f"this certificate, {counted(n, 'vote')}",
                hover="%{x:,} votes: certified radius %{y:.3f}",
            ),
        ],
        "layout": layout(
            shapes=[horizontal(target, TEXT, "dot")],
            annotations=[_note(1, target, f"r = {target:g}", xref="paper", xanchor="right")],
            xaxis=axis("number of samples N", type="log", exponentformat="power", dtick=1),
            yaxis=axis(_RADIUS, range=[-0.03 * top, top]),
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
        name = "certified" if proved else "certified, for a wrong class"
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
            annotations=[_note(target, 0.95, f"r = {target:g}", yref="paper", xanchor="left")],
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


def confusion_figure(
    counts: Mapping[tuple[int, int], int],
    labels: Sequence[int],
    answers: Sequence[int],
    names: Mapping[int, str],
    classes: int,
) -> Figure:
    """Images by label and answer, a square each; the darker, the larger a share of its label.

    Args:
        counts: by label and answer.
        labels, answers: that are shown, rows and columns.
        names: of all of them.
        classes: K; ``customdata`` is label * (K + 1) + answer + 1.
    """
    cells = [(a, b, counts.get((a, b), 0)) for a in labels for b in answers]
    cells = [cell for cell in cells if cell[2]]
    totals = {a: sum(n for (label, _), n in counts.items() if label == a) for a in labels}
    size = max(12, min(30, 280 // max(1, len(labels))))
    data = []
    for right, hue in ((True, GREEN), (False, ORANGE)):
        held = [cell for cell in cells if (cell[0] == cell[1]) == right]
        shares = [n / totals[a] for a, _, n in held]
        data.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": [names[b] for _, b, _ in held],
                "y": [names[a] for a, _, _ in held],
                "text": [f"{n:,}" for _, _, n in held],
                "textfont": {"size": 11},
                "customdata": [a * (classes + 1) + b + 1 for a, b, _ in held],
                "marker": {
                    "symbol": "square",
                    "size": size,
                    "color": [see_through(hue, 0.15 + 0.55 * share) for share in shares],
                },
                "name": "right" if right else "wrong or abstained",
                "hovertemplate": "label %{y}, answer %{x}: %{text} images<extra></extra>",
            }
        )
    return {
        "data": data,
        "layout": layout(
            showlegend=False,
            xaxis=axis(
                "answer of the smoothed classifier",
                type="category",
                categoryorder="array",
                categoryarray=[names[b] for b in answers],
                showgrid=False,
            ),
            yaxis=axis(
                "label",
                type="category",
                categoryorder="array",
                categoryarray=[names[a] for a in labels],
                autorange="reversed",
                showgrid=False,
            ),
        ),
    }


def failure_rates_figure(
    rates: Mapping[int, tuple[int, int]],
    names: Mapping[int, str],
    radius: float,
    title: str = "label",
) -> Figure:
    """The share of each label's images that are not certified, with 95 % intervals.

    Args:
        rates: failures and all images of each label; ``customdata`` holds the labels.
        names: of the labels.
        radius: r.
        title: of their axis, also where they are groups of another kind.
    """
    failed = np.array([count for count, _ in rates.values()])
    total = np.array([count for _, count in rates.values()])
    share = failed / total
    low, high = interval(failed, total, 0.05)
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": share,
                "y": [f"{names[label]}: {f} of {n}" for label, (f, n) in rates.items()],
                "customdata": list(rates),
                "marker": {"color": AMBER},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": high - share,
                    "arrayminus": share - low,
                    "color": TEXT,
                    "thickness": 1.5,
                    "width": 3,
                },
                "hovertemplate": "%{y}, %{x:.1%}<extra></extra>",
            }
        ],
        "layout": layout(
            showlegend=False,
            xaxis=axis(f"not certified at r = {radius:g}", range=[0, 1.02], tickformat=".0%"),
            yaxis=axis(title, type="category", autorange="reversed"),
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
