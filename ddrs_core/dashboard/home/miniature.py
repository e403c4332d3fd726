"""The home page's moving picture: a stored example of the explorer, with its real numbers."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.components.thumbnail_routes import thumbnail_url
from ddrs_core.dashboard.explorer.examples import get_example, stored_run
from ddrs_core.data import load_dataset
from ddrs_core.smoothing import round_down

_BOARD = Board("home/board.html")  # st.html leaves drawings out
_EXAMPLE = "gains-most"
_WIDTH, _HEIGHT, _MARGIN = 230, 160, 22  # of the curve, in pixels
_TOP = 1.15  # of the highest point


def show_miniature() -> None:
    """A digit in its certified ball, and its way up the radius curve."""
    _BOARD.show(key="home_miniature", name="home", texts={"miniature": miniature_html()})


def miniature_html() -> Markup:
    """The same as HTML."""
    view, run = get_example(_EXAMPLE).view, stored_run(_EXAMPLE)
    start, answer = run.at_start[-1].certificate, run.at_answer[-1].certificate
    assert start is not None
    assert answer is not None
    curve = run.curve.curve
    radius = np.minimum(curve.radius, curve.cap)
    ends = np.log([curve.sigmas[0], curve.sigmas[-1]])

    def point(sigma: float) -> str:
        x = (np.log(sigma) - ends[0]) / (ends[1] - ends[0])
        y = np.interp(np.log(sigma), np.log(curve.sigmas), radius) / (_TOP * radius.max())
        left = _MARGIN + x * (_WIDTH - 2 * _MARGIN)
        return f"{left:.1f} {_HEIGHT - _MARGIN - y * (_HEIGHT - 2 * _MARGIN):.1f}"

    way = np.geomspace(start.sigma, answer.sigma, 24)
    digits = load_dataset("digits", "test")
    return render(
        "home/miniature.html",
        src=thumbnail_url(digits, view.index),
        name=f"digit {digits.info.class_names[answer.prediction]}",
        radii=[round_down(c.radius) for c in (start, answer)],
        grades=[c.grade for c in (start, answer)],
        sigmas=[f"{c.sigma:.2f}" for c in (start, answer)],
        terms=f"{answer.bound} bound, N = {answer.n:,}",
        share=start.radius / answer.radius,
        curve="M " + " L ".join(point(float(s)) for s in curve.sigmas),
        way="M " + " L ".join(point(float(s)) for s in way),
        ends=[point(float(s)).split() for s in (start.sigma, answer.sigma)],
        width=_WIDTH,
        height=_HEIGHT,
        base=_HEIGHT - _MARGIN,
    )
