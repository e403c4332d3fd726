"""Votes for the certified class as the image moves away, and what the certificate promises."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from ddrs_core.figures.palette import (
    GRADE_COLOURS,
    MUTED,
    ORANGE,
    SIGMA_COLOUR,
    TEXT,
    Figure,
    axis,
    horizontal,
    layout,
    line,
    markers,
    see_through,
)
from ddrs_core.smoothing import Certificate
from ddrs_core.smoothing.moved_votes import STEPS_IN_R, WAYS, MovedVotes

_COLOURS = dict(zip(WAYS, (ORANGE, SIGMA_COLOUR), strict=True))
_NAMES = {"gradient": "along the gradient", "random": "at random"}


def moved_figure(
    made: Certificate, votes: MovedVotes | None, class_names: tuple[str, ...]
) -> Figure:
    """The share of votes on each way; up to R also the least that the certificate implies.

    The last trace marks the distance that is looked at, which the browser moves.
    """
    name, colour, radius = class_names[made.prediction], GRADE_COLOURS[made.grade], made.radius
    inside = np.linspace(0, radius, 33)
    floor = ndtr(ndtri(made.p_lower) - inside / made.sigma)
    hover = "proved: at least %{y:.3f} at a distance of %{x:.3f}"
    data = [line(inside, floor, colour, 3, name="proved, at least", hover=hover)]
    for way, counts in zip(WAYS, votes.counts if votes is not None else (), strict=False):
        assert votes is not None
        share = counts[:, made.prediction] / votes.n
        hover = f"{_NAMES[way]}, %{{x:.3f}} away: %{{y:.1%}} for class {name}"
        style = {"mode": "lines+markers", "marker": {"size": 5}}
        data.append(
            line(votes.distances, share, _COLOURS[way], 1.5, name=_NAMES[way], hover=hover, **style)
        )
    here = markers([0], [1], TEXT, 13, symbol="circle-open", edge=(TEXT, 3), showlegend=False)
    covered: Figure = {
        "type": "rect",
        "x0": 0,
        "x1": radius,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"width": 0},
        "fillcolor": see_through(colour, 0.14),
        "layer": "below",
    }
    label: Figure = {
        "x": radius,
        "xanchor": "right",
        "yref": "paper",
        "y": 0,
        "yanchor": "bottom",
        "text": "<b>R</b> ",
        "showarrow": False,
    }
    ticks = [radius * k / STEPS_IN_R for k in range(0, 13, 4)]
    return {
        "data": [*data, here],
        "layout": layout(
            margin={"l": 50, "r": 12, "t": 26, "b": 40},
            shapes=[covered, horizontal(0.5, MUTED, "dash")],
            annotations=[label],
            xaxis=axis(
                "distance from the image (ℓ₂)",
                range=[-0.02 * radius, 1.53 * radius],
                tickvals=ticks,
                ticktext=["0", "R/2", "R", "1.5 R"],
                fixedrange=True,
            ),
            yaxis=axis(
                f"votes for class {name}", range=[0, 1.08], tickformat=".0%", fixedrange=True
            ),
        ),
    }
