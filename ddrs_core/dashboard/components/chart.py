"""A board of one figure, in which a click on a point may choose the image that all views show."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ddrs_core.dashboard.components.board import Board
from ddrs_core.figures import Figure

_BOARD = Board("chart.html")


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
        on_pick: called with the ``customdata`` of the point that was clicked.
    """

    def picked() -> None:
        if on_pick is not None and (point := st.session_state[key].picked) is not None:
            on_pick(int(point))

    _BOARD.show(
        key=key,
        name=name,
        figures={"chart": figure},
        chart={"height": height, "alt": alt, "picks": on_pick is not None},
        on={"picked": picked},
    )
