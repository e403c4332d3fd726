"""One settlement as a picture that is true to scale, a ruler, and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup
from numpy.typing import ArrayLike

from ddrs_core.dashboard.components.board import Board
from ddrs_core.figures import Figure, plane_figure, ruler_figure
from ddrs_core.quantities import counted
from ddrs_core.smoothing.memory.geometry import Section, deciding_parts, plane_through
from ddrs_core.smoothing.memory.rules import Ball, Part, Settlement

_MOST_DIMMED = 30
_BOARD = Board("memory/settlement.html")


def show_settlement(
    settlement: Settlement,
    figures: Mapping[str, Figure],
    *,
    key: str,
    said: str,
    progress: Markup | str = "",
) -> None:
    """Draw a settlement, or update the one that stands under the same key.

    Args:
        settlement: of a query.
        figures: of :func:`settlement_figures`.
        key: identity of the place on the page.
        said: the sentence above, as plain text.
        progress: HTML above it.
    """
    count = len(settlement.parts)
    considered = counted(count, "ball") if count else "No ball"
    touched = "touched the claimed ball or " if settlement.claimed_radius > 0 else ""
    note = f"{considered} {touched}contained the query."
    texts = {"progress": progress, "said": said, "note": note}
    _BOARD.show(key=key, name="settlement", figures=figures, texts=texts)


def settlement_figures(
    settlement: Settlement,
    query: ArrayLike,
    image_of: Callable[[int], ArrayLike],
    nearest: Sequence[Part] = (),
    names: Sequence[str] = (),
    *,
    answered: str = "",
) -> dict[str, Figure]:
    """The plane and the ruler.

    Args:
        settlement: of the query.
        query: its image [C, H, W].
        image_of: the image at the centre of a ball, by its id.
        nearest: further balls, to fill the plane where fewer than two decided.
        names: of the classes.
        answered: what the settled ball is called; default: the outcome.
    """
    deciding = list(deciding_parts(settlement))
    for part in nearest:
        if len(deciding) < 2 and part.ball.id not in {p.ball.id for p in deciding}:
            deciding.append(part)
    plane = plane_through(query, *(image_of(part.ball.id) for part in deciding))
    shown = {part.ball.id for part in deciding}
    dimmed: list[tuple[Ball, Section]] = []
    for part in [*settlement.parts, *nearest]:
        ball = part.ball
        if ball.id not in shown and len(dimmed) < _MOST_DIMMED:
            shown.add(ball.id)
            dimmed.append((ball, plane.section(image_of(ball.id), ball.radius)))
    return {
        "plane": plane_figure(settlement, plane, deciding, dimmed, names, answered=answered),
        "ruler": _ruler(settlement, nearest, names),
    }


def _ruler(settlement: Settlement, nearest: Sequence[Part], names: Sequence[str]) -> Figure:
    """The ruler; where no ball was in the way, the nearest ones stand on it."""
    figure = ruler_figure(settlement, names)
    if settlement.parts or not nearest:
        return figure
    idle = Settlement(
        settlement.outcome,
        settlement.prediction,
        settlement.radius,
        settlement.claimed,
        settlement.claimed_radius,
        None,
        tuple(nearest[:6]),
    )
    return ruler_figure(idle, names)
