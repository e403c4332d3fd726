"""A button that counts its presses in the browser, so that none of several quick ones is lost.

Streamlit's own button says only that it was pressed: presses that arrive while the page is being
drawn become one. This one sends how often it was pressed so far, and the newest count holds all.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import streamlit as st

from ddrs_core.dashboard.components.render import component

_mount = component("counting_button")


@dataclass
class Presses:
    """The presses of one button in one session.

    The token ties a count to the session: a browser that outlives a server sends old counts.
    """

    token: str = field(default_factory=lambda: secrets.token_hex(4))
    seen: int = 0

    def take(self, said: object) -> int:
        """How many presses are new in what the browser says."""
        if not isinstance(said, list) or len(said) != 2 or said[0] != self.token:
            return 0
        count = said[1] if isinstance(said[1], int) else 0
        new, self.seen = max(0, count - self.seen), max(count, self.seen)
        return new


def counting_button(label: str, *, key: str, icon: str, meaning: str, disabled: bool) -> int:
    """Draw the button; how often it was pressed since the last time this was asked.

    Args:
        label: what it says.
        key: identity of the place on the page.
        icon: name of a material symbol.
        meaning: what it does, in a sentence.
        disabled: it cannot be pressed now.
    """
    presses: Presses = st.session_state.setdefault(f"{key}_presses", Presses())
    shown = _mount(
        key=key,
        data={
            "label": label,
            "icon": icon,
            "help": meaning,
            "disabled": disabled,
            "token": presses.token,
            "seen": presses.seen,
        },
        on_pressed_change=_redraw,
    )
    return presses.take(shown.get("pressed"))


def _redraw() -> None:
    """Streamlit tells only those that ask; the page is drawn again in any case."""
