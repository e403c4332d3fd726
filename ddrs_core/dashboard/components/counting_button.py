"""A button that counts its presses in the browser, so that none of several quick ones is lost.

Streamlit's own button says only that it was pressed: presses that arrive while the page is being
drawn become one. This one sends how often it was pressed so far, and the newest count holds all.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import streamlit as st

_CSS = """
.ddrs-button { width: 100%; min-height: 2.5rem; padding: .25rem .75rem; font: inherit;
  font-size: .875rem;
  cursor: pointer; display: flex; gap: .5rem; align-items: center; justify-content: center;
  color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); }
.ddrs-button i { font: normal 1.25rem/1 'Material Symbols Rounded'; }
.ddrs-button:hover:enabled { border-color: var(--st-primary-color);
  color: var(--st-primary-color); }
.ddrs-button:focus-visible { outline: 3px solid color-mix(in srgb, var(--st-primary-color) 50%,
  transparent); }
.ddrs-button:disabled { cursor: not-allowed;
  color: color-mix(in srgb, var(--st-text-color) 40%, transparent); }
"""
_JS = """
export default function ({ data, parentElement, setStateValue }) {
  const button = parentElement.querySelector('button'), [icon, label] = button.children;
  icon.textContent = data.icon; label.textContent = data.label;
  button.title = data.help; button.disabled = data.disabled;
  if (button.__token !== data.token) { button.__token = data.token; button.__count = data.seen; }
  button.onclick = () => {
    button.__count += 1;
    setStateValue('pressed', [data.token, button.__count]);
  };
}
"""
_mount = st.components.v2.component(
    "ddrs_counting_button",
    html='<button type="button" class="ddrs-button"><i aria-hidden="true"></i><span></span>'
    "</button>",
    css=_CSS,
    js=_JS,
    isolate_styles=False,
)


@dataclass
class Presses:
    """The presses of one button in one session.

    The token ties a count to the session: a browser that outlives a server brings old counts.
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
