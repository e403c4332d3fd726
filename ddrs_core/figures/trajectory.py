"""sigma_k and R_k against the step k of a sigma strategy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddrs_core.figures.beside import Beside, beside_steps
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
    see_through,
)
from ddrs_core.smoothing import SigmaStep
from ddrs_core.smoothing.confidence import Floats

_LEFT, _RIGHT = [0.0, 0.43], [0.57, 1.0]  # where the two plots stand


def trajectory_figure(
    steps: Sequence[SigmaStep],
    total: int,
    sigma_0: float,
    shown: int | None = None,
    *,
    rounds: bool = False,
    other: Beside | None = None,
) -> Figure:
    """Two plots side by side: the noise level, and the estimated radius.

    Where the steps carry a fit, each has its 90 % interval.

    Args:
        steps: the steps so far.
        total: K, which fixes the horizontal axis while the work runs.
        sigma_0: the start, drawn as a dotted line.
        shown: number of the step that the other views show, marked on both lines.
        rounds: the steps are a few rounds of votes.
        other: another run, drawn behind this one.
    """
    k = np.arange(1, len(steps) + 1, dtype=np.int32)
    sigma = np.array([s.sigma for s in steps])
    radius = np.array([s.radius for s in steps])
    chosen = steps[-1].chosen if steps else None
    ends = _intervals(steps)  # [2, steps] of sigma, and of the radius
    mode = "lines+markers" if rounds else "lines"
    data = [
        line(
            k,
            sigma,
            SIGMA_COLOUR,
            2.5,
            mode=mode,
            name="σ",
            hover="step %{x}: σ = %{y:.4f}",
            **_error_bars(sigma, ends[0], SIGMA_COLOUR),
        ),
        line(
            k,
            radius,
            RADIUS_COLOUR,
            2.5,
            mode=mode,
            name="radius estimate",
            xaxis="x2",
            yaxis="y2",
            hover="step %{x}: R about %{y:.4f}",
            **_error_bars(radius, ends[1], RADIUS_COLOUR),
        ),
    ]
    if steps:
        at = len(steps) - 1 if shown is None else max(0, min(shown, len(steps)) - 1)
        edge, x = (MUTED, 1.0), [int(k[at])]
        data += [
            markers(x, [float(sigma[at])], SIGMA_COLOUR, 11, edge=edge),
            markers(x, [float(radius[at])], RADIUS_COLOUR, 11, edge=edge, xaxis="x2", yaxis="y2"),
        ]
    shapes = [_level(sigma_0, START_COLOUR)]
    end, latest = None, float(sigma[-1]) if steps else sigma_0
    if chosen is not None:
        shapes.append(_level(chosen, CHOSEN_COLOUR))
        end, latest = Level(chosen, "σ*", CHOSEN_COLOUR), chosen
    theirs = other.steps if other is not None else ()
    values = [sigma_0, *([chosen] if chosen is not None else []), *sigma.tolist(), *ends[0].flat]
    values += [s.sigma for s in theirs]
    low, high = min(values), max(values)
    pad = 0.12 * max(high - low, 0.1 * high)
    total = max(total, len(theirs))
    top = max([0.1, *radius.tolist(), *ends[1].flat, *(s.radius for s in theirs)]) * 1.12
    horizontal_axis: Figure = {}
    if rounds:
        horizontal_axis |= {"range": [0.5, 0.5 + 1.06 * total], "dtick": max(1, total // 10)}
    else:
        horizontal_axis |= {"range": [0, total + 1]}
    name = "round" if rounds else "step k"
    return {
        "data": [*(beside_steps(other) if other is not None else []), *data],
        "layout": layout(
            showlegend=False,
            shapes=shapes,
            margin={"l": 46, "r": 8, "t": 8, "b": 38},
            annotations=label_levels(
                Level(sigma_0, "σ₀", START_COLOUR), end, rises=latest >= sigma_0
            ),
            xaxis=axis(name, domain=_LEFT, anchor="y", **horizontal_axis),
            xaxis2=axis(name, domain=_RIGHT, anchor="y2", matches="x", **horizontal_axis),
            yaxis=axis("noise level σ", range=[max(0, low - pad), high + pad], nticks=5),
            yaxis2=axis("estimate of R", range=[0, top], anchor="x2", nticks=5),
        ),
    }


def _level(sigma: float, colour: str) -> Figure:
    """A level across the left plot."""
    return horizontal(sigma, colour, "dot") | {"xref": "paper", "x0": _LEFT[0], "x1": _LEFT[1]}


def _intervals(steps: Sequence[SigmaStep]) -> tuple[Floats, Floats]:
    """Where sigma* and the radius lie after each step, [2, steps] each; [2, 0] without a fit."""
    fits = [s.fit for s in steps if s.fit is not None]
    if not fits or len(fits) < len(steps):
        return np.empty((2, 0)), np.empty((2, 0))
    at = [int(np.abs(f.levels - s.sigma).argmin()) for f, s in zip(fits, steps, strict=True)]
    radii = [(f.low[i], f.high[i]) for f, i in zip(fits, at, strict=True)]
    return np.stack([f.best for f in fits], axis=1), np.array(radii).T


def _error_bars(values: Floats, ends: Floats, colour: str) -> Figure:
    if not ends.size:
        return {}
    low, high = np.minimum(ends[0], values), np.maximum(ends[1], values)
    style = {"color": see_through(colour, 0.6), "thickness": 2, "width": 6}
    bars = {"array": high - values, "arrayminus": values - low}
    return {"error_y": {"type": "data", "symmetric": False, **bars, **style}}
