"""Widgets for the fields of a configuration, from the fields' own descriptions."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ddrs_core.dashboard.shell.widget_state import show_widget
from ddrs_core.parameters import Parameter

_LARGEST = {int: 2**31 - 1, float: 1e9}


def show_parameter(key: str, described: Parameter) -> None:
    """The widget of a field: a choice, a number or a text."""
    meaning = f"{described.meaning[:1].upper()}{described.meaning[1:]}."
    if described.choices:
        show_widget(st.selectbox, key, described.label, list(described.choices), help=meaning)
    else:
        show_number(
            key,
            described.kind,
            described.label,
            meaning,
            low=described.low if described.above is None else described.above,
            high=described.high if described.below is None else described.below,
            step=described.step,
        )


def show_number(
    key: str,
    kind: type,
    label: str,
    meaning: str,
    changed: Callable[[], None] | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
) -> None:
    """A number, by default without limits: what makes no sense is answered by a message, not cut
    off."""
    usual_step = 1 if kind is int else 0.01
    show_widget(
        st.number_input,
        key,
        label,
        kind(-_LARGEST[kind] if low is None else low),
        kind(_LARGEST[kind] if high is None else high),
        step=kind(usual_step if step is None else step),
        format="%d" if kind is int else "%.4g",
        help=meaning,
        on_change=changed,
    )
