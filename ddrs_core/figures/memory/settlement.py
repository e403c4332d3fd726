"""One settlement of the memory: the balls in their plane, and the same on a ruler of distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddrs_core.figures.class_axis import class_title
from ddrs_core.figures.memory.balls import (
    FILL,
    UNIT,
    centre_mark,
    circle,
    class_hue,
    class_symbol,
    filled,
    quiet,
    true_to_scale,
)
from ddrs_core.figures.palette import TEXT, Figure, axis, layout, line, see_through, vertical
from ddrs_core.smoothing.certificate import round_down
from ddrs_core.smoothing.memory.geometry import Plane, Section
from ddrs_core.smoothing.memory.rules import Ball, Part, Settlement


def plane_figure(
    settlement: Settlement,
    plane: Plane,
    parts: Sequence[Part],
    dimmed: Sequence[tuple[Ball, Section]] = (),
    class_names: Sequence[str] = (),
    *,
    answered: str = "",
) -> Figure:
    """The query and the balls that decided, true to scale in the plane through their centres.

    The settled ball is solid, the claimed one dashed. The bold line runs from the query to the
    surface that decided.

    Args:
        settlement: what became of the query.
        plane: through the query and the centres of ``parts``, in this order.
        parts: up to two balls, from :func:`~ddrs_core.smoothing.memory.geometry.deciding_parts`.
        dimmed: further balls, by their sections with the plane.
        class_names: for the hover text.
        answered: what the settled ball is called; default: the outcome.
    """
    data: list[Figure] = []
    for ball, section in dimmed:
        if section.is_cut:
            data.append(_dimmed(ball, section, class_names))
    for part, point in zip(parts, plane.points[1:].tolist(), strict=True):
        data += _part(part, point, class_names)
    title = class_title(settlement.claimed, class_names)
    if settlement.claimed_radius > 0:
        data.append(
            circle(
                (0.0, 0.0),
                settlement.claimed_radius,
                settlement.claimed,
                f"claimed: {title}",
                f"claimed: {title} within {round_down(settlement.claimed_radius, 4)}",
                dash="dash",
            )
        )
    if settlement.radius > 0:
        answer = class_title(settlement.prediction, class_names)
        called = f"{answered or settlement.outcome}: {answer}"
        said = f"{called} within {round_down(settlement.radius, 4)}"
        settled = circle(
            (0.0, 0.0), settlement.radius, settlement.prediction, called, said, width=3.0
        )
        data.append(filled(settled))
    data += _reason(settlement, parts, plane)
    data.append(centre_mark((0.0, 0.0), settlement.prediction, "query", "the query"))
    return {"data": data, "layout": true_to_scale("in the plane, ")}


def ruler_figure(settlement: Settlement, class_names: Sequence[str] = ()) -> Figure:
    """All balls that were considered, a row each, by their distance from the query.

    A bar reaches from the nearest to the farthest point of a ball, seen along the line through its
    centre; left of 0 lies what is beyond the query. The shaded band is the claimed ball, the solid
    lines are the settled one. Where a ball of another class reaches into the claimed one, the
    overlap is marked.
    """
    parts = sorted(settlement.parts, key=lambda part: (-part.slack, -part.ball.id))  # upwards
    names = [_ball_title(part.ball, class_names) for part in parts]
    data: list[Figure] = []
    for name, part in zip(names, parts, strict=True):
        d, r = part.distance.high, part.ball.radius
        hue = class_hue(part.ball.prediction)
        marker = {"color": hue, "size": [1, 13, 1], "line": {"color": TEXT, "width": 1}}
        data.append(
            line(
                [d - r, d, d + r],
                [name] * 3,
                hue,
                7,
                mode="lines+markers",
                marker={**marker, "symbol": class_symbol(part.ball.prediction)},
                hover=_part_text(part, class_names),
            )
        )
        if part.conflicts:
            claimed = settlement.claimed_radius
            ends = [max(d - r, -claimed), min(d + r, claimed)]
            hover = f"overlap {max(0.0, claimed + r - d):.4f}"
            data.append(line(ends, [name] * 2, TEXT, 3, dash="dot", hover=hover))
    shapes = [vertical(0.0, TEXT, "solid", 1.0), *_band(settlement)]
    return {
        "data": data,
        "layout": layout(
            showlegend=False,
            shapes=shapes,
            xaxis=axis(UNIT + " from the query"),
            yaxis=axis(
                "balls considered", type="category", categoryorder="array", categoryarray=names
            ),
        ),
    }


def _part(part: Part, point: list[float], class_names: Sequence[str]) -> list[Figure]:
    at, said = (point[0], point[1]), _part_text(part, class_names)
    name = _ball_title(part.ball, class_names)
    ball = filled(circle(at, part.ball.radius, part.ball.prediction, name, said))
    return [ball, quiet(centre_mark(at, part.ball.prediction, "", said))]


def _dimmed(ball: Ball, section: Section, class_names: Sequence[str]) -> Figure:
    said = (
        f"{_ball_title(ball, class_names)}: radius {round_down(ball.radius, 4)}, its centre "
        f"{section.height:.4f} off this plane, which cuts a circle of {section.radius:.4f}"
    )
    cut = circle(section.centre, section.radius, ball.prediction, "", said, width=1.0)
    return quiet(cut | {"opacity": 0.4})


def _reason(settlement: Settlement, parts: Sequence[Part], plane: Plane) -> list[Figure]:
    """The line from the query to the nearest point of the surface that decided."""
    for part, point in zip(parts, plane.points[1:], strict=True):
        if settlement.by is None or part.ball.id != settlement.by.id:
            continue
        d = float(np.hypot(*point))
        way = point / d if d > 0 else np.array([1.0, 0.0])
        end = (d - part.ball.radius) * way  # inside the ball: away from its centre
        x, y = [0.0, float(end[0])], [0.0, float(end[1])]
        name, hover = "to the surface that decided", f"slack {part.slack:.4f}"
        return [line(x, y, TEXT, 3, name=name, hover=hover)]
    return []


def _part_text(part: Part, class_names: Sequence[str]) -> str:
    where = "outside" if part.slack > 0 else "inside"
    return (
        f"{_ball_title(part.ball, class_names)}: radius {round_down(part.ball.radius, 4)}<br>"
        f"distance {part.distance.high:.4f}, slack {part.slack:.4f} ({where})"
    )


def _ball_title(ball: Ball, class_names: Sequence[str]) -> str:
    return f"ball {ball.id}: {class_title(ball.prediction, class_names)}"


def _band(settlement: Settlement) -> list[Figure]:
    claimed, held = settlement.claimed_radius, settlement.radius
    shown = []
    if claimed > 0:
        hue = class_hue(settlement.claimed)
        shown.append(
            {
                "type": "rect",
                "x0": -claimed,
                "x1": claimed,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "fillcolor": see_through(hue, FILL),
                "layer": "below",
                "line": {"color": hue, "width": 1.5, "dash": "dash"},
            }
        )
    if held > 0:
        hue = class_hue(settlement.prediction)
        shown += [vertical(side * held, hue, "solid", 2.5) for side in (-1, 1)]
    return shown
