"""Models on devices, loaded once for everybody."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ddrs_core.models import NoisyForward, load_model, resolve_device

_MOST_BYTES = 2 << 30  # of weights, after which the ones that waited longest are let go
_LOCK = threading.Lock()
_HELD: OrderedDict[tuple[str, str], tuple[NoisyForward, int]] = OrderedDict()  # and its bytes
_LOADING: dict[tuple[str, str], threading.Lock] = {}


def get_forward(model: str, device: str) -> NoisyForward:
    """The fast forward pass of a model by name; shared, and never changed.

    Thirty visitors at once load a model once, and nobody waits for somebody else's.

    Raises:
        DDRSError: if the model or the device is not there.
    """
    key = (model, str(resolve_device(device)))
    with _LOCK:
        if key in _HELD:
            _HELD.move_to_end(key)
            return _HELD[key][0]
        loading = _LOADING.setdefault(key, threading.Lock())
    with loading:
        with _LOCK:
            if key in _HELD:
                return _HELD[key][0]
        try:
            classifier = load_model(*key)
            forward, size = NoisyForward(classifier), 4 * classifier.card.parameters
        finally:
            with _LOCK:
                _LOADING.pop(key, None)
        with _LOCK:
            _HELD[key] = forward, size
            while len(_HELD) > 1 and sum(held for _, held in _HELD.values()) > _MOST_BYTES:
                _HELD.popitem(last=False)
    return forward
