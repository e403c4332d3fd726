"""sigma_k and R_k against the step k of a sigma strategy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddrs_core.figures.level_labels import Level, label_levels
from ddrs_core.figures.palette import (
    CHOSEN_COLOUR,
    MUTED,
    RADIUS_COLOUR,
    SIGMA_COLOUR,
    START_COLOUR,
    Figure,
    axis,
    layout,
)
from ddrs_core.smoothing import SigmaStep


def trajectory_figure(
    steps: Sequence[SigmaStep], total: int, sigma_0: float, shown: int | None = None
) -> Figure:
    """Two plots over a common axis: the noise level above, the estimated radius below.

    Args:
        steps: the steps so far.
        total: K, which fixes the horizontal axis while the work runs.
        sigma_0: the start, drawn as a dotted line.
        shown: number of the step that the other views show, marked on both lines.
    """
    k = np.array([s.step for s in steps], dtype=np.int32)
    sigma = np.array([s.sigma for s in steps])
    radius = np.array([s.radius for s in steps])
    chosen = steps[-1].chosen if steps else None
    data = [
        _line(k, sigma, "sigma", SIGMA_COLOUR, "y", "sigma_%{x} = %{y:.4f}"),
        _line(k, radius, "radius estimate", RADIUS_COLOUR, "y2", "R_%{x} = %{y:.4f}"),
    ]
    if steps:
        at = len(steps) - 1 if shown is None else max(0, min(shown, len(steps)) - 1)
        data += [
            _dot(k[at], sigma[at], SIGMA_COLOUR, "y"),
            _dot(k[at], radius[at], RADIUS_COLOUR, "y2"),
        ]
    shapes = [_level(sigma_0, START_COLOUR)]
    end, latest = None, float(sigma[-1]) if steps else sigma_0
    if chosen is not None:
        shapes.append(_level(chosen, CHOSEN_COLOUR))
        end, latest = Level(chosen, "sigma*", CHOSEN_COLOUR), chosen
    values = [sigma_0, *([chosen] if chosen is not None else []), *sigma.tolist()]
    low, high = min(values), max(values)
    pad = 0.12 * max(high - low, 0.1 * high)
    top = max([0.1, *radius.tolist()]) * 1.12
    return {
        "data": data,
        "layout": layout(
            showlegend=False,
            shapes=shapes,
            annotations=label_levels(
                Level(sigma_0, "sigma_0", START_COLOUR), end, rises=latest >= sigma_0
            ),
            xaxis=axis("step k", range=[0, total + 1], anchor="y2", domain=[0, 1]),
            yaxis=axis(
                "noise level sigma", domain=[0.54, 1], range=[max(0, low - pad), high + pad]
            ),
            yaxis2=axis("radius estimate R", domain=[0, 0.46], range=[0, top], anchor="x"),
        ),
    }


def _line(x: np.ndarray, y: np.ndarray, name: str, colour: str, yaxis: str, hover: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "yaxis": yaxis,
        "line": {"color": colour, "width": 2.5},
        "hovertemplate": hover + "<extra></extra>",
    }


def _dot(x: np.int32, y: float, colour: str, yaxis: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [int(x)],
        "y": [float(y)],
        "yaxis": yaxis,
        "marker": {"color": colour, "size": 11, "line": {"color": MUTED, "width": 1}},
        "hoverinfo": "skip",
    }


def _level(y: float, colour: str) -> Figure:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "yref": "y",
        "y0": y,
        "y1": y,
        "line": {"color": colour, "width": 1.5, "dash": "dot"},
    }
