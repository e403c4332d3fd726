"""What a strategy knows of the radius curve: its votes, its fit, and where it looks next."""

from __future__ import annotations

import numpy as np

from ddrs_core.figures.palette import (
    CHOSEN_COLOUR,
    SIGMA_COLOUR,
    Figure,
    line,
    markers,
    see_through,
)
from ddrs_core.smoothing import Bound, CurveFit
from ddrs_core.smoothing.sigma.radius_curve import estimated_radii

FIT_COLOUR = SIGMA_COLOUR
_POOLED = 3  # neighbouring levels whose votes are one point


def fit_traces(fit: CurveFit, top: float, bound: Bound) -> list[Figure]:
    """Where the best level lies, the fitted curve, the votes, and the levels that come next.

    Args:
        fit: of one image.
        top: of the vertical axis.
        bound: that the radii are for.
    """
    return [_best(fit, top), *_curve(fit), _votes(fit, bound), *_next(fit, top)]


def _best(fit: CurveFit, top: float) -> Figure:
    low, high = fit.best.tolist()
    return line(
        [low, low, high, high],
        [0, top, top, 0],
        CHOSEN_COLOUR,
        1,
        name="σ*, 90 %",
        fill="toself",
        fillcolor=see_through(CHOSEN_COLOUR, 0.16),
    )


def _curve(fit: CurveFit) -> list[Figure]:
    band: Figure = {
        "fill": "tonexty",
        "fillcolor": see_through(FIT_COLOUR, 0.2),
        "showlegend": False,
    }
    hover = "fitted: about %{y:.3f} to be proved at σ %{x:.3f}"
    return [
        line(fit.levels, fit.high, FIT_COLOUR, 0, showlegend=False),
        line(fit.levels, fit.low, FIT_COLOUR, 0, **band),
        line(fit.levels, fit.radius, FIT_COLOUR, 2.5, name="fit", hover=hover, showlegend=False),
    ]


def _votes(fit: CurveFit, bound: Bound) -> Figure:
    """The votes of a few neighbouring levels together, so that each point says something."""
    first = np.arange(0, len(fit.levels), _POOLED)
    parts = (fit.n, fit.held, fit.other, fit.n * np.log(fit.levels))
    n, held, other, middle = (np.add.reduceat(part, first) for part in parts)
    n, held, other, middle = (part[n > 0] for part in (n, held, other, middle))
    sigmas = np.exp(middle / n)
    radius, low, high = estimated_radii(sigmas, held, other, n, bound)
    return markers(
        sigmas,
        radius,
        FIT_COLOUR,
        5 + 6 * np.sqrt(n / n.max()),
        symbol=np.where(held < n, "circle", "circle-open").tolist(),
        edge=(FIT_COLOUR, 1.5),
        opacity=1,
        name="votes, fit",
        text=[f"{k:,} of {m:,}" for k, m in zip(held.tolist(), n.tolist(), strict=True)],
        hover="σ %{x:.3f}: %{text} votes, R about %{y:.3f}",
        error_y={
            "type": "data",
            "symmetric": False,
            "array": high - radius,
            "arrayminus": radius - low,
            "color": see_through(FIT_COLOUR, 0.7),
            "thickness": 1.5,
            "width": 0,
        },
    )


def _next(fit: CurveFit, top: float) -> list[Figure]:
    if not fit.planned.any():
        return []
    wanted = fit.planned > 0
    levels, votes = fit.levels[wanted], fit.planned[wanted]
    return [
        markers(
            levels,
            [0.02 * top] * len(levels),
            CHOSEN_COLOUR,
            7 + 7 * (votes / votes.max()) ** 0.5,
            symbol="triangle-up",
            name="next votes",
            showlegend=False,
            text=[f"{n:,}" for n in votes.tolist()],
            hover="%{text} votes come next at σ %{x:.3f}",
        )
    ]
