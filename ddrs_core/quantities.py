"""Counts, lists and durations as people read them."""

from __future__ import annotations

from collections.abc import Sequence

_IRREGULAR = {"epoch": "epochs", "radius": "radii"}
_HISSING = ("s", "sh", "ch", "x")


def noun(count: float, singular: str) -> str:
    """The noun in the form that belongs to a count: ``"image"`` for 1, else ``"images"``.

    Args:
        count: what stands before it.
        singular: one or more English words, the last of which is the noun.
    """
    if count == 1:
        return singular
    before, space, last = singular.rpartition(" ")
    return before + space + _plural(last)


def counted(count: int, singular: str) -> str:
    """A count with its noun: ``"1 image"``, ``"1,000 images"``."""
    return f"{count:,} {noun(count, singular)}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first names, with dots where there are more: ``"a, b, c, ..."``."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def duration(seconds: float) -> str:
    """A time for people: 42 s, 3 min 20 s, 35 min, 2 h 05 min, 3 d 4 h.

    Each form is used only up to what it rounds to, so that 59.7 s are 1 min and 3,599 s are
    1 h 00 min.
    """
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(whole / 3600)
    return f"{hours // 24:,} d {hours % 24} h"


def two_digits(number: float) -> float:
    """An estimate without digits that would be a false promise."""
    return float(f"{number:.1e}")


def file_size(size: float) -> str:
    """Bytes for people: 350 kB, 1.2 MB."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{max(1.0, size / 1e3):,.0f} kB"


def _plural(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith(_HISSING):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"
