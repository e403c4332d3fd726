"""Colours and the parts that all figures share.

Colours are those of Okabe and Ito, safe for colour-blind readers in light and dark. ``TEXT`` and
``MUTED`` stand for the colours of the page's theme, which only the browser knows.
"""

from __future__ import annotations

import base64
import html
import json
from typing import Any

import numpy as np

from ddrs_core.smoothing import Grade

Figure = dict[str, Any]

BLUE, ORANGE, GREEN, PINK, AMBER, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
MORE_HUES = ("#7A5BD0", "#999933", "#8C564B", "#44AA99")  # where six do not do: less safe
SIGMA_COLOUR = SKY
RADIUS_COLOUR = AMBER
START_COLOUR = PINK
CHOSEN_COLOUR = GREEN
GRADE_COLOURS = {  # as assets/style.css has them for badges
    Grade.UNCONDITIONAL: BLUE,
    Grade.FOR_QUERIES_AFTER: MORE_HUES[0],
    Grade.CONDITIONAL: AMBER,
}
TEXT = "@text"
MUTED = "@muted"


def layout(**changes: Any) -> dict[str, Any]:
    """A transparent layout with tight margins; ``uirevision`` keeps the reader's zoom."""
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": TEXT, "size": 13},
        "margin": {"l": 56, "r": 16, "t": 30, "b": 46},
        "hovermode": "closest",
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 12},
        },
        "uirevision": "keep",
        **changes,
    }


def axis(title: str, **changes: Any) -> dict[str, Any]:
    """An axis with a title and quiet grid lines."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "gridcolor": MUTED,
        "linecolor": MUTED,
        "zeroline": False,
        "automargin": True,
        **changes,
    }


def line(x: Any, y: Any, colour: str, width: float, *, hover: str = "", **more: Any) -> Figure:
    """A line; ``dash`` and ``shape`` are those of its style, all else belongs to the trace."""
    style = {key: more.pop(key) for key in ("dash", "shape") if key in more}
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": colour, "width": width, **style},
        **_hover(hover),
        **more,
    }


def markers(
    x: Any,
    y: Any,
    colour: str,
    size: Any,
    *,
    hover: str = "",
    edge: tuple[str, float] | None = None,
    **more: Any,
) -> Figure:
    """Points; ``edge`` is the colour and the width of their outline, ``symbol`` and ``opacity``
    belong to the marker, all else to the trace."""
    style: Figure = {key: more.pop(key) for key in ("symbol", "opacity") if key in more}
    if edge is not None:
        style["line"] = {"color": edge[0], "width": edge[1]}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": {"color": colour, "size": size, **style},
        **_hover(hover),
        **more,
    }


def _hover(text: str) -> dict[str, str]:
    if not text:
        return {"hoverinfo": "skip"}
    return {"hovertemplate": text if "<extra>" in text else f"{text}<extra></extra>"}


def vertical(x: float, colour: str, dash: str, width: float = 1.5) -> Figure:
    """A line across the figure, from bottom to top."""
    style = {"color": colour, "width": width, "dash": dash}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": style}


def horizontal(y: float, colour: str, dash: str, width: float = 1.5, *, yref: str = "y") -> Figure:
    """A line across the figure, from left to right."""
    style = {"color": colour, "width": width, "dash": dash}
    ends = {"xref": "paper", "x0": 0, "x1": 1, "yref": yref, "y0": y, "y1": y}
    return {"type": "line", **ends, "line": style}


def rgb(hue: str) -> tuple[int, int, int]:
    """The parts of a colour such as ``#0072B2``."""
    red, green, blue = (int(hue[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def see_through(hue: str, opacity: float) -> str:
    """A colour for areas; of the theme's own, of which only the browser knows, none."""
    if hue in (TEXT, MUTED):
        return "rgba(0,0,0,0)"
    return f"rgba{(*rgb(hue), opacity)}".replace(" ", "")


def literal_text(text: str) -> str:
    """User text for fields that Plotly would read as markup."""
    return html.escape(text, quote=False)


def encode_figure(figure: Figure) -> str:
    """The figure as JSON that plotly.js reads; arrays travel as base64 of their bytes."""
    return json.dumps(figure, default=_encode_array, allow_nan=False)


def _encode_array(value: object) -> object:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"A figure cannot hold a {type(value).__name__}.")
    narrow = value.astype(np.float32 if value.dtype.kind == "f" else np.int32)
    code = "f4" if value.dtype.kind == "f" else "i4"
    return {"dtype": code, "bdata": base64.b64encode(narrow.tobytes()).decode()}
