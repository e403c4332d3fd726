"""The cells of certification logs: whole numbers, radii, and times in three notations."""

from __future__ import annotations

import math
import re

_WHOLE = re.compile(r"[+-]?[0-9]{1,10}(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(nan|inf(inity)?)", re.I)
_TIME = re.compile(r"(?:([0-9]{1,6}) days?, )?([0-9]{1,6}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)")
_LONGEST = 40  # characters of a number
_LARGEST = 1e6  # of a radius, a noise level
_LONGEST_TIME = 1e9  # seconds


def read_whole(text: str, name: str, *, least: int) -> int:
    """A whole number of at least ``least``, also as ``3.0``.

    Raises:
        ValueError: if it is something else.
    """
    cell = text.strip()
    if not _WHOLE.fullmatch(cell):
        raise ValueError(f"{name} is {text[:_LONGEST]!r}, not a whole number")
    number = int(float(cell))
    if number < least:
        raise ValueError(f"{name} is {number}, below {least}")
    return number


def read_number(text: str, name: str) -> float:
    """A number, possibly NaN, such as ``0.635`` or ``7.11e-05``.

    Raises:
        ValueError: if it is something else, infinite, or beyond all reason.
    """
    cell = text.strip()
    if len(cell) > _LONGEST or not _NUMBER.fullmatch(cell):
        raise ValueError(f"{name} is {text[:_LONGEST]!r}, not a number")
    number = float(cell)
    if abs(number) > _LARGEST:
        raise ValueError(f"{name} is {number:g}, which cannot be")
    return number


def read_seconds(text: str) -> float:
    """A time such as ``0:00:14.2``, ``1 day, 0:00:15`` or ``15.4``, in seconds.

    Raises:
        ValueError: if it is something else or negative.
    """
    cell = text.strip()
    found = _TIME.fullmatch(cell)
    if found:
        days, hours, minutes, seconds = found.groups()
        total = 86400.0 * int(days or 0) + 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    elif len(cell) <= _LONGEST and _NUMBER.fullmatch(cell):
        total = float(cell)
    else:
        raise ValueError(f"time is {text[:_LONGEST]!r}, neither seconds nor h:mm:ss")
    if not (math.isfinite(total) and 0 <= total <= _LONGEST_TIME):
        raise ValueError(f"time is {text[:_LONGEST]!r}, which cannot be")
    return total


def read_flag(text: str) -> bool:
    """``0``/``1`` or ``False``/``True``.

    Raises:
        ValueError: if it is something else.
    """
    cell = text.strip().lower()
    if cell not in ("0", "1", "0.0", "1.0", "true", "false"):
        raise ValueError(f"correct is {text[:_LONGEST]!r}, neither 0 nor 1")
    return cell in ("1", "1.0", "true")
