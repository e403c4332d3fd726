"""Balls in the plane, true to scale, and the colours of their classes and outcomes."""

from __future__ import annotations

import numpy as np

from ddrs_core.figures.palette import (
    AMBER,
    BLUE,
    GREEN,
    MORE_HUES,
    MUTED,
    ORANGE,
    PINK,
    SKY,
    TEXT,
    Figure,
    axis,
    layout,
    line,
    markers,
    see_through,
)
from ddrs_core.smoothing.certificate import ABSTAIN
from ddrs_core.smoothing.memory.rules import Outcome

_HUES = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY, *MORE_HUES)
_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "triangle-down", "star")
UNIT = "ℓ₂ distance (pixels in [0, 1])"
FILL = 0.15  # opacity
_TURN = np.linspace(0, 2 * np.pi, 181)

OUTCOME_HUES = {
    Outcome.UNTOUCHED: BLUE,
    Outcome.TRIMMED: AMBER,
    Outcome.ADOPTED: ORANGE,
    Outcome.ENLARGED: GREEN,
    Outcome.RESCUED: PINK,
}


def class_hue(prediction: int) -> str:
    """The colour of a class; ten colours repeat, and :func:`class_symbol` distinguishes them."""
    return MUTED if prediction == ABSTAIN else _HUES[prediction % len(_HUES)]


def class_symbol(prediction: int) -> str:
    """The marker of a class."""
    return "x" if prediction == ABSTAIN else _SYMBOLS[prediction // len(_HUES) % len(_SYMBOLS)]


def true_to_scale(where: str) -> Figure:
    """A layout whose axes have one unit; ``where`` begins the title of the first."""
    return layout(xaxis=axis(where + UNIT), yaxis=axis(UNIT, scaleanchor="x", scaleratio=1))


def circle(
    centre: tuple[float, float],
    radius: float,
    prediction: int,
    name: str,
    said: str,
    *,
    dash: str = "solid",
    width: float = 2.0,
) -> Figure:
    """The surface of a ball, in the colour of its class."""
    x, y = centre[0] + radius * np.cos(_TURN), centre[1] + radius * np.sin(_TURN)
    return line(x, y, class_hue(prediction), width, dash=dash, name=name, hover=said)


def filled(ball: Figure) -> Figure:
    """The same with its inside."""
    return ball | {"fill": "toself", "fillcolor": see_through(ball["line"]["color"], FILL)}


def centre_mark(at: tuple[float, float], prediction: int, name: str, said: str) -> Figure:
    """The centre of a ball, with the marker of its class."""
    return markers(
        [at[0]],
        [at[1]],
        class_hue(prediction),
        11,
        symbol=class_symbol(prediction),
        edge=(TEXT, 1.5),
        name=name,
        hover=said,
    )


def quiet(trace: Figure) -> Figure:
    """Not in the legend."""
    return trace | {"showlegend": False}
