"""Charts to click on: a point chooses the image that every view shows.

They hold kinds of traces that boards do not know, and stand still, so Streamlit draws them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ddrs_core.dashboard.components.board import HIDDEN_BUTTONS
from ddrs_core.figures import Figure
from ddrs_core.figures.palette import MUTED, TEXT

_GREY = "rgba(128,128,128,0.75)"  # seen on light and dark
_FEW_POINTS = 3_000  # up to which points are drawn without WebGL, which not every machine has
_THEMES = {"gridcolor", "linecolor", "standoff"}  # left to the page's theme


def show_chart(
    figure: Figure,
    *,
    key: str,
    name: str,
    alt: str,
    height: int,
    on_pick: Callable[[int], None] | None = None,
) -> None:
    """Draw a figure.

    Args:
        figure: from ``ddrs_core.figures``.
        key: identity of the place on the page.
        name: of the file that its camera saves.
        alt: what it shows, for those who cannot see it.
        height: in pixels.
        on_pick: called with the number of the image whose point was clicked.
    """
    chart = themed(figure)
    chart["layout"] |= {"height": height}
    config = {
        "displaylogo": False,
        "toImageButtonOptions": {"format": "svg", "filename": name},
        "modeBarButtonsToRemove": list(HIDDEN_BUTTONS),
    }
    if on_pick is None:
        st.plotly_chart(chart, key=key, config=config, alt=alt)
        return

    def picked() -> None:
        image = picked_image(st.session_state[key])
        if image is not None:
            on_pick(image)

    st.plotly_chart(
        chart, key=key, config=config, alt=alt, on_select=picked, selection_mode="points"
    )


def picked_image(event: Any) -> int | None:
    """The image of the last point in a selection; None where nothing is selected."""
    points = event["selection"].get("points", []) if event else []
    data = points[-1].get("customdata") if points else None
    if isinstance(data, list | tuple):
        data = data[0] if data else None
    elif isinstance(data, dict):
        data = next(iter(data.values()), None)
    return None if data is None else int(data)


def themed(figure: Figure) -> Figure:
    """The figure with the colours that only the page knows left to the page's theme."""
    points = sum(len(trace.get("x", ())) for trace in figure["data"])
    plain = points <= _FEW_POINTS
    made: Figure = _without_theme(figure)
    for trace in made["data"]:
        if trace.get("type") == "scattergl" and plain:
            trace["type"] = "scatter"
        if trace.get("mode") == "markers":  # a click marks the image in another way
            trace["unselected"] = {"marker": {"opacity": trace["marker"].get("opacity", 1)}}
    return made


def _without_theme(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_theme(part)
            for name, part in value.items()
            if not (isinstance(part, str) and part == TEXT) and name not in _THEMES
        }
    if isinstance(value, list):
        return [_without_theme(part) for part in value]
    return _GREY if isinstance(value, str) and value == MUTED else value
