"""What visitors brought along: names of their uploaded pictures and models.

The files lie in the user's data folder under names that nobody can guess; here is only who used
which, so that a visitor's pickers offer their own. Opening a shared link adds what it names.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from ddrs_core.dashboard.visitor import visitor

_MAX_VISITORS = 2_000
_MAX_NAMES = 24  # for each visitor and kind
_LOCK = threading.Lock()
_NAMES: OrderedDict[tuple[str, str], list[str]] = OrderedDict()  # (visitor, kind) -> newest first


def belongings(kind: str) -> list[str]:
    """Names of this visitor's things of one kind, ``"picture"`` or ``"model"``; newest first."""
    with _LOCK:
        return list(_NAMES.get((visitor(), kind), []))


def add_belonging(kind: str, name: str) -> None:
    """Remember that this visitor uses ``name``; the longest unused one is forgotten."""
    with _LOCK:
        key = (visitor(), kind)
        names = [name, *(n for n in _NAMES.pop(key, []) if n != name)]
        _NAMES[key] = names[:_MAX_NAMES]
        while len(_NAMES) > _MAX_VISITORS:
            _NAMES.popitem(last=False)
