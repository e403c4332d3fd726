"""The radius as a function of sigma, with its band, its cap, and where the optimiser stands."""

from __future__ import annotations

import numpy as np

from ddrs_core.figures.palette import (
    CHOSEN_COLOUR,
    MUTED,
    ORANGE,
    RADIUS_COLOUR,
    SIGMA_COLOUR,
    START_COLOUR,
    Figure,
    axis,
    layout,
    line,
    markers,
    see_through,
)
from ddrs_core.smoothing import RadiusCurve


def curve_figure(
    curve: RadiusCurve | None,
    class_names: tuple[str, ...],
    bounds: tuple[float, float],
    *,
    sigma_0: float,
    current: float | None = None,
    chosen: float | None = None,
) -> Figure:
    """R(sigma) with a 95 % band and the cap of the planned certification.

    Args:
        curve: the estimate so far; None draws the empty frame.
        class_names: names of the K classes, for the hover text.
        bounds: range of sigma on the horizontal axis.
        sigma_0, current, chosen: noise levels to mark: the start, now, and the strategy's answer.
    """
    data: list[Figure] = []
    top = 0.5
    if curve is not None:
        top = max(0.1, float(curve.radius.max()) * 1.35, float(curve.high.max()) * 1.05)
        top = min(top, float(curve.radius.max()) * 2.0 + 0.1)
        data = [*_band(curve), _cap(curve), *_estimate(curve, class_names)]
    for sigma, name, colour, symbol in (
        (sigma_0, "sigma_0", START_COLOUR, "diamond"),
        (current, "now", SIGMA_COLOUR, "circle"),
        (chosen, "sigma*", CHOSEN_COLOUR, "star"),
    ):
        if sigma is not None:
            data += _mark(curve, sigma, name, colour, symbol, top)
    ticks = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0]
    return {
        "data": data,
        "layout": layout(
            xaxis=axis(
                "noise level sigma",
                type="log",
                range=[float(np.log10(bounds[0])), float(np.log10(bounds[1]))],
                tickvals=ticks,
                ticktext=[f"{t:g}" for t in ticks],
            ),
            yaxis=axis("radius R(sigma), l2", range=[0, top]),
        ),
    }


def radius_at(curve: RadiusCurve, sigma: float) -> float:
    """R at any sigma, interpolated on the logarithmic grid."""
    return float(np.interp(np.log(sigma), np.log(curve.sigmas), curve.radius))


def _band(curve: RadiusCurve) -> list[Figure]:
    fill = {"fill": "tonexty", "fillcolor": see_through(RADIUS_COLOUR, 0.25)}
    return [
        line(curve.sigmas, curve.high, RADIUS_COLOUR, 0, showlegend=False),
        line(curve.sigmas, curve.low, RADIUS_COLOUR, 0, name="95 % band", **fill),
    ]


def _cap(curve: RadiusCurve) -> Figure:
    hover = "most that N samples can prove at sigma %{x:.3f}: %{y:.3f}"
    return line(curve.sigmas, curve.cap, ORANGE, 1.5, dash="dash", name="cap for N", hover=hover)


def _estimate(curve: RadiusCurve, class_names: tuple[str, ...]) -> list[Figure]:
    names = [class_names[c] for c in curve.prediction]
    estimate = line(
        curve.sigmas,
        curve.radius,
        RADIUS_COLOUR,
        2.5,
        mode="lines+markers",
        name="R(sigma)",
        marker={"size": 5},
        text=names,
        hover="sigma %{x:.3f}: R about %{y:.3f} for class %{text}",
    )
    switched = curve.prediction != curve.prediction[0]
    other = {
        "type": "scatter",
        "mode": "markers",
        "x": curve.sigmas[switched],
        "y": curve.radius[switched],
        "name": "another class",
        "hoverinfo": "skip",
        "marker": {"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": ORANGE}},
    }
    return [estimate, other] if switched.any() else [estimate]


def _mark(
    curve: RadiusCurve | None, sigma: float, name: str, colour: str, symbol: str, top: float
) -> list[Figure]:
    stem = line([sigma, sigma], [0, top], colour, 1.5, dash="dot", showlegend=False)
    height = radius_at(curve, sigma) if curve is not None else 0.0
    hover, edge = f"{name} = {sigma:.4f}", (MUTED, 1.0)
    point = markers([sigma], [height], colour, 13, symbol=symbol, edge=edge, name=name, hover=hover)
    return [stem, point]
