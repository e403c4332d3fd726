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


def literal_text(text: str) -> str:
    """Somebody's text for a place where Plotly would read markup."""
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
