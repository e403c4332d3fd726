"""Sums and differences in double precision that are rounded in a known direction."""

from __future__ import annotations

import math


def add_upward(a: float, b: float) -> float:
    """a + b, rounded up."""
    total = a + b
    return math.nextafter(total, math.inf) if _error_of_sum(a, b, total) > 0 else total


def sub_downward(a: float, b: float) -> float:
    """a - b, rounded down."""
    total = a - b
    return math.nextafter(total, -math.inf) if _error_of_sum(a, -b, total) < 0 else total


def _error_of_sum(a: float, b: float, total: float) -> float:
    """(a + b) - total, exactly (Knuth's two-sum)."""
    b_part = total - a
    a_part = total - b_part
    return (a - a_part) + (b - b_part)
