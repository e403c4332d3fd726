"""A scrolling grid of thumbnails to click on, of which only the visible ones exist.

The browser asks for each thumbnail by its address (see ``thumbnail_routes``) once it comes into
view, so that 50,000 images cost no more than 50, and scrolling needs no run of the page's script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import streamlit as st

from ddrs_core.dashboard.components.render import component
from ddrs_core.dashboard.components.thumbnail_routes import gallery_url
from ddrs_core.data import Dataset

_mount = component("gallery")
Outcome = Literal["right", "wrong", "abstained"]


def show_gallery(
    dataset: Dataset,
    selected: int,
    *,
    only: int | None = None,
    known: Mapping[int, tuple[Outcome, str]] = MappingProxyType({}),
    captions: Mapping[int, str] | None = None,
    key: str,
    on_pick: Callable[[int], None],
) -> None:
    """Show thumbnails of a data set; ``on_pick`` is called with the one that is clicked.

    Args:
        dataset: whose images are shown.
        selected: the image that is marked, and scrolled to when it changes.
        only: show this class alone.
        known: of some images what a run has found, and how their title goes on.
        captions: show these images alone, in this order, each with two lines of text below it.
        key: identity of the place on the page.
        on_pick: called with the index of the image that was clicked.
    """

    def picked() -> None:
        on_pick(dataset.check_index(int(st.session_state[key]["picked"])))

    url, version = gallery_url(dataset)
    _mount(
        key=key,
        data={
            "url": url,
            "version": version,
            "selected": selected,
            "only": -1 if only is None else only,
            "known": {str(index): found for index, found in known.items()},
            "split": dataset.split,
            "images": None if captions is None else list(captions),
            "captions": None if captions is None else list(captions.values()),
        },
        on_picked_change=picked,
    )
