"""What weights are wrapped in: prefixes of their names, and a normalisation layer's buffers."""

from __future__ import annotations

import re
from typing import Final

from torch import Tensor

from ddrs_core.models.classifier import Normalization

_PREFIXES: Final = (
    "module.", "model.", "net.", "network.", "_orig_mod.", "base_model.", "classifier_model.",
)  # fmt: skip
_MEANS: Final = {"mean": ("std", "sd", "stddev"), "means": ("sds", "stds"), "mu": ("sigma", "std")}


def strip_wrapping(
    state: dict[str, Tensor],
) -> tuple[dict[str, Tensor], str, Normalization | None, tuple[str, ...]]:
    """Take off, in turn, prefixes that all names share and the buffers of a normalisation.

    Returns:
        The weights, what was in front of their names, the normalisation (None: there is none)
        and remarks for people.
    """
    prefix = ""
    normalization: Normalization | None = None
    notes: tuple[str, ...] = ()
    while True:
        if normalization is None:
            normalization, state, notes = _take_normalization(state)
        shared = _shared_prefix(state)
        if not shared:
            return state, prefix, normalization, notes
        prefix += shared
        state = {key[len(shared) :]: value for key, value in state.items()}


def _shared_prefix(state: dict[str, Tensor]) -> str:
    first = next(iter(state), "")
    number = re.match(r"\d{1,3}\.", first)  # a part of a Sequential
    candidates = (*_PREFIXES, number.group()) if number else _PREFIXES
    for candidate in candidates:
        if state and all(key.startswith(candidate) and len(key) > len(candidate) for key in state):
            return candidate
    return ""


def _take_normalization(
    state: dict[str, Tensor],
) -> tuple[Normalization | None, dict[str, Tensor], tuple[str, ...]]:
    for key, mean in state.items():
        parent, _, last = key.rpartition(".")
        if last not in _MEANS or not _is_channels(mean):
            continue
        names = [f"{parent}.{n}" if parent else n for n in _MEANS[last]]
        found = next((n for n in names if n in state and _is_channels(state[n])), None)
        if found is None and not (parent.endswith("0") or parent == ""):
            continue
        shift = [float(v) for v in mean.flatten()]
        scale = [float(v) for v in state[found].flatten()] if found else [1.0]
        if min(scale) <= 0 or len(scale) not in (1, len(shift)):
            continue
        notes: tuple[str, ...] = ()
        if max(shift) > 1.5:  # of pixels from 0 to 255
            shift, scale = [v / 255 for v in shift], [v / 255 for v in scale]
            notes = ("its normalisation is for pixels from 0 to 255 and was rescaled to [0, 1]",)
        rest = {k: v for k, v in state.items() if k not in (key, found)}
        return Normalization(tuple(shift), tuple(scale)), rest, notes
    return None, state, ()


def _is_channels(tensor: Tensor) -> bool:
    """Whether it has one number per channel: [C], [C, 1, 1] or [1, C, 1, 1]."""
    return (
        tensor.is_floating_point()
        and tensor.numel() in (1, 3)
        and tensor.ndim <= 4
        and max(tensor.shape, default=1) == tensor.numel()
    )
