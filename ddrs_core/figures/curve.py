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
    common = {"type": "scatter", "mode": "lines", "x": curve.sigmas, "hoverinfo": "skip"}
    hidden = {"line": {"width": 0, "color": RADIUS_COLOUR}, "showlegend": False}
    return [
        {**common, **hidden, "y": curve.high},
        {
            **common,
            "y": curve.low,
            "name": "95 % band",
            "line": {"width": 0},
            "fill": "tonexty",
            "fillcolor": "rgba(230,159,0,0.25)",
        },
    ]


def _cap(curve: RadiusCurve) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": curve.sigmas,
        "y": curve.cap,
        "name": "cap for N",
        "line": {"color": ORANGE, "width": 1.5, "dash": "dash"},
        "hovertemplate": "most that N samples can prove at sigma %{x:.3f}: %{y:.3f}<extra></extra>",
    }


def _estimate(curve: RadiusCurve, class_names: tuple[str, ...]) -> list[Figure]:
    names = [class_names[c] for c in curve.prediction]
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": curve.sigmas,
        "y": curve.radius,
        "name": "R(sigma)",
        "line": {"color": RADIUS_COLOUR, "width": 2.5},
        "marker": {"size": 5},
        "text": names,
        "hovertemplate": "sigma %{x:.3f}: R about %{y:.3f} for class %{text}<extra></extra>",
    }
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
    return [line, other] if switched.any() else [line]


def _mark(
    curve: RadiusCurve | None, sigma: float, name: str, colour: str, symbol: str, top: float
) -> list[Figure]:
    stem = {
        "type": "scatter",
        "mode": "lines",
        "x": [sigma, sigma],
        "y": [0, top],
        "line": {"color": colour, "width": 1.5, "dash": "dot"},
        "showlegend": False,
        "hoverinfo": "skip",
    }
    height = radius_at(curve, sigma) if curve is not None else 0.0
    point = {
        "type": "scatter",
        "mode": "markers",
        "x": [sigma],
        "y": [height],
        "name": name,
        "marker": {
            "color": colour,
            "size": 13,
            "symbol": symbol,
            "line": {"color": MUTED, "width": 1},
        },
        "hovertemplate": f"{name} = {sigma:.4f}<extra></extra>",
    }
    return [stem, point]
