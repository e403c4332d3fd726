"""Labels of two horizontal lines that cannot overlap, however close the lines are."""

from __future__ import annotations

from typing import NamedTuple

from ddrs_core.figures.palette import Figure

LABEL_SIZE = 12  # of the font, in pixels
_CLEAR = 4  # pixels between a line and its name: the dot at the curve's end reaches as far


class Level(NamedTuple):
    """A horizontal line with its name."""

    y: float
    name: str
    colour: str


def label_levels(start: Level, end: Level | None, *, rises: bool) -> list[Figure]:
    """Annotations that name the levels where a curve starts and, if known, where it ends.

    The first name stands at the left end of its line and the second at the right end, so that
    they share no column of the figure. Each stands on the side of its line that the curve leaves
    free: the start below where the curve rises, the end above, and the other way round where it
    falls.

    Args:
        start: where the curve begins.
        end: where it ended; None while that is not known.
        rises: whether it lies above its start by now.
    """
    labels = [_label(start, "left", above=not rises)]
    if end is not None:
        labels.append(_label(end, "right", above=rises))
    return labels


def _label(level: Level, side: str, *, above: bool) -> Figure:
    return {
        "xref": "x domain",
        "x": 0 if side == "left" else 1,
        "xanchor": side,
        "yref": "y",
        "y": level.y,
        "yanchor": "bottom" if above else "top",
        "text": level.name,
        "showarrow": False,
        "yshift": _CLEAR if above else -_CLEAR,
        "font": {"color": level.colour, "size": LABEL_SIZE},
    }
