"""Frozen dataclasses as plain data for JSON, and back."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

_DIGITS = 7  # significant ones, of numbers in arrays; all others are kept exactly


def to_plain(value: Any) -> Any:
    """Dictionaries, lists and numbers; arrays are rounded."""
    if is_dataclass(value):
        return {part.name: to_plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, np.ndarray):
        return [to_plain(row) for row in value] if value.ndim > 1 else list(map(_rounded, value))
    if isinstance(value, tuple | list):
        return [to_plain(part) for part in value]
    return value.value if isinstance(value, Enum) else value


def _rounded(value: np.generic) -> float | int:
    number = value.item()
    return float(f"{number:.{_DIGITS}g}") if isinstance(number, float) else int(number)


def from_plain(kind: Any, plain: Any) -> Any:
    """A value of that kind from :func:`to_plain` data."""
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (one for one in get_args(kind) if one is not type(None))
        return None if plain is None else from_plain(kind, plain)
    if get_origin(kind) is tuple:
        return tuple(from_plain(get_args(kind)[0], part) for part in plain)
    if get_origin(kind) is np.ndarray:
        return np.array(plain)
    if isinstance(kind, type) and is_dataclass(kind):
        assert isinstance(plain, Mapping)
        hints = get_type_hints(kind)
        return kind(**{name: from_plain(hints[name], part) for name, part in plain.items()})
    return kind(plain) if isinstance(kind, type) and issubclass(kind, Enum) else plain
