"""Which images of a run are not certified: the shares of the kinds, answers by label, rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from ddrs_core.figures.palette import (
    AMBER,
    BLUE,
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
    literal_text,
    see_through,
)
from ddrs_core.smoothing.confidence import interval
from ddrs_core.smoothing.diagnosis import FailureKind

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
_DARK = 0.5  # share from which a square of the confusion matrix has white text
_FADED = 0.35  # what is not chosen


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
    for right, dark in product((True, False), repeat=2):
        hue = GREEN if right else ORANGE
        held = [
            (a, b, n) for a, b, n in cells if (a == b) == right and (n / totals[a] >= _DARK) == dark
        ]
        shares = [n / totals[a] for a, _, n in held]
        data.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": [names[b] for _, b, _ in held],
                "y": [names[a] for a, _, _ in held],
                "text": [f"{n:,}" for _, _, n in held],
                "textfont": {"size": 11, "color": "#ffffff" if dark else TEXT},
                "customdata": [a * (classes + 1) + b + 1 for a, b, _ in held],
                "marker": {
                    "symbol": "square",
                    "size": size,
                    "color": [see_through(hue, 0.15 + 0.85 * share) for share in shares],
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
                    "color": MUTED,
                    "thickness": 2,
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
