"""The widgets of the certification form: a field each, read and filled by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ddrs_core.dashboard.common.parameter_input import show_number
from ddrs_core.dashboard.shell import state_keys as keys


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
    """The widget of a field that is a number."""
    show_number(key(name), kind, label, meaning, changed)
