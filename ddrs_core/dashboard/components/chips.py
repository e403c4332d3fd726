"""A row of links to views of the same page, which open without another visit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import streamlit as st

from ddrs_core.dashboard.components.render import component

_mount = component("chips")


class Chip(NamedTuple):
    """A link of the row."""

    name: str
    title: str
    help: str
    href: str


def show_chips(
    label: str, chips: Sequence[Chip], current: str, *, key: str, on_pick: Callable[[str], None]
) -> None:
    """Draw the row; ``on_pick`` is called with the name of the one that is pressed.

    Args:
        label: of the row, for those who cannot see it.
        chips: the links.
        current: name of the one that the page shows, or "".
        key: identity of the place on the page.
        on_pick: called before the page is drawn.
    """
    data = {"label": label, "current": current, "chips": [chip._asdict() for chip in chips]}
    _mount(key=key, data=data, on_picked_change=lambda: on_pick(st.session_state[key]["picked"]))
