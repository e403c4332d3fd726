"""The explorer's sidebar: data set, model, device and image."""

from __future__ import annotations

import random

import numpy as np
import streamlit as st

from ddrs_core.dashboard.common.model_choice import (
    PICTURES,
    default_dataset,
    default_model,
    fitting_models,
    start_sigma,
)
from ddrs_core.dashboard.components.gallery import show_gallery
from ddrs_core.dashboard.explorer.certify_section import known_outcomes
from ddrs_core.dashboard.explorer.picture_picker import pick_picture, picture_of
from ddrs_core.dashboard.explorer.strategy_form import bounds_follow_start
from ddrs_core.dashboard.explorer.view import FORM, default_n, default_view
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.data import Dataset, get_dataset_info, load_dataset
from ddrs_core.errors import DDRSError
from ddrs_core.models import device_info, get_card, resolve_device

_ALL = "all classes"
_RECOGNISABLE = 32  # pixels of a side at which a photograph can be recognised


def pick_source() -> None:
    """Data set, model and device."""
    _replace_what_is_gone()
    FORM.pick_dataset(_dataset_changed, {PICTURES: "Your own pictures"})
    cards = {card.name: card for card in fitting_models(get_dataset_info(shown_dataset()))}
    cards.setdefault(FORM["model"], get_card(FORM["model"]))
    FORM.pick_model(cards.values(), _model_changed)


def _replace_what_is_gone() -> None:
    """A data set or model may vanish while a page is open: go on with the default, and say so."""
    state = st.session_state
    try:
        get_dataset_info(shown_dataset())
    except DDRSError as error:
        FORM["dataset"] = default_dataset().name
        FORM["picture"] = None
        _dataset_changed()
        state[keys.PROBLEMS] = [str(error)]
    try:
        get_card(FORM["model"])
    except DDRSError as error:
        FORM["model"] = default_model(get_dataset_info(shown_dataset())).name
        state[keys.PROBLEMS] = [str(error)]
        _model_changed()


def shown_dataset() -> str:
    """Name of the data set that the widgets show; a single picture counts as a data set."""
    chosen = str(FORM["dataset"])
    return picture_of() if chosen == PICTURES else chosen


def pick_image() -> None:
    """Choose the visitor's own picture, or an image by thumbnail, class, number or chance."""
    if FORM["dataset"] == PICTURES:
        FORM["index"] = 0
        pick_picture(get_card(FORM["model"]))
        return
    data = load_dataset(FORM["dataset"])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        label = f"Image (0 to {len(data) - 1:,})"
        FORM.show(
            st.number_input,
            "index",
            label,
            0,
            len(data) - 1,
            step=1,
            width=128,
            on_change=_image_changed,
        )
        st.button(
            "Surprise me",
            key="surprise_button",
            width="stretch",
            on_click=_surprise,
            help="A random image of the chosen class.",
        )
    show_gallery(
        data,
        int(FORM["index"]),
        only=_class_shown(data),
        known=known_outcomes(FORM["dataset"], get_card(FORM["model"]).digest),
        key="explorer_gallery",
        on_pick=_pick,
    )
    names = [_ALL, *data.info.class_names]
    FORM.show(st.selectbox, "class_filter", "Show", names, label_visibility="collapsed")
    FORM.show(st.toggle, "run_picked", "Run what is picked")


def describe_device(name: str) -> str:
    """A device's name, memory and kind in one line."""
    device = device_info(str(resolve_device(name)))
    kind = "GPU" if device.is_gpu else "no GPU is used"
    return f"{device.title}, {device.memory_gib:.0f} GiB ({kind})"


def _class_shown(data: Dataset) -> int | None:
    wanted = FORM.get("class_filter", _ALL)
    return None if wanted == _ALL else data.info.class_names.index(wanted)


def _dataset_changed() -> None:
    """Choose a model that accepts the images; without one, keep the data set and say so."""
    state = st.session_state
    try:
        info = get_dataset_info(shown_dataset())
        model = get_card(FORM["model"])
        keep = info.resizable and min(model.shape[1:]) >= _RECOGNISABLE
        card = model if keep else default_model(info)
    except DDRSError as error:
        state[keys.PROBLEMS] = [str(error)]
        saved = state.get(keys.SAVED_VIEW) or default_view()
        FORM["dataset"] = PICTURES if saved.is_picture else saved.dataset
        return
    state[keys.PROBLEMS] = []
    state[keys.STARTED] = False  # another data set begins with its own example
    FORM["model"] = card.name
    FORM["index"] = 0
    FORM["class_filter"] = _ALL
    _model_changed()


def _model_changed() -> None:
    FORM["sigma_0"] = start_sigma(get_card(FORM["model"]), FORM["preset"])
    bounds_follow_start()
    FORM["n"] = default_n(FORM["model"], FORM["device"])
    FORM.fill({"label": None, "hand": None, "cover": ""})


def _pick(index: int) -> None:
    FORM["index"] = index
    _image_changed()


def _image_changed() -> None:
    FORM.fill({"hand": None, "cover": ""})
    if FORM.get("run_picked"):
        st.session_state[keys.STARTED] = False  # as where a link opens


def _surprise() -> None:
    data = load_dataset(FORM["dataset"])
    only = _class_shown(data)
    among = np.arange(len(data)) if only is None else np.flatnonzero(data.labels == only)
    if len(among):
        _pick(int(random.choice(among)))
