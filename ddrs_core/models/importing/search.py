"""Where in a file the weights lie: in which entry, and under which prefix of their names.

Every dictionary of named tensors in the file is looked at and, within it, the tensors under each
prefix. The largest part whose names and shapes are those of a known architecture is the network;
a normalisation layer is taken off, and everything else is named.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from torch import Tensor

from ddrs_core.models.importing.recognise import recognise_state
from ddrs_core.models.importing.scan import plain
from ddrs_core.quantities import counted

_WRAPPERS: Final = (  # in this order, where several hold the same number of tensors
    "state_dict",
    "model_state_dict",
    "net",
    "model",
    "network",
    "weights",
    "params",
    "model_state",
)
_PREFIXES: Final = (  # taken off weights that fit no architecture
    "module.",
    "model.",
    "net.",
    "network.",
    "_orig_mod.",
    "base_model.",
    "classifier_model.",
)
_MAX_DEPTH: Final = 12  # of entries, and of prefixes
_MAX_CONTAINERS: Final = 50_000
_MAX_TRIED: Final = 300  # parts that are compared with the architectures
_MAX_NAMES: Final = 60_000  # names of tensors whose prefixes are looked at
_FEWEST: Final = 8  # tensors of the smallest architecture
_MEAN: Final = re.compile(r"(?P<before>\w*?)(?P<mean>mean(?P<s>s?)|mu)(?P<after>\w*)")
_BOOKKEEPING: Final = re.compile(r"(?:^|\.)(?:total_ops|total_params)$")  # of thop


@dataclass(frozen=True)
class TensorSet:
    """A dictionary of named tensors, and the entries that lead to it from the top of the file."""

    path: tuple[str, ...]
    around: tuple[Any, ...]  # the dictionaries and lists that hold it, the outermost first
    tensors: dict[str, Tensor]

    @property
    def name(self) -> str:
        """The entries' names for people; empty for the file itself."""
        return plain(".".join(self.path), 60)


@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    sets: tuple[TensorSet, ...]  # those that come first are preferred
    unnamed: int = 0  # tensors without a name that is a text
    is_whole: bool = True  # whether everything was looked at


@dataclass(frozen=True)
class Part:
    """The tensors of a set under one prefix, without their normalisation."""

    tensors: TensorSet
    prefix: str
    keys: tuple[str, ...]  # in the set, with the prefix

    @property
    def name(self) -> str:
        """The entry and the prefix for people."""
        names = f"{self.prefix}*" if self.prefix else ""
        return " / ".join(filter(None, (self.tensors.name, names))) or "the file itself"


def contents(content: Any) -> Contents:
    """Every dictionary of named tensors that is reached from the top of a file."""
    sets: list[TensorSet] = []
    unnamed = 0
    waiting: deque[tuple[Any, tuple[str, ...], tuple[Any, ...]]] = deque([(content, (), ())])
    seen = {id(content)}  # a file can hold a dictionary that holds itself
    is_whole = True
    while waiting:
        value, path, around = waiting.popleft()
        named: dict[str, Tensor] = {}
        for key, inner in _entries(value):
            if isinstance(inner, Tensor):
                if isinstance(key, str):  # detached, for attributes could hide its methods
                    named[key] = Tensor.detach(inner)
                else:
                    unnamed += 1
            elif isinstance(inner, Mapping | list | tuple) and inner and id(inner) not in seen:
                if len(path) == _MAX_DEPTH or len(seen) == _MAX_CONTAINERS:
                    is_whole = False
                    continue
                seen.add(id(inner))
                shown = key if isinstance(key, str) else f"[{key}]"
                waiting.append((inner, (*path, plain(shown, 40)), (*around, value)))
        if named:
            sets.append(TensorSet(path, around, named))
    return Contents(tuple(sets), unnamed, is_whole)


def _entries(value: Any) -> Iterator[tuple[Any, Any]]:
    """The entries of a dictionary, usual names of weights first, or of a list."""
    if not isinstance(value, Mapping):
        yield from enumerate(value if isinstance(value, list | tuple) else [])
        return
    usual = [key for key in _WRAPPERS if key in value]
    for key in (*usual, *(key for key in value if key not in usual)):
        yield key, value[key]


def find_networks(sets: Sequence[TensorSet], arch_hint: str = "") -> tuple[list[Part], int]:
    """The largest parts that fit a known architecture, the preferred one first; else none.

    Also how many smaller ones were left aside, where there are too many to try.
    """
    parts = sorted(_parts(sets), key=lambda part: -len(part.keys))
    fitting: list[Part] = []
    for part in parts[:_MAX_TRIED]:
        if fitting and len(part.keys) < len(fitting[0].keys):
            break
        if recognise_state(state_of(part), arch_hint):
            fitting.append(part)
    return fitting, max(0, len(parts) - _MAX_TRIED)


def _parts(sets: Sequence[TensorSet]) -> Iterator[Part]:
    left = _MAX_NAMES
    for tensors in sets:
        left -= len(tensors.tensors)
        if len(tensors.tensors) < _FEWEST or left < 0:
            continue
        layers = {key for pair in normalizations(tensors.tensors) for key in pair}
        keys = [k for k in tensors.tensors if k not in layers and not _BOOKKEEPING.search(k)]
        under: dict[str, list[str]] = {}
        for key in keys:
            for prefix in _prefixes(key):
                under.setdefault(prefix, []).append(key)
        for prefix, some in sorted(under.items(), key=lambda item: item[0].count(".")):
            if len(some) >= _FEWEST:
                yield Part(tensors, prefix, tuple(some))


def _prefixes(key: str) -> Iterator[str]:
    """Everything that ends with a dot at the beginning of a name, and nothing."""
    yield ""
    parts = key.split(".", _MAX_DEPTH)[:-1]
    yield from accumulate(f"{part}." for part in parts[:_MAX_DEPTH])


def whole_part(tensors: TensorSet) -> Part:
    """All weights of a set that fits no architecture, with the usual prefixes taken off."""
    layers = {key for pair in normalizations(tensors.tensors) for key in pair}
    keys = [key for key in tensors.tensors if key not in layers]
    prefix = ""
    for _ in range(_MAX_DEPTH):
        prefix += _shared_prefix([key[len(prefix) :] for key in keys])
    return Part(tensors, prefix, tuple(keys))


def _shared_prefix(names: list[str]) -> str:
    number = re.match(r"\d{1,3}\.", names[0]) if names else None  # a part of a Sequential
    for candidate in (*_PREFIXES, *([number.group()] if number else [])):
        if names and all(n.startswith(candidate) and len(n) > len(candidate) for n in names):
            return candidate
    return ""


def state_of(part: Part) -> dict[str, Tensor]:
    """The tensors of a part under their names without the prefix."""
    return {key[len(part.prefix) :]: part.tensors.tensors[key] for key in part.keys}


def normalizations(tensors: Mapping[str, Tensor]) -> list[tuple[str, ...]]:
    """Names of the buffers of normalisation layers: a mean with its standard deviation, or alone
    where it is the first part of a Sequential or of no part."""
    found: list[tuple[str, ...]] = []
    for key, mean in tensors.items():
        parent, dot, last = key.rpartition(".")
        match = _MEAN.fullmatch(last)
        if match is None or not _is_channels(mean):
            continue
        before, s, after = match["before"], match["s"] or "", match["after"]
        words = ("sigma", "std") if match["mean"] == "mu" else ("std", "sd", "stddev")
        names = [f"{parent}{dot}{before}{word}{s}{after}" for word in words]
        std = next((n for n in names if n in tensors and _is_channels(tensors[n])), None)
        if std is not None:
            scale = tensors[std].flatten()
            if float(scale.min()) > 0 and scale.numel() in (1, mean.numel()):
                found.append((key, std))
        elif not before and not after and (parent.endswith("0") or not parent):
            found.append((key,))
    return found


def _is_channels(tensor: Tensor) -> bool:
    """Whether it has one number per channel: [C], [C, 1, 1] or [1, C, 1, 1]."""
    return (
        tensor.is_floating_point()
        and tensor.numel() in (1, 3)
        and tensor.ndim <= 4
        and max(tensor.shape, default=1) == tensor.numel()
    )


def nearest_normalization(part: Part) -> tuple[str, ...] | None:
    """The normalisation layer in the part, or beside it or what it is in: the nearest one."""

    def place(layer: tuple[str, ...]) -> str:
        return ".".join(["", *layer[0].split(".")[:-2], ""]).lstrip(".")  # of what holds it

    near = [
        layer
        for layer in normalizations(part.tensors.tensors)
        if part.prefix.startswith(place(layer)) or place(layer).startswith(part.prefix)
    ]
    return max(near, key=lambda layer: -abs(len(part.prefix) - len(place(layer))), default=None)


def not_read(part: Part, used: tuple[str, ...]) -> list[str]:
    """What else the file holds: entries beside those that lead to the part, and other tensors."""
    others = []
    path, around = part.tensors.path, part.tensors.around
    for depth, value in enumerate(around):
        for key, _ in _entries(value):
            shown = plain(key if isinstance(key, str) else f"[{key}]", 40)
            if shown != path[depth] and not (depth == 0 and key in ("arch", "epoch")):
                others.append(".".join((*path[:depth], shown)))
    known = {*part.keys, *used}
    rest = [key for key in part.tensors.tensors if key not in known]
    groups = Counter(_group(key, part.prefix) for key in rest)
    found = (f"{plain(name, 60)} ({counted(c, 'tensor')})" for name, c in groups.items())
    return [*sorted(others), *found]


def _group(key: str, prefix: str) -> str:
    """The shortest prefix of a name that is not one of the network's as well."""
    if found := _BOOKKEEPING.search(key):
        return f"*.{found.group().lstrip('.')}"
    for beginning in _prefixes(key):
        if not prefix.startswith(beginning):
            return f"{beginning}*"
    return key
