"""Errors in the user's words: what is wrong, where, and what to do about it.

A page shows the message of a :class:`DDRSError`, the command line prints it as one line and
leaves with exit code 2.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar, NoReturn


class DDRSError(Exception):
    """Base of every error whose message is meant for the person at the screen."""


class UnknownNameError(DDRSError, ValueError):
    """A data set, model, method or preset of that name does not exist."""


class InvalidParameterError(DDRSError):
    """A parameter has a value that makes no sense."""


class MismatchError(DDRSError):
    """Two things that were chosen together do not fit, such as a model and a data set."""


class DeviceError(DDRSError):
    """The requested device is not there or gave up."""


class CheckpointError(DDRSError):
    """A model file is missing, damaged or not what it claims to be."""


class BusyError(DDRSError):
    """The server has as much work as it can hold."""


_SHOWN = 8  # names in a message


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """Build the error for an unknown name; it names the nearest known ones, or the first ones."""
    options = [str(option) for option in known]
    shown = str(name)[:80]
    near = difflib.get_close_matches(shown, options, n=3, cutoff=0.5)
    if near:
        hint = f"Did you mean {' or '.join(repr(n) for n in near)}?"
    else:
        more = f" and {len(options) - _SHOWN} more" if len(options) > _SHOWN else ""
        hint = f"Available: {', '.join(options[:_SHOWN]) or 'none'}{more}."
    return UnknownNameError(f"There is no {kind} {shown!r}. {hint}")


class NamedEnum(StrEnum):
    """An enumeration that names its nearest members where a value is none of them."""

    _kind: ClassVar[str]

    def __init_subclass__(cls, kind: str) -> None:
        cls._kind = kind

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise unknown_name(cls._kind, value, cls)


def require_number(
    name: str,
    value: float,
    *,
    above: float | None = None,
    below: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> float:
    """Return ``value`` as a finite float strictly between ``above`` and ``below``, and in
    ``[at_least, at_most]``.

    Raises:
        InvalidParameterError: if it is not a number, not finite or outside the limits.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidParameterError(f"{name} must be a number, not {str(value)[:40]!r}.") from None
    if not math.isfinite(number):
        raise InvalidParameterError(f"{name} must be a finite number, not {number}.")
    if above is not None and number <= above:
        raise InvalidParameterError(f"{name} must be above {above:g}, not {number:g}.")
    if below is not None and number >= below:
        raise InvalidParameterError(f"{name} must be below {below:g}, not {number:g}.")
    if at_least is not None and number < at_least:
        raise InvalidParameterError(f"{name} must be at least {at_least:g}, not {number:g}.")
    if at_most is not None and number > at_most:
        raise InvalidParameterError(f"{name} must be at most {at_most:g}, not {number:g}.")
    return number


def require_count(
    name: str, value: int, *, at_least: float | None = 1, at_most: float | None = None
) -> int:
    """Return ``value`` as an int in ``[at_least, at_most]``.

    Raises:
        InvalidParameterError: if it is not a whole number in that range.
    """
    try:
        whole = not isinstance(value, bool) and float(value).is_integer()
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise InvalidParameterError(f"{name} must be a whole number, not {str(value)[:40]!r}.")
    number = int(value)
    at_least = -math.inf if at_least is None else at_least
    if number < at_least or (at_most is not None and number > at_most):
        upper = "" if at_most is None else f" and at most {at_most:,}"
        raise InvalidParameterError(f"{name} must be at least {at_least:,}{upper}, not {number:,}.")
    return number
