"""The radius as a function of sigma, with its band, its cap, and where the optimiser stands."""

from __future__ import annotations

import numpy as np

from ddrs_core.figures.curve_fit import fit_traces
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
from ddrs_core.smoothing import CurveFit, RadiusCurve

_EDGE = 0.02  # decades beyond the outermost noise levels, so that their points are whole


def curve_figure(
    curve: RadiusCurve | None,
    class_names: tuple[str, ...],
    bounds: tuple[float, float],
    *,
    sigma_0: float,
    current: float | None = None,
    chosen: float | None = None,
    fit: CurveFit | None = None,
) -> Figure:
    """R(sigma) with a 95 % band and the cap of the planned certification.

    Args:
        curve: the estimate so far; None draws the empty frame.
        class_names: names of the K classes, for the hover text.
        bounds: range of sigma on the horizontal axis.
        sigma_0, current, chosen: noise levels to mark: the start, now, and the strategy's answer.
        fit: what a strategy that fits the curve knows; the curve then is its background.
    """
    data: list[Figure] = []
    top = _top(curve, fit)
    if curve is not None:
        data = [*_band(curve), _cap(curve), *_estimate(curve, class_names)]
    if fit is not None:
        data = [*(_behind(trace) for trace in data), *fit_traces(fit, top)]
    for sigma, name, colour, symbol in (
        (sigma_0, "sigma_0", START_COLOUR, "diamond"),
        (current, "now", SIGMA_COLOUR, "circle"),
        (chosen, "sigma*", CHOSEN_COLOUR, "star"),
    ):
        if sigma is not None:
            height = _height(curve, fit, sigma)
            data += _mark(sigma, height, name, colour, symbol, top)
    ticks = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0]
    return {
        "data": data,
        "layout": layout(
            xaxis=axis(
                "noise level sigma",
                type="log",
                range=[float(np.log10(bounds[0])) - _EDGE, float(np.log10(bounds[1])) + _EDGE],
                tickvals=ticks,
                ticktext=[f"{t:g}" for t in ticks],
            ),
            yaxis=axis("radius R(sigma), l2", range=[0, top]),
        ),
    }


def _top(curve: RadiusCurve | None, fit: CurveFit | None) -> float:
    """Of the vertical axis: what is known best fills most of the figure."""
    highest = 0.0 if curve is None else float(curve.radius.max())
    if fit is not None:
        return max(0.1, 1.3 * max(highest, float(fit.radius.max())))
    if curve is None:
        return 0.5
    return min(max(0.1, 1.35 * highest, 1.05 * float(curve.high.max())), 2.0 * highest + 0.1)


def _height(curve: RadiusCurve | None, fit: CurveFit | None, sigma: float) -> float:
    """The radius at any sigma, interpolated on a logarithmic grid: the fitted one if there is."""
    if fit is not None:
        return float(np.interp(np.log(sigma), np.log(fit.levels), fit.radius))
    if curve is not None:
        return float(np.interp(np.log(sigma), np.log(curve.sigmas), curve.radius))
    return 0.0


def _behind(trace: Figure) -> Figure:
    """A trace of the curve as a background, without its points, and its band without a name."""
    if trace["mode"] == "markers":
        return trace
    if "fill" in trace:
        return {**trace, "fillcolor": see_through(RADIUS_COLOUR, 0.15), "showlegend": False}
    return {**trace, "mode": "lines"}


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
        "name": "other class",
        "hoverinfo": "skip",
        "marker": {"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": ORANGE}},
    }
    return [estimate, other] if switched.any() else [estimate]


def _mark(
    sigma: float, height: float, name: str, colour: str, symbol: str, top: float
) -> list[Figure]:
    stem = line([sigma, sigma], [0, top], colour, 1.5, dash="dot", showlegend=False)
    hover, edge = f"{name} = {sigma:.4f}", (MUTED, 1.0)
    point = markers([sigma], [height], colour, 13, symbol=symbol, edge=edge, name=name, hover=hover)
    return [stem, point]
