"""A board: figures and texts that are updated in place, several times a second, as one element.

``st.plotly_chart`` loads the whole of plotly.js, rebuilds its chart on every change, and every
element of a ticking fragment is drawn again by the browser. A board is a single component: it
calls ``Plotly.react`` on the figures that it has, so zoom and hover survive, and touches only the
texts that changed.
plotly.js is served from ``assets/vendor``; nothing is loaded from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import streamlit as st
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from ddrs_core.dashboard.components.render import component
from ddrs_core.figures import Figure, encode_figure

PLOTLY_JS = Path(__file__).resolve().parents[3] / "assets" / "vendor" / "plotly-basic.min.js"
PLOTLY_ROUTE = "/ddrs/plotly-basic-4.1.1.min.js"
_SCRIPTS = {
    f"/ddrs/{sha256(path.read_bytes()).hexdigest()[:12]}/{path.name}": path
    for path in map(Path(__file__).with_name, ("explorer_board.js", "moved_board.js"))
}
EXPLORER_ROUTE, MOVED_ROUTE = _SCRIPTS
_HIDDEN_BUTTONS = ("select2d", "lasso2d", "sendChartToCloud")  # of every figure


class Board:
    """A kind of board; made once, at import.

    Args:
        template: its fixed markup; elements with ``data-figure="x"`` and ``data-text="y"`` are
            filled.
        script: address of a module that makes the board one to touch; it gets what the browser
            gives to the board, and ``live`` as JSON.
        **values: what the template needs.
    """

    def __init__(self, template: str, script: str = "", **values: Any) -> None:
        self._mount = component("board", template, **values)
        self._script = script

    def show(
        self,
        *,
        key: str,
        name: str,
        texts: Mapping[str, str] = MappingProxyType({}),
        figures: Mapping[str, Figure] = MappingProxyType({}),
        live: Mapping[str, Any] = MappingProxyType({}),
        chart: Mapping[str, Any] = MappingProxyType({}),
        on: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> Any:
        """Draw the board, or update the one that stands under the same key.

        Args:
            key: identity of the place on the page.
            name: how saved figures begin, as ``name-figure.svg``.
            figures: from ``ddrs_core.figures``, by ``data-figure``.
            texts: by ``data-text``; ``Markup`` is inserted as it is, anything else as plain text.
            live: what the script needs to know.
            chart: ``height`` and ``alt`` of the only figure, and whether it ``picks``, that is,
                reports the ``customdata`` of a clicked point as ``picked``.
            on: what is called when the script reports something, by its name.

        Returns:
            What the script has reported.
        """
        data = {
            "figures": {part: encode_figure(figure) for part, figure in figures.items()},
            "texts": {part: str(escape(text)) for part, text in texts.items()},
            "url": address_of(PLOTLY_ROUTE),
            "name": name,
            "hidden": _HIDDEN_BUTTONS,
            "chart": dict(chart),
        }
        if self._script:
            data |= {"script": address_of(self._script), "live": json.dumps(live, allow_nan=False)}
        return self._mount(
            key=key, data=data, **{f"on_{said}_change": do for said, do in on.items()}
        )


def address_of(route: str) -> str:
    """Where a browser finds a route of this server, which may stand below a base path."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{route}" if base else route


def _script(path: Path) -> Callable[[Request], FileResponse]:
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return lambda _: FileResponse(path, media_type="text/javascript", headers=headers)


ROUTES = [
    Route(PLOTLY_ROUTE, _script(PLOTLY_JS)),
    *(Route(route, _script(path)) for route, path in _SCRIPTS.items()),
]


PROGRESS_BOARD = Board("progress_board.html")  # nothing but the progress of a job
