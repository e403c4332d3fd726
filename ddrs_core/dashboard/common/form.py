"""The widgets of a form, and their values: in the session, under the prefix of the form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import streamlit as st

from ddrs_core.dashboard.common.model_choice import default_dataset, describe_model, title_of
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.dashboard.shell.widget_state import show_widget
from ddrs_core.data import list_datasets
from ddrs_core.models import ModelCard, list_devices, resolve_device
from ddrs_core.parameters import Config, Parameter, values_of, with_values
from ddrs_core.smoothing import list_presets

_LARGEST = {int: 2**31 - 1, float: 1e9}
_Changed = Callable[[], None]
V = TypeVar("V")


class Form:
    """Fields by name; a field that is not drawn now has its value all the same.

    ``form["n"]`` reads and assigns the value of a field. ``show`` and ``pick_...`` draw widgets.
    """

    def __init__(self, prefix: str, *, limited: bool = False) -> None:
        """``prefix`` of the names in the session; ``limited``: a number that is outside the limits
        of its field gives way to the nearest within them, else a message has to answer it."""
        self.prefix = prefix
        self.limited = limited

    def part(self, prefix: str) -> Form:
        """A form within this one, with its own names."""
        return Form(self.key(prefix), limited=self.limited)

    def key(self, name: str) -> str:
        """The name in the session of a field's value."""
        return self.prefix + name

    def __getitem__(self, name: str) -> Any:
        return st.session_state[self.key(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        st.session_state[self.key(name)] = value

    def __contains__(self, name: str) -> bool:
        return self.key(name) in st.session_state

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field, or the default before it is filled."""
        return st.session_state.get(self.key(name), default)

    def fill(self, values: Mapping[str, Any]) -> None:
        """Assign values to fields."""
        for name, value in values.items():
            self[name] = value

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        """The values of those of the fields that are filled."""
        return {name: self[name] for name in names if name in self}

    def view(self, kind: type[V]) -> V:
        """The values as a dataclass whose fields are named like those of the form."""
        return kind(**{field.name: self[field.name] for field in fields(kind)})  # type: ignore[arg-type]

    def read(self, config: Config) -> Config:
        """The configuration with the values of the fields that are named like its own."""
        return with_values(config, self.values(values_of(config)))

    def show(self, draw: Callable[..., Any], name: str, *args: Any, **options: Any) -> Any:
        """Draw a widget for a field; arguments are those of :func:`show_widget`."""
        return show_widget(draw, self.key(name), *args, **options)

    def show_parameter(
        self, name: str, described: Parameter, changed: _Changed | None = None
    ) -> None:
        """Draw the widget of a configuration's field: a choice, or a number."""
        meaning = f"{described.meaning[:1].upper()}{described.meaning[1:]}."
        if described.choices:
            choices = list(described.choices)
            self.show(st.selectbox, name, described.label, choices, help=meaning, on_change=changed)
            return
        kind, largest = described.kind, _LARGEST[described.kind]
        low = described.low if described.above is None else described.above
        high = described.high if described.below is None else described.below
        self.show(
            st.number_input,
            name,
            described.label,
            kind(low if self.limited and low is not None else -largest),
            kind(high if self.limited and high is not None else largest),
            step=kind(described.step or (1 if kind is int else 0.01)),
            format="%d" if kind is int else "%.4g",
            help=meaning,
            on_change=changed,
        )

    def show_parameters(self, described: Mapping[str, Parameter]) -> None:
        """Draw the widgets of several fields of a configuration."""
        for name, about in described.items():
            self.show_parameter(name, about)

    def pick_dataset(self, changed: _Changed, others: Mapping[str, str] | None = None) -> str:
        """Choose a data set that can be opened here, or one of others by title; one that is gone
        is replaced by the default."""
        titles = {info.name: info.title for info in list_datasets()} | dict(others or {})
        if self["dataset"] not in titles:
            self["dataset"] = default_dataset().name
            changed()
        return str(self.show(st.selectbox, "dataset", "Data set", titles, on_change=changed))

    def pick_model(self, cards: Iterable[ModelCard], changed: _Changed) -> None:
        """Choose among models, and read what the chosen one is; one that is gone is replaced by
        the first."""
        known = {card.name: card for card in cards}
        if self["model"] not in known:
            self["model"] = next(iter(known), None)
            changed()
        titles = {name: title_of(card) for name, card in known.items()}
        name = self.show(st.selectbox, "model", "Model", titles, on_change=changed)
        if name:
            st.caption(literal(describe_model(known[name])))

    def pick_preset(self, changed: _Changed, strategy: str | None = None, place: Any = st) -> None:
        """Choose a preset, of one strategy or of any."""
        titles = {preset.name: preset.title for preset in list_presets(strategy)}
        self.show(place.selectbox, "preset", "Preset", titles, on_change=changed)

    def pick_device(self, about: str | None = None) -> None:
        """Choose where it runs; ``about``: what that is, behind a help sign."""
        titles = {"auto": f"automatic ({resolve_device('auto')})"}
        titles |= {device.name: f"{device.name}: {device.title}" for device in list_devices()}
        self.show(st.selectbox, "device", "Device", titles, help=about)
