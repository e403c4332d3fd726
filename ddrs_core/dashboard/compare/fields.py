"""The widgets of the certification form: a field each, read and filled by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.widget_state import show_widget

_LARGEST = 2**31 - 1


def key(name: str) -> str:
    """The name in the session of a field's value."""
    return keys.CERTIFY_FORM + name


def get(name: str) -> Any:
    """A choice, also of a widget that is not drawn at the moment."""
    return st.session_state.get(key(name))


def put(name: str, value: Any) -> None:
    """Give a field a value."""
    st.session_state[key(name)] = value


def number(
    name: str, kind: type, label: str, meaning: str, changed: Callable[[], None] | None = None
) -> None:
    """A number without limits: what makes no sense is answered in words, not cut off."""
    least, most, step, form = (-_LARGEST, _LARGEST, 1, "%d")
    if kind is float:
        least, most, step, form = (-1e9, 1e9, 0.01, "%.4g")  # type: ignore[assignment]
    show_widget(
        st.number_input,
        key(name),
        label,
        least,
        most,
        step=step,
        format=form,
        help=meaning,
        on_change=changed,
    )
