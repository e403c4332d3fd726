"""Widgets that show values of the session, and let a visitor change them.

A value belongs to the session: it is ``st.session_state[name]``, which any code may read and
assign at any time, and which stays while its widget is not drawn or another page is shown.
:func:`show_widget` draws a widget for it, under a key that stands for one *version* of the widget.
When the value was assigned, or the widget offers something else, the widget gets a new version,
hence a new id, and the browser takes it for a new element. Three things follow:

- The default in the message is always the value, so a widget that the browser mounts late, in a
  popover that is opened minutes after the last run, starts from the value.
- A request names the versions that the browser had when it was sent. A version's value that differs
  from what the browser was last known to hold under it was therefore changed by the visitor; it
  counts, even when the server has meanwhile assigned another one. Otherwise what the browser says
  of an older version is not taken for a choice.
- Options and labels of a version never change, so a label that a request names has one meaning.

None of this depends on how fast a browser or the server is. Streamlit's own means lose values here
(tests/dashboard/shell/test_widget_state.py shows it): a value that is assigned to a widget's key,
or kept by ``persist_state``, is told to the browser by one run only; a widget that is mounted after
the next run starts from its default instead, and a request that was sent before the browser heard
of the value brings back the older one. ``bind="query-params"`` drops what it cannot read without a
word, and knows neither the order in which a view's parts depend on each other nor jobs.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

_VERSIONS = "widget_versions"
_EDITED = "edited_widgets"
_PAGE = "page_shown"
_FILLED_HERE = "parts_filled_on_arrival"
_FILLED = "parts_filled"
_MOST_VERSIONS = 16  # of a widget that a request may still name: one a run that it has not heard of
_DEFAULTS = {  # what Streamlit calls the default of each kind that is known here
    "selectbox": "index",
    "radio": "index",
    "segmented_control": "default",
    "multiselect": "default",
    "number_input": "value",
    "slider": "value",
    "text_input": "value",
    "checkbox": "value",
    "toggle": "value",
}
_CHOOSING = ("selectbox", "radio", "segmented_control", "multiselect")
_RANGING = ("number_input", "slider")


@dataclass
class _Version:
    """One version of a widget."""

    key: str  # of the widget in Streamlit
    value: Any  # that the browser holds under that key, as far as the server has heard
    offer: tuple[Any, ...]  # options with their labels, or limits
    options: tuple[Any, ...] | None  # None: not a choice among options

    def could_give(self, value: Any) -> bool:
        """Whether a visitor can have chosen this value."""
        if self.options is None:
            return True
        return all(v in self.options for v in (value if isinstance(value, list) else [value]))


def show_widget(
    draw: Callable[..., Any],
    name: str,
    label: str,
    *args: Any,
    on_change: Callable[[], None] | None = None,
    **options: Any,
) -> Any:
    """Draw a widget that shows and changes ``st.session_state[name]``.

    A value that the widget cannot hold gives way to the nearest that it can: the first option, or
    a limit. Options with the same label are numbered.

    Args:
        draw: ``st.selectbox``, ``st.number_input`` and the like, also of a container.
        name: of the value; several widgets of one page cannot show the same.
        label: of the widget.
        args: options to choose among, also as a mapping to their titles; or smallest and largest
            value.
        on_change: called after the visitor has changed the value, before the page is drawn.
        options: further arguments of the widget, without ``key`` and its default.

    Returns:
        The value.
    """
    state, kind = st.session_state, draw.__name__
    offered: tuple[Any, ...] | None = None
    offer = args[:2]
    if kind in _CHOOSING:
        choices, *rest = args
        offered, args = tuple(choices), (tuple(choices), *rest)
        titles = choices.values() if isinstance(choices, Mapping) else choices
        labels = dict(zip(offered, numbered([str(title) for title in titles]), strict=True))
        offer, options["format_func"] = tuple(labels.items()), labels.__getitem__
    value = _fitting(kind, state.get(name), offered, offer)
    state[name] = value
    version = _current(name, value, offer, offered)
    parameter = _DEFAULTS[kind]
    options[parameter] = value
    if parameter == "index":
        options[parameter] = offered.index(value) if offered else None
    draw(label, *args, key=version.key, on_change=_changed, args=(name, on_change), **options)
    return value


def begin_run(page: str = "") -> None:
    """At the beginning of every run: the session accepts what the visitor has changed.

    Args:
        page: path of the page that is drawn.
    """
    state = st.session_state
    if state.get(_PAGE) != page:
        state[_FILLED_HERE] = set()
        state[_PAGE] = page
    _take_edits().clear()


def fill_on_arrival(part: str, fill: Callable[[], None]) -> None:
    """Call ``fill``, which reads the link, the first time that a part of a page is drawn after the
    visitor came to the page. A call that does not end is repeated."""
    _fill_unless_filled(_FILLED_HERE, part, fill)


def fill_once(part: str, fill: Callable[[], None]) -> None:
    """As :func:`fill_on_arrival`, but once a session: for a form that no link describes."""
    _fill_unless_filled(_FILLED, part, fill)


def _fill_unless_filled(which: str, part: str, fill: Callable[[], None]) -> None:
    filled: set[str] = st.session_state.setdefault(which, set())
    if part not in filled:
        fill()
        filled.add(part)


def _changed(name: str, then: Callable[[], None] | None) -> None:
    """Streamlit's callback: of a version that is new to it, even without a change."""
    edited = _take_edits()
    if name in edited:
        edited.discard(name)
        if then is not None:
            then()


def _take_edits() -> set[str]:
    """Give values that the visitor has changed to the session; the names whose callbacks wait."""
    state = st.session_state
    edited: set[str] = state.setdefault(_EDITED, set())
    versions: dict[str, list[_Version]] = state.setdefault(_VERSIONS, {})
    for name, known in versions.items():
        for version in known:
            value = state.get(version.key, version.value)
            if value != version.value and version.could_give(value):
                state[name] = value
                version.value = value
                edited.add(name)
    return edited


def _current(
    name: str, value: Any, offer: tuple[Any, ...], options: tuple[Any, ...] | None
) -> _Version:
    """The version of a widget that shows this value and offers this."""
    versions: dict[str, list[_Version]] = st.session_state.setdefault(_VERSIONS, {})
    known = versions.setdefault(name, [])
    if not known or (known[-1].value, known[-1].offer) != (value, offer):
        # random, so that a browser that outlives the server names none by accident
        known.append(_Version(f"{name}|{secrets.token_hex(4)}", value, offer, options))
        del known[:-_MOST_VERSIONS]
    return known[-1]


def _fitting(kind: str, value: Any, options: Sequence[Any] | None, limits: tuple[Any, ...]) -> Any:
    """The value, or the nearest that the widget can hold, in the type that it wants."""
    if kind == "multiselect":
        return [v for v in value or [] if v in (options or ())]
    if options is not None:
        return value if value in options else next(iter(options), None)
    if kind in _RANGING:
        low, high = limits
        return None if value is None else type(low)(min(max(value, low), high))
    return str(value or "") if kind == "text_input" else bool(value)


def numbered(titles: Sequence[str]) -> list[str]:
    """The titles, those that occurred before with their number, such as ``log (2)``."""
    seen: Counter[str] = Counter()
    made = []
    for title in titles:
        seen[title] += 1
        made.append(title if seen[title] == 1 else f"{title} ({seen[title]})")
    return made
