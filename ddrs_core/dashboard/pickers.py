"""The explorer's sidebar: data set, model, device and image."""

from __future__ import annotations

import math
import random

import numpy as np
import streamlit as st

from ddrs_core.dashboard import keys
from ddrs_core.dashboard.explorer_state import fitting_models, start_sigma
from ddrs_core.dashboard.gallery import PAGE_SIZE, show_gallery
from ddrs_core.data import Dataset, list_datasets, load_dataset
from ddrs_core.models import ModelCard, device_info, get_card, list_devices, resolve_device

_ALL = "all classes"


def pick_source() -> None:
    """Data set, model and device."""
    state = st.session_state
    titles = {info.name: info.title for info in list_datasets()}
    st.selectbox(
        "Data set", list(titles), key=keys.DATASET, format_func=titles.__getitem__,
        on_change=_dataset_changed,
    )  # fmt: skip
    cards = fitting_models(load_dataset(state[keys.DATASET]).info)
    st.selectbox("Model", [c.name for c in cards], key=keys.MODEL, on_change=_model_changed)
    st.caption(describe_model(get_card(state[keys.MODEL])))
    devices = {"auto": f"automatic ({resolve_device('auto')})"}
    devices |= {d.name: f"{d.name}: {d.title}" for d in list_devices()}
    st.selectbox("Device", list(devices), key=keys.DEVICE, format_func=devices.__getitem__)


def describe_model(card: ModelCard) -> str:
    """Training and accuracy of a model in one line."""
    noise = f"sigma {card.sigma:g}" if card.sigma else "no noise"
    parts = [f"{card.architecture}, {card.parameters / 1000:,.0f} k parameters"]
    parts.append(f"trained by {card.method} with {noise}")
    if "clean" in card.accuracy:
        parts.append(f"accuracy {card.accuracy['clean']:.1%}")
    if card.own_noise_accuracy is not None:
        parts[-1] += f", {card.own_noise_accuracy:.1%} under its own noise"
    return "; ".join(parts) + "."


def pick_image() -> None:
    """Class filter, thumbnails, an index field, and "surprise me"."""
    state = st.session_state
    data = load_dataset(state[keys.DATASET])
    state[keys.INDEX] = min(max(0, int(state[keys.INDEX])), len(data) - 1)
    st.number_input(
        f"Image (0 to {len(data) - 1})", 0, len(data) - 1, key=keys.INDEX, step=1,
        on_change=_show_selected,
    )  # fmt: skip
    st.button(
        "Surprise me", icon=":material/shuffle:", width="stretch", on_click=_surprise,
        help="A random image of the chosen class.",
    )  # fmt: skip
    names = [_ALL, *data.info.class_names]
    st.selectbox("Show", names, key=keys.CLASS_FILTER, on_change=_first_page)
    shown = _filtered(data)
    pages = max(1, math.ceil(len(shown) / PAGE_SIZE))
    page = min(int(state.get(keys.PAGE, _page_of_selected(data))), pages - 1)
    state[keys.PAGE] = page
    show_gallery(
        state[keys.DATASET],
        shown[page * PAGE_SIZE : (page + 1) * PAGE_SIZE].tolist(),
        int(state[keys.INDEX]),
        key="explorer_gallery",
        on_pick=_pick,
    )
    before, middle, after = st.columns([1, 2, 1], vertical_alignment="center")
    before.button(
        "", icon=":material/chevron_left:", key="gallery_before", help="Earlier images",
        disabled=page == 0, on_click=_turn, args=(-1,), width="stretch",
    )  # fmt: skip
    middle.caption(f"page {page + 1} of {pages}", text_alignment="center")
    after.button(
        "", icon=":material/chevron_right:", key="gallery_after", help="Later images",
        disabled=page >= pages - 1, on_click=_turn, args=(1,), width="stretch",
    )  # fmt: skip


def describe_device(name: str) -> str:
    """A device's name, memory and kind in one line."""
    device = device_info(str(resolve_device(name)))
    kind = "GPU" if device.is_gpu else "no GPU is used"
    return f"{device.title}, {device.memory_gib:.0f} GiB ({kind})"


def _filtered(data: Dataset) -> np.ndarray:
    wanted = st.session_state.get(keys.CLASS_FILTER, _ALL)
    if wanted == _ALL:
        return np.arange(len(data))
    return np.flatnonzero(data.labels == data.info.class_names.index(wanted))


def _page_of_selected(data: Dataset) -> int:
    place = np.flatnonzero(_filtered(data) == int(st.session_state[keys.INDEX]))
    return int(place[0]) // PAGE_SIZE if len(place) else 0


def _dataset_changed() -> None:
    state = st.session_state
    state[keys.MODEL] = fitting_models(load_dataset(state[keys.DATASET]).info)[-1].name
    state[keys.INDEX], state[keys.CLASS_FILTER], state[keys.PAGE] = 0, _ALL, 0
    _model_changed()


def _model_changed() -> None:
    state = st.session_state
    state[keys.SIGMA_0] = start_sigma(get_card(state[keys.MODEL]), state[keys.PRESET])


def _show_selected() -> None:
    state = st.session_state
    state[keys.PAGE] = _page_of_selected(load_dataset(state[keys.DATASET]))


def _pick(index: int) -> None:
    st.session_state[keys.INDEX] = index


def _surprise() -> None:
    data = load_dataset(st.session_state[keys.DATASET])
    st.session_state[keys.INDEX] = int(random.choice(_filtered(data)))
    _show_selected()


def _first_page() -> None:
    st.session_state[keys.PAGE] = 0


def _turn(pages: int) -> None:
    st.session_state[keys.PAGE] = int(st.session_state.get(keys.PAGE, 0)) + pages
