"""Where balls meet: two that contradict each other, and those along the way between two images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ddrs_core.figures.class_axis import class_title
from ddrs_core.figures.memory.balls import centre_mark, circle, filled, quiet, true_to_scale
from ddrs_core.figures.palette import Figure
from ddrs_core.smoothing.certificate import round_down
from ddrs_core.smoothing.memory.collisions import WalkPoint


@dataclass(frozen=True)
class DrawnBall:
    """A ball as its certificate claimed it, and as the memory settled it."""

    claimed: int
    claimed_radius: float
    prediction: int
    radius: float
    name: str  # such as "ball 12"

    def draw(self, at: float, class_names: Sequence[str]) -> list[Figure]:
        """Its claimed surface (dashed, where it was changed), its settled one, and its centre."""
        claimed = class_title(self.claimed, class_names)
        answer = class_title(self.prediction, class_names)
        said = (
            f"{self.name}<br>claimed: {claimed} within {round_down(self.claimed_radius, 4)}<br>"
            f"settled: {answer} within {round_down(self.radius, 4)}"
        )
        centre, data = (at, 0.0), []
        if self.claimed_radius > self.radius or self.claimed != self.prediction:
            data.append(circle(centre, self.claimed_radius, self.claimed, "", said, dash="dash"))
        if self.radius > 0:
            data.append(filled(circle(centre, self.radius, self.prediction, "", said)))
        data.append(centre_mark(centre, self.prediction, "", said))
        return [quiet(trace) for trace in data]


def collision_figure(
    first: DrawnBall, second: DrawnBall, length: float, class_names: Sequence[str] = ()
) -> Figure:
    """Two balls whose centres are ``length`` apart, cut by a plane through both centres: exact."""
    data = [*first.draw(0.0, class_names), *second.draw(length, class_names)]
    figure_layout = true_to_scale("along the line of the centres, ")
    return {"data": data, "layout": figure_layout | {"showlegend": False}}


def walk_figure(
    points: Sequence[WalkPoint], length: float, class_names: Sequence[str] = ()
) -> Figure:
    """Balls along the segment between two images, whose centres lie on one line: true to scale.

    Args:
        points: those settled so far.
        length: distance of the two images.
    """
    data: list[Figure] = []
    for number, point in enumerate(points):
        s = point.settlement
        name = f"arrival {number + 1}, t = {point.t:.3f}, σ {point.certificate.sigma:.3f}"
        ball = DrawnBall(s.claimed, s.claimed_radius, s.prediction, s.radius, name)
        data += ball.draw(point.t * length, class_names)
    end = max(length, 1e-9)
    figure_layout = true_to_scale("along the way, ")
    figure_layout["showlegend"] = False
    figure_layout["xaxis"]["range"] = [-0.25 * end, 1.25 * end]
    return {"data": data, "layout": figure_layout}
