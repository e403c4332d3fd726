"""The widgets that forms share: data set, model, preset of a sigma strategy, and device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import streamlit as st

from ddrs_core.dashboard.common.model_choice import describe_model, title_of
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.dashboard.shell.widget_state import show_widget
from ddrs_core.data import DatasetInfo, list_datasets
from ddrs_core.models import ModelCard, list_devices, resolve_device
from ddrs_core.smoothing import list_presets


def pick_dataset(key: str, changed: Callable[[], None]) -> DatasetInfo:
    """Choose a data set that can be opened here; one that is gone is replaced by the first."""
    infos = {info.name: info for info in list_datasets()}
    if st.session_state[key] not in infos:
        st.session_state[key] = next(iter(infos))
        changed()
    titles = {name: info.title for name, info in infos.items()}
    return infos[show_widget(st.selectbox, key, "Data set", titles, on_change=changed)]


def pick_model(key: str, cards: Iterable[ModelCard], changed: Callable[[], None]) -> None:
    """Choose among models, and read what the chosen one is; one that is gone is replaced by
    the first."""
    known = {card.name: card for card in cards}
    if st.session_state[key] not in known:
        st.session_state[key] = next(iter(known), None)
        changed()
    titles = {name: title_of(card) for name, card in known.items()}
    name = show_widget(st.selectbox, key, "Model", titles, on_change=changed)
    if name:
        st.caption(literal(describe_model(known[name])))


def pick_preset(
    key: str, changed: Callable[[], None], strategy: str | None = None, place: Any = st
) -> None:
    """Choose a preset, of one strategy or of any."""
    titles = {preset.name: preset.title for preset in list_presets(strategy)}
    show_widget(place.selectbox, key, "Preset", titles, on_change=changed)


def pick_device(key: str) -> None:
    """Choose where it runs."""
    titles = {"auto": f"automatic ({resolve_device('auto')})"}
    titles |= {device.name: f"{device.name}: {device.title}" for device in list_devices()}
    show_widget(st.selectbox, key, "Device", titles)
