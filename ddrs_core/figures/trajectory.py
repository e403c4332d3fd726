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
    horizontal,
    layout,
    line,
    markers,
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
        line(k, sigma, SIGMA_COLOUR, 2.5, name="sigma", hover="sigma_%{x} = %{y:.4f}"),
        line(
            k,
            radius,
            RADIUS_COLOUR,
            2.5,
            name="radius estimate",
            yaxis="y2",
            hover="R_%{x} = %{y:.4f}",
        ),
    ]
    if steps:
        at = len(steps) - 1 if shown is None else max(0, min(shown, len(steps)) - 1)
        edge, x = (MUTED, 1.0), [int(k[at])]
        data += [
            markers(x, [float(sigma[at])], SIGMA_COLOUR, 11, edge=edge),
            markers(x, [float(radius[at])], RADIUS_COLOUR, 11, edge=edge, yaxis="y2"),
        ]
    shapes = [horizontal(sigma_0, START_COLOUR, "dot")]
    end, latest = None, float(sigma[-1]) if steps else sigma_0
    if chosen is not None:
        shapes.append(horizontal(chosen, CHOSEN_COLOUR, "dot"))
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
