"""What tests of figures share."""

from __future__ import annotations

import json

import plotly.graph_objects as go

from ddrs_core.figures.palette import Figure, encode_figure


def validate(figure: Figure) -> None:
    """Plotly's own validation, with the theme's placeholders filled in."""
    text = encode_figure(figure).replace('"@text"', '"#000"').replace('"@muted"', '"#888"')
    assert "@" not in text
    go.Figure(json.loads(text))


def validate_with_axes(figure: Figure) -> None:
    """As :func:`validate`; both axes have titles."""
    validate(figure)
    for name in ("xaxis", "yaxis"):
        assert figure["layout"][name]["title"]["text"]


def named(figure: Figure) -> dict[str, Figure]:
    """The traces that have a name, by it."""
    return {trace["name"]: trace for trace in figure["data"] if trace.get("name")}
