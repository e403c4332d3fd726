"""The library's data sets: what is available, downloads, and adding folders of the server."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from ddrs_core.dashboard.common.download_jobs import show_download, start_download
from ddrs_core.dashboard.navigation import link_to_explorer
from ddrs_core.dashboard.shell.debounce import once_per_click
from ddrs_core.dashboard.shell.errors import literal, show_error
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.data import (
    DatasetInfo,
    add_dataset,
    download_dataset,
    list_datasets,
    list_downloads,
    load_dataset,
)
from ddrs_core.errors import DDRSError
from ddrs_core.paths import ALLOWED_VARIABLE, allowed_dirs, check_allowed


def show_datasets() -> None:
    """What can be opened, and what each looks like."""
    infos = list_datasets()
    st.dataframe(_table(infos), hide_index=True, width="stretch")
    for column, info in zip(st.columns(max(3, len(infos))), infos, strict=False):
        link_to_explorer(f"Explore {literal(info.title)}", column, dataset=info.name)


def show_downloads() -> None:
    """A button for each data set that can be had from the network."""
    for info in list_downloads():
        with st.container(border=True):
            text, action = st.columns([4, 1], vertical_alignment="center")
            text.markdown(f"**{info.title}** is not on this machine yet. {info.description}")
            key = f"download|{info.name}"
            if action.button(
                "Download",
                key=f"download_{info.name}",
                icon=":material/download:",
                type="primary",
                width="stretch",
            ):
                start_download(
                    key, f"download of {info.title}", partial(download_dataset, info.name)
                )
            show_download(key)


def show_add_dataset() -> None:
    """Add a folder or parquet file of the server, below the folders that are open to visitors."""
    roots = allowed_dirs()
    st.markdown(
        "A folder with one subfolder of pictures for each class (ImageFolder layout, with or "
        "without folders for splits; ImageNet's validation set and TinyImageNet included), or "
        "parquet files in Hugging Face's image layouts."
    )
    if not roots:
        st.info(
            "No folder of this server is open to its visitors. Whoever runs it can open one with "
            f"`{ALLOWED_VARIABLE}=/some/folder`, or add data with "
            "`python -m ddrs_core datasets add PATH`.",
            icon=":material/lock:",
        )
        return
    with st.form("add_dataset", border=False):
        path = st.text_input(
            "Path on the server",
            placeholder=str(roots[0]),
            help="Below: " + ", ".join(str(root) for root in roots),
        )
        left, right = st.columns(2)
        name = left.text_input("Name (optional)", placeholder="my-photos", max_chars=60)
        size = right.number_input(
            "Side in pixels (photographs)",
            8,
            1024,
            None,
            placeholder="224",
            help="Photographs are scaled and cut to a square; explorers ask for their model's.",
        )
        pressed = st.form_submit_button("Add", icon=":material/add:", type="primary")
    if not pressed:
        return
    try:
        with st.spinner("Looking at it"):
            allowed = check_allowed(path)
            info = once_per_click(
                f"add {allowed} as {name} at {size}",
                lambda: add_dataset(allowed, name=name or None, size=size),
            )
    except DDRSError as error:
        show_error(error)
        return
    st.session_state["library_added"] = (
        f"Added {literal(info.title)} as {info.name!r}. {literal(info.description)}"
    )
    redraw()


def _table(infos: list[DatasetInfo]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "data set": [i.title for i in infos],
            "name": [i.name for i in infos],
            "images": [_sizes(i) for i in infos],
            "classes": [i.num_classes for i in infos],
            "shape": [
                " x ".join(map(str, i.shape)) + (" or any" if i.resizable else "") for i in infos
            ],
            "origin": [i.origin for i in infos],
        }
    )


def _sizes(info: DatasetInfo) -> str:
    try:
        return ", ".join(f"{len(load_dataset(info.name, s)):,} {s}" for s in info.splits)
    except DDRSError:
        return "cannot be opened"
