"""What one noise level for all images certifies, against that level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ddrs_core.figures.palette import (
    BLUE,
    CHOSEN_COLOUR,
    GREEN,
    ORANGE,
    PINK,
    SIGMA_COLOUR,
    START_COLOUR,
    Figure,
    axis,
    layout,
    line,
    see_through,
    vertical,
)
from ddrs_core.runs.certify.tuning_files import Tuning
from ddrs_core.smoothing.confidence import Floats

_BINS = 40
_LARGE = 0.75  # of σ₀, from which radii are shown that are twice as large
_STYLES = ((GREEN, "circle"), (ORANGE, "square"), (PINK, "diamond"))  # of radii


def tuning_figure(
    tuning: Tuning, training_sigma: float | None = None, own_sigmas: Floats | None = None
) -> Figure:
    """Average certified radius and certified accuracy at a few radii over the levels of a tuning,
    and how many images chose which level for themselves.

    Filled points have the votes of the tuning's last round; hollow ones the fewer votes of its
    first.

    Args:
        tuning: of training images.
        training_sigma: the noise level of the network's training.
        own_sigmas: [m], the levels that images chose; NaN where it is not known.
    """
    first, last = (f(score.n for score in tuning.scores) for f in (min, max))
    data: list[Figure] = []
    for n in dict.fromkeys((first, last)):
        scores, hollow = tuning.of_votes(n), n < last
        acr = [(score.sigma, score.acr) for score in scores]
        votes = f"{'≥, ' if tuning.adaptive else ''}N = {n:,}"
        data.append(_levels(acr, (BLUE, "circle"), hollow, f"ACR ({votes})"))
        for r, style in zip(_radii(tuning), _STYLES, strict=True):
            shares = [(s.sigma, dict(s.certified)[r]) for s in scores if r in dict(s.certified)]
            trace = _levels(shares, style, hollow, f"certified at r = {r:g}", "y2", ".1%")
            data += [trace | {"showlegend": n == last}] if shares else []
    marks = [(training_sigma, "training σ", START_COLOUR, "dot")]
    marks.append((tuning.tuned, "tuned σ", CHOSEN_COLOUR, "dash"))
    shown = [mark for mark in marks if mark[0] is not None]
    known_sigmas = np.array([]) if own_sigmas is None else own_sigmas[~np.isnan(own_sigmas)]
    levels = [score.sigma for score in tuning.scores]
    ends = [*levels, *(float(mark[0] or 0.0) for mark in shown), *known_sigmas.tolist()]
    data += _histogram(known_sigmas, max(ends))
    made = layout(
        xaxis=axis("noise level σ (pixels in [0, 1])", range=[0, 1.03 * max(ends)], anchor="y3"),
        yaxis=axis("ACR (ℓ₂)", domain=[0.62, 1], rangemode="tozero"),
        yaxis2=axis("certified", domain=[0.24, 0.57], range=[0, 1.03], tickformat=".0%"),
        yaxis3=axis("images", domain=[0, 0.18], rangemode="tozero", tickformat=".0%", nticks=3),
        shapes=[vertical(float(x or 0.0), colour, dash) for x, _, colour, dash in shown],
        annotations=_labels([(float(x or 0.0), text) for x, text, _, _ in shown]),
    )
    made["legend"]["y"] = 1.07
    return {"data": data, "layout": made}


def _radii(tuning: Tuning) -> tuple[float, ...]:
    return (0.0, 0.5, 1.0) if tuning.sigma_0 >= _LARGE else (0.0, 0.25, 0.5)


def _levels(
    points: Sequence[tuple[float, float]],
    style: tuple[str, str],
    hollow: bool,
    name: str,
    yaxis: str = "y",
    form: str = ".3f",
) -> Figure:
    (colour, symbol), size = style, 6 if hollow else 9
    return line(
        [sigma for sigma, _ in points],
        [value for _, value in points],
        colour,
        1.25,
        name=name,
        yaxis=yaxis,
        mode="lines+markers",
        marker={"symbol": symbol + ("-open" if hollow else ""), "size": size, "color": colour},
        hover=f"{name}: %{{y:{form}}} at σ = %{{x:.3f}}",
    )


def _histogram(sigmas: Floats, end: float) -> list[Figure]:
    """The share of images in each bin, as an outline."""
    if not len(sigmas):
        return []
    counts, edges = np.histogram(sigmas, bins=_BINS, range=(0.0, end))
    shares = np.append(counts, 0) / len(sigmas)
    return [
        line(
            edges,
            shares,
            SIGMA_COLOUR,
            1.5,
            shape="hv",
            fill="tozeroy",
            fillcolor=see_through(SIGMA_COLOUR, 0.4),
            name="σ* of images",
            yaxis="y3",
            hover="%{y:.1%} of the images chose σ from %{x:.3f}",
        )
    ]


def _labels(marks: list[tuple[float, str]]) -> list[Figure]:
    """Texts above vertical lines, the left one to the left of its line."""
    ordered = sorted(marks)
    return [
        {
            "text": f"{text} = {x:.3g}",
            "x": x,
            "xanchor": "right" if i == 0 and len(ordered) > 1 else "left",
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"size": 12},
        }
        for i, (x, text) in enumerate(ordered)
    ]
