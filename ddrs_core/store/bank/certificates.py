"""Certificates that a bank's file or database holds: read strictly, and proved by their votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import get_type_hints

from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Certificate
from ddrs_core.smoothing.recompute import recompute
from ddrs_core.store.bank.records import BankKind

_HINTS = get_type_hints(Certificate)
_NAMES = {field.name for field in fields(Certificate)}
_REQUIRED = {field.name for field in fields(Certificate) if field.default is MISSING}
_FLOATS = tuple(name for name, hint in _HINTS.items() if hint is float)
_NUMBERS = {"int": (int,), "float": (int, float), "str": (str,), "None": (type(None),)}
_TYPES = {
    name: tuple(t for word, types in _NUMBERS.items() if word in str(hint) for t in types)
    for name, hint in _HINTS.items()
} | {"grade": (str,), "bound": (str,)}


def read_certificate(data: object) -> Certificate:
    """A certificate from its JSON, whose every field has the type that it should have; one that
    an earlier version wrote may lack fields with a default.

    Raises:
        InvalidParameterError: in words that go on after "the certificate of ball 7".
    """
    if not isinstance(data, dict) or not _REQUIRED <= set(data) <= _NAMES:
        raise InvalidParameterError("is not complete")
    for name, value in data.items():
        if name == "counts":
            sound = isinstance(value, list) and all(type(count) is int for count in value)
        else:
            sound = type(value) in _TYPES[name]
        if not sound:
            raise InvalidParameterError(f"has a {name} that is none")
    try:
        return Certificate.from_dict({**data, **{name: float(data[name]) for name in _FLOATS}})
    except (DDRSError, OverflowError) as error:
        raise InvalidParameterError(f"cannot be read: {error}".rstrip(".")) from None


def find_unproved(certificates: Sequence[Certificate], kind: BankKind) -> list[str]:
    """For each certificate, as it came, why its own votes do not prove it; empty where they do."""
    return [
        found.problem
        if len(c.counts) == kind.num_classes
        else f"it has votes for {counted(len(c.counts), 'class')}, not for {kind.num_classes:,}"
        for c, found in zip(certificates, recompute(certificates), strict=True)
    ]
