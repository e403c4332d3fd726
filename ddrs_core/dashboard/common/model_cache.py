"""Models on devices, loaded once for everybody."""

from __future__ import annotations

from ddrs_core.cache import LRU
from ddrs_core.models import NoisyForward, load_model, resolve_device

_MOST_BYTES = 2 << 30  # of weights, after which the ones that waited longest are let go
_HELD: LRU[tuple[NoisyForward, int]] = LRU(_MOST_BYTES, lambda held: held[1])  # with its bytes


def get_forward(model: str, device: str) -> NoisyForward:
    """The fast forward pass of a model by name; shared, and never changed.

    Thirty visitors at once load a model once, and nobody waits for somebody else's.

    Raises:
        DDRSError: if the model or the device is not there.
    """
    key = (model, str(resolve_device(device)))
    forward, _ = _HELD.get(key, lambda: _load(*key))
    return forward


def _load(model: str, device: str) -> tuple[NoisyForward, int]:
    forward = NoisyForward(load_model(model, device))  # what was loaded is copied and let go
    return forward, forward.weight_bytes
