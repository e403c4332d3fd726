"""Buttons that start something once, however often they are pressed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from ddrs_core.dashboard.visitor import visitor

T = TypeVar("T")
_SECONDS = 2.0
_DONE: dict[tuple[str, str], tuple[float, Any]] = {}  # when, and what came of it


def once(what: str, act: Callable[[], T]) -> T:
    """Do what a button asks for; the second press of a double click gets what the first one made.

    A page is drawn anew at every press, in the midst of what an earlier one started, too.

    Args:
        what: is asked for, in all detail; the same of another visitor is another.
        act: does it; what it raises counts as not done.
    """
    now, key = time.monotonic(), (visitor(), what)
    for old in [k for k, (when, _) in list(_DONE.items()) if now - when > _SECONDS]:
        _DONE.pop(old, None)
    done = _DONE.get(key)
    if done is None:
        made = act()
        done = _DONE[key] = (time.monotonic(), made)  # a second press waits until this has ended
    result: T = done[1]
    return result
