"""Debounce of buttons: a double click starts something once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

from ddrs_core.dashboard.shell.visitor import visitor

T = TypeVar("T")
_SECONDS = 2.0


@dataclass
class _Press:
    """What one visitor asked for, and what came of it."""

    lock: Lock = field(default_factory=Lock)  # held while it is being done
    pressed: int = 0  # presses that do it or wait for it
    ended: float = -math.inf  # when it was done
    made: Any = None


_LOCK = Lock()  # of the dictionary, never held for long
_PRESSES: dict[tuple[str, str], _Press] = {}


def once_per_click(what: str, act: Callable[[], T]) -> T:
    """Do what a button is for; the second click of a double click gets the result of the first.

    Every click draws the page again, also while an earlier one is still being served, and a
    visitor may click in two tabs at once: the second click waits until the first is done.

    Args:
        what: identifies the action in all detail; another visitor's is another action.
        act: does it; when it raises, the next click tries again.
    """
    with _LOCK:
        now = time.monotonic()
        for old in [k for k, p in _PRESSES.items() if not p.pressed and now - p.ended > _SECONDS]:
            del _PRESSES[old]
        press = _PRESSES.setdefault((visitor(), what), _Press())
        press.pressed += 1
    try:
        with press.lock:
            if time.monotonic() - press.ended > _SECONDS:
                press.made = act()
                press.ended = time.monotonic()
            made: T = press.made
        return made
    finally:
        with _LOCK:
            press.pressed -= 1
