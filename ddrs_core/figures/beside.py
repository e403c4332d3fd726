"""Another run on the same axes, thin and in one colour of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddrs_core.figures.palette import Figure, line, markers
from ddrs_core.smoothing import Certificate, SigmaStep, round_down
from ddrs_core.smoothing.confidence import Floats

BESIDE_COLOUR = "#8f6fe0"  # as assets/style.css has it
_WIDTH, _OPACITY = 2, 0.85


@dataclass(frozen=True)
class Beside:
    """What is drawn of another run."""

    name: str  # at its curve
    steps: Sequence[SigmaStep] = ()
    curve: tuple[Floats, Floats] | None = None  # noise levels, and the radius to be proved there
    certificates: Sequence[Certificate] = ()

    @property
    def radii(self) -> list[float]:
        """All radii that the axis has to hold."""
        drawn = [] if self.curve is None else self.curve[1].tolist()
        return [*drawn, *(made.radius for made in self.certificates)]


def beside_curve(other: Beside) -> tuple[list[Figure], list[Figure]]:
    """The other run's radius curve and certificates as traces, and its name as annotations."""
    if other.curve is None:
        return [], []
    sigmas, radius = other.curve
    hover = f"{other.name}: σ %{{x:.3f}}: about %{{y:.3f}} to be proved"
    traces = [_line(sigmas, radius, other, hover)]
    traces += [
        markers(
            [made.sigma],
            [made.radius],
            "rgba(0,0,0,0)",
            11,
            symbol="square",
            edge=(BESIDE_COLOUR, 2),
            name=other.name,
            showlegend=False,
            hover=f"{other.name}, certified at σ = {made.sigma:.4f}: R = {round_down(made.radius)}",
        )
        for made in other.certificates
    ]
    top = int(radius.argmax())
    name: Figure = {
        "x": float(np.log10(sigmas[top])),
        "y": float(radius[top]),
        "yanchor": "bottom",
        "text": f"<b>{other.name}</b>",
        "showarrow": False,
        "font": {"color": BESIDE_COLOUR, "size": 13},
    }
    return traces, [name]


def beside_steps(other: Beside) -> list[Figure]:
    """The other run's noise levels and radius estimates, on the axes of a trajectory."""
    k = np.arange(1, len(other.steps) + 1, dtype=np.int32)
    sigma = np.array([step.sigma for step in other.steps])
    radius = np.array([step.radius for step in other.steps])
    second = {"xaxis": "x2", "yaxis": "y2"}
    return [
        _line(k, sigma, other, f"{other.name}, step %{{x}}: σ = %{{y:.4f}}"),
        _line(k, radius, other, f"{other.name}, step %{{x}}: R about %{{y:.4f}}", **second),
    ]


def _line(x: object, y: object, other: Beside, hover: str, **more: str) -> Figure:
    drawn = line(x, y, BESIDE_COLOUR, _WIDTH, dash="dash", name=other.name, hover=hover, **more)
    return {**drawn, "opacity": _OPACITY, "showlegend": False}
