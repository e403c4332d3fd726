"""The confidence interval on p_A closing in while the votes of a certification are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ddrs_core.figures.palette import (
    CHOSEN_COLOUR,
    MUTED,
    SIGMA_COLOUR,
    START_COLOUR,
    Figure,
    axis,
    horizontal,
    layout,
    see_through,
)
from ddrs_core.smoothing import Bound, VoteProgress

_COLOURS = (START_COLOUR, CHOSEN_COLOUR, SIGMA_COLOUR)
_HALF = {Bound.ONE_SIDED: "½: below, abstain", Bound.TWO_SIDED: "½"}


def interval_figure(
    runs: Mapping[str, Sequence[VoteProgress]], n: int, bound: Bound = Bound.TWO_SIDED
) -> Figure:
    """Interval on p_A against the number of samples, for certifications side by side.

    Args:
        runs: progress of each certification by its name, ``"σ₀"`` first.
        n: N, the end of the horizontal axis.
        bound: which bounds will prove the radius.
    """
    data: list[Figure] = []
    lowest = 0.45
    for (name, steps), colour in zip(runs.items(), _COLOURS, strict=False):
        counted = [s for s in steps if s.stage == "estimate" and s.done > 0]
        if not counted:
            continue
        done = np.array([s.done for s in counted], dtype=np.int32)
        low = np.array([s.p_low for s in counted])
        high = np.array([s.p_high for s in counted])
        share = np.array([s.counts[s.candidate] / s.done for s in counted])
        lowest = min(lowest, float(low.min()) - 0.02)
        common = {"type": "scatter", "x": done, "legendgroup": name}
        edge = {"mode": "lines", "line": {"width": 0, "color": colour}, "showlegend": False}
        data += [
            {**common, **edge, "y": high, "hoverinfo": "skip"},
            {
                **common,
                **edge,
                "y": low,
                "fill": "tonexty",
                "fillcolor": see_through(colour, 0.25),
                "hovertemplate": "after %{x:,} samples: p_A above %{y:.4f}<extra></extra>",
            },
            {
                **common,
                "mode": "lines+markers",
                "y": share,
                "name": f"p_A at {name}",
                "line": {"color": colour, "width": 2.5},
                "marker": {"size": 5},
                "hovertemplate": "after %{x:,} samples: %{y:.4f}<extra></extra>",
            },
        ]
    return {
        "data": data,
        "layout": layout(
            xaxis=axis("votes counted", range=[0, n * 1.03]),
            yaxis=axis("p_A", range=[max(0.0, lowest), 1.02]),
            shapes=[horizontal(0.5, MUTED, "dash")],
            annotations=[
                {
                    "xref": "paper",
                    "x": 1,
                    "xanchor": "right",
                    "y": 0.5,
                    "yanchor": "bottom",
                    "text": _HALF[bound],
                    "showarrow": False,
                    "font": {"size": 11},
                }
            ],
        ),
    }
