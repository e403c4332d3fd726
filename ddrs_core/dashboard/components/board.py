"""A board: figures and texts that are updated in place, several times a second, as one element.

``st.plotly_chart`` rebuilds its chart on every change, and every element of a ticking fragment
is drawn again by the browser. A board is a single component: it calls ``Plotly.react`` on the
figures that it has, so zoom and hover survive, and touches only the texts that changed.
plotly.js is served from ``assets/vendor``; nothing is loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import streamlit as st
from markupsafe import escape

from ddrs_core.dashboard.components.render import component
from ddrs_core.figures import Figure, encode_figure

PLOTLY_JS = Path(__file__).resolve().parents[3] / "assets" / "vendor" / "plotly-basic.min.js"
PLOTLY_ROUTE = "/ddrs/plotly-basic-4.1.1.min.js"
HIDDEN_BUTTONS = ("select2d", "lasso2d", "sendChartToCloud")  # of every figure


class Board:
    """A kind of board; made once, at import.

    Args:
        template: its fixed markup; elements with ``data-figure="x"`` and ``data-text="y"`` are
            filled.
    """

    def __init__(self, template: str) -> None:
        self._mount = component("board", template)

    def show(
        self,
        *,
        key: str,
        name: str,
        texts: Mapping[str, str] = MappingProxyType({}),
        figures: Mapping[str, Figure] = MappingProxyType({}),
    ) -> None:
        """Draw the board, or update the one that stands under the same key.

        Args:
            key: identity of the place on the page.
            name: how saved figures begin, as ``name-figure.svg``.
            figures: from ``ddrs_core.figures``, by ``data-figure``.
            texts: by ``data-text``; ``Markup`` is inserted as it is, anything else as plain text.
        """
        base = (st.get_option("server.baseUrlPath") or "").strip("/")
        data = {
            "figures": {part: encode_figure(figure) for part, figure in figures.items()},
            "texts": {part: str(escape(text)) for part, text in texts.items()},
            "url": f"/{base}{PLOTLY_ROUTE}" if base else PLOTLY_ROUTE,
            "name": name,
            "hidden": HIDDEN_BUTTONS,
        }
        self._mount(key=key, data=data)


PROGRESS_BOARD = Board("progress_board.html")  # nothing but the progress of a job
