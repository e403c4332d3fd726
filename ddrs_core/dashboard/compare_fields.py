"""The widgets of the certification form: a field each, read and filled by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ddrs_core.dashboard import keys
from ddrs_core.dashboard.assignments import assign
from ddrs_core.errors import InvalidParameterError

_LARGEST = 2**31 - 1
_FIELDS = (
    "dataset", "model", "fixed", "sigmas", "ds", "memory", "bank", "sigma_0", "preset", "sigma_max",
    "skip", "limit", "split", "adaptive", "n", "n0", "alpha", "bound", "seed", "device",
)  # fmt: skip


def key(name: str) -> str:
    """The key of the widget that holds a field."""
    return keys.CERTIFY_FORM + name


def get(name: str) -> Any:
    """A choice, also of a widget that is not drawn at the moment."""
    state = st.session_state
    if key(name) in state:
        return state[key(name)]
    return state.get(keys.CERTIFY_SAVED, {}).get(name)


def given(name: str, said: str) -> Any:
    """A number that must be there; ``said`` is what the form calls it.

    Raises:
        InvalidParameterError: if its field is empty.
    """
    value = get(name)
    if value is None:
        raise InvalidParameterError(f"Give a number for {said}.")
    return value


def put(name: str, value: Any) -> None:
    """Give a field a value."""
    assign(key(name), value)


def remember() -> None:
    """Keep the choices for the way back from another page."""
    state = st.session_state
    now = {name: state[key(name)] for name in _FIELDS if key(name) in state}
    state[keys.CERTIFY_SAVED] = {**state.get(keys.CERTIFY_SAVED, {}), **now}


def restore(name: str) -> None:
    """Before a field is drawn again that was not drawn for a while: give it back its value, which
    the browser has forgotten."""
    saved = st.session_state.get(keys.CERTIFY_SAVED, {})
    if key(name) not in st.session_state and name in saved:
        put(name, saved[name])


def number(
    name: str, kind: type, label: str, meaning: str, changed: Callable[[], None] | None = None
) -> None:
    """A number without limits: what makes no sense is answered in words, not cut off."""
    least, most, step, form = (-_LARGEST, _LARGEST, 1, "%d")
    if kind is float:
        least, most, step, form = (-1e9, 1e9, 0.01, "%.4g")  # type: ignore[assignment]
    restore(name)
    st.number_input(
        label, least, most, None, step, form, key(name), help=meaning, on_change=changed
    )
