"""The radius as a function of sigma: what can be proved, the estimate, the cap, and where the
optimiser stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddrs_core.figures.beside import Beside, beside_curve
from ddrs_core.figures.curve_fit import fit_traces
from ddrs_core.figures.palette import (
    CHOSEN_COLOUR,
    GRADE_COLOURS,
    MUTED,
    ORANGE,
    RADIUS_COLOUR,
    SIGMA_COLOUR,
    START_COLOUR,
    TEXT,
    Figure,
    axis,
    layout,
    line,
    markers,
    see_through,
)
from ddrs_core.smoothing import Bound, Certificate, CurveFit, Provable, RadiusCurve, round_down

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
    proved: Provable | None = None,
    certificates: Sequence[Certificate] = (),
    bound: Bound = Bound.TWO_SIDED,
    other: Beside | None = None,
) -> Figure:
    """R(sigma): what N votes would prove as the line, the estimate with its 95 % band thin.

    Args:
        curve: the estimate so far; None draws the empty frame.
        class_names: names of the K classes, for the hover text.
        bounds: range of sigma on the horizontal axis.
        sigma_0, current, chosen: noise levels to mark: the start, now, and the strategy's answer.
        fit: what a strategy that fits the curve knows; the curve then is its background.
        proved: what the planned certification is expected to prove along the curve.
        certificates: of this image, as points in the colour of their guarantee.
        bound: of the planned certification, for which both are drawn.
        other: another run, drawn behind this one.
    """
    data: list[Figure] = []
    line_of = (curve.sigmas, curve.radius if proved is None else proved.radius) if curve else None
    if fit is not None:
        line_of = fit.levels, fit.radius
    radii = [c.radius for c in certificates] + (other.radii if other is not None else [])
    for known in (proved, fit, curve if proved is None else None):
        radii += [] if known is None else known.radius.tolist()
    top = _top(curve, radii)
    if curve is not None:
        band = [] if fit is not None else _band(curve)
        data = [*band, _cap(curve), *_estimate(curve, class_names)]
        if proved is not None:
            data.append(_provable(curve, proved))
    if fit is not None:
        data += fit_traces(fit, top, bound)
    for sigma, name, colour, symbol in (
        (sigma_0, "σ₀", START_COLOUR, "diamond"),
        (current, "now", SIGMA_COLOUR, "circle"),
        (chosen, "σ*", CHOSEN_COLOUR, "star"),
    ):
        if sigma is not None:
            height = (
                float(np.interp(np.log(sigma), np.log(line_of[0]), line_of[1])) if line_of else 0.0
            )
            data += _mark(sigma, height, name, colour, symbol, top)
    ticks = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0]
    low, high = (float(np.log10(bound)) for bound in bounds)
    at_left = chosen is not None and (chosen <= sigma_0 or chosen > 0.9 * bounds[1])
    behind, names = beside_curve(other) if other is not None else ([], [])
    return {
        "data": [*behind, *data, *map(_certificate, certificates)],
        "layout": layout(
            legend={**layout()["legend"], "font": {"size": 11}},
            dragmode=False,  # a pointer moves sigma
            margin={"l": 50, "r": 8, "t": 26, "b": 40},
            annotations=[
                _name(sigma_0, "σ₀", START_COLOUR, left=chosen is not None and sigma_0 < chosen),
                *([_name(chosen, "σ*", CHOSEN_COLOUR, left=at_left)] if chosen else []),
                *names,
            ],
            xaxis=axis(
                "noise level σ",
                type="log",
                range=[low - _EDGE, high + _EDGE],
                tickvals=ticks,
                ticktext=[f"{t:g}" for t in ticks],
                fixedrange=True,
            ),
            yaxis=axis(f"radius R (ℓ₂), {bound}", range=[0, top], fixedrange=True),
        ),
    }


def _top(curve: RadiusCurve | None, radii: Sequence[float]) -> float:
    """Of the vertical axis: what can be proved fills most of the figure."""
    if not len(radii):
        return 0.5
    highest = 1.3 * max(radii)
    return max(0.1, highest if curve is None else min(highest, 1.1 * float(curve.cap.max())))


def _band(curve: RadiusCurve) -> list[Figure]:
    fill = {"fill": "tonexty", "fillcolor": see_through(RADIUS_COLOUR, 0.18)}
    return [
        line(curve.sigmas, curve.high, RADIUS_COLOUR, 0, showlegend=False),
        line(curve.sigmas, curve.low, RADIUS_COLOUR, 0, name="95 % band", showlegend=False, **fill),
    ]


def _cap(curve: RadiusCurve) -> Figure:
    hover = "most that N votes can prove at σ %{x:.3f}: %{y:.3f}"
    return line(curve.sigmas, curve.cap, ORANGE, 1.5, dash="dash", name="cap", hover=hover)


def _estimate(curve: RadiusCurve, class_names: tuple[str, ...]) -> list[Figure]:
    estimate = line(
        curve.sigmas,
        curve.radius,
        RADIUS_COLOUR,
        1,
        name="estimate",
        text=[class_names[c] for c in curve.prediction],
        hover="σ %{x:.3f}: R about %{y:.3f} for class %{text}",
    )
    switched = curve.prediction != curve.prediction[0]
    other = {
        "type": "scatter",
        "mode": "markers",
        "x": curve.sigmas[switched],
        "y": curve.radius[switched],
        "name": "other class",
        "showlegend": False,
        "hoverinfo": "skip",
        "marker": {"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": ORANGE}},
    }
    return [estimate, other] if switched.any() else [estimate]


def _provable(curve: RadiusCurve, proved: Provable) -> Figure:
    hover = "σ %{x:.3f}: about %{y:.3f} to be proved"
    return line(curve.sigmas, proved.radius, RADIUS_COLOUR, 3, name="provable", hover=hover)


def _certificate(made: Certificate) -> Figure:
    said = f"certified at σ = {made.sigma:.4f}: R = {round_down(made.radius)}"
    return markers(
        [made.sigma],
        [made.radius],
        GRADE_COLOURS[made.grade],
        11,
        symbol="square",
        edge=(TEXT, 2),
        name="certified",
        hover=f"{said}, {made.grade}",
        showlegend=False,
    )


def _name(sigma: float, text: str, colour: str, *, left: bool) -> Figure:
    """The name of a marked level, at the foot of its line."""
    return {
        "x": float(np.log10(sigma)),
        "xanchor": "right" if left else "left",
        "xshift": -3 if left else 3,
        "yref": "paper",
        "y": 0,
        "yanchor": "bottom",
        "text": f"<b>{text}</b>",
        "showarrow": False,
        "font": {"color": colour, "size": 14},
    }


def _mark(
    sigma: float, height: float, name: str, colour: str, symbol: str, top: float
) -> list[Figure]:
    stem = line([sigma, sigma], [0, top], colour, 1.5, dash="dot", showlegend=False)
    hover, edge = f"{name} = {sigma:.4f}", (MUTED, 1.0)
    point = markers([sigma], [height], colour, 12, symbol=symbol, edge=edge, name=name, hover=hover)
    point["showlegend"] = False
    return [stem, point]
