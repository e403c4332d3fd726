"""Models on devices, loaded once for everybody."""

from __future__ import annotations

import threading
from functools import lru_cache

from ddrs_core.models import NoisyForward, load_model, resolve_device

_LOCK = threading.Lock()


def get_forward(model: str, device: str) -> NoisyForward:
    """The fast forward pass of a model by name; shared, and never changed.

    Raises:
        DDRSError: if the model or the device is not there.
    """
    with _LOCK:  # thirty visitors at once load a model once
        return _load(model, str(resolve_device(device)))


@lru_cache(maxsize=8)
def _load(model: str, device: str) -> NoisyForward:
    return NoisyForward(load_model(model, device))
