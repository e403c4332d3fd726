"""The grade of guarantee as a coloured badge, the same wherever a radius is shown.

Templates may call the macro ``badge`` of ``macros.html``; figures have the same colours in
``ddrs_core.figures.palette.GRADE_COLOURS``.
"""

from __future__ import annotations

from markupsafe import Markup

from ddrs_core.dashboard.components.render import render
from ddrs_core.smoothing import Grade


def grade_badge(grade: Grade) -> Markup:
    """UNCONDITIONAL, AFTER x or CONDITIONAL, with the meaning where the pointer rests."""
    return render("badge.html", grade=grade)
