"""A training run by epoch: loss and noisy accuracy, and the noise levels of the training images."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ddrs_core.figures.palette import (
    AMBER,
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    PINK,
    SIGMA_COLOUR,
    START_COLOUR,
    TEXT,
    Figure,
    axis,
    horizontal,
    layout,
    line,
    markers,
    rgb,
    vertical,
)
from ddrs_core.quantities import counted
from ddrs_core.training import EpochSummary, SigmaSummary

_ROWS = 300  # of the picture of all epochs, at most; of more epochs every k-th is shown
_FEW = 8  # epochs that are all named on an axis
_CERTIFIED = (AMBER, PINK)  # the smaller radius first
_CELL = (10, 6)  # pixels of a cell of that picture, so that its enlargement stays sharp


def training_figure(
    epochs: Sequence[EpochSummary],
    total: int,
    shown: int | None = None,
    now: tuple[float, float, float] | None = None,
) -> Figure:
    """Two plots over a common axis: the loss above; below the accuracy on noisy training images,
    and what votes and certificates make of a few test images.

    Args:
        epochs: the epochs so far.
        total: number of epochs of the run, which fixes the horizontal axis.
        shown: number of the epoch that the other views show, marked on both lines.
        now: position within the epoch that is under way, with the loss and accuracy there.
    """
    number = np.array([e.epoch for e in epochs], dtype=np.int32)
    loss = np.array([e.loss for e in epochs], dtype=np.float64)
    accuracy = np.array([e.accuracy for e in epochs], dtype=np.float64)
    mode = "lines+markers" if len(epochs) < 3 else "lines"
    data = [
        line(
            number,
            loss,
            ORANGE,
            2.5,
            name="loss",
            mode=mode,
            hover="epoch %{x}: loss %{y:.4f}",
            showlegend=False,
        ),
        line(
            number,
            accuracy,
            BLUE,
            2.5,
            name="one noisy copy",
            mode=mode,
            yaxis="y2",
            hover="epoch %{x}: %{y:.1%} of noisy copies right",
        ),
        *_smoothed_lines(epochs),
    ]
    for at in (e for e in epochs if e.epoch == shown):
        data += _pair(at.epoch, at.loss, at.accuracy, 11, edge=(MUTED, 1.0))
    if now is not None:
        data += _pair(*now, 10, symbol="circle-open")
    heights = [*loss.tolist(), *([now[1]] if now is not None else [])]
    top = max([h for h in heights if math.isfinite(h)], default=1.0)
    return {
        "data": data,
        "layout": layout(
            showlegend=True,
            margin={"l": 56, "r": 16, "t": 30, "b": 46},
            xaxis=_epochs_axis(total, range=[0, 1.02 * max(total, 1)], anchor="y2", domain=[0, 1]),
            yaxis=axis("loss", domain=[0.54, 1], range=[0, 1.08 * top or 1.0]),
            yaxis2=axis(
                "accuracy", domain=[0, 0.44], range=[0, 1.02], tickformat=".0%", anchor="x"
            ),
        ),
    }


def sigmas_figure(
    epochs: Sequence[EpochSummary],
    total: int,
    sigma_0: float,
    bounds: tuple[float, float],
    shown: int | None = None,
) -> Figure:
    """Two plots over a common axis, the noise level: its histogram over the training images after
    one epoch above; below all epochs, from top to bottom, as rows of a picture.

    Args:
        epochs: the epochs so far.
        total: number of epochs of the run.
        sigma_0: where all images started.
        bounds: the range that sigmas are kept in, which fixes the horizontal axis.
        shown: number of the epoch whose histogram is drawn; the last one when omitted.
    """
    known = [(e.epoch, e.sigma) for e in epochs if e.sigma is not None]
    at = next((pair for pair in known if pair[0] == shown), known[-1] if known else None)
    bars = _bars(at[1] if at is not None else None)
    top = float(np.max(bars["y"], initial=0.0)) or 1.0
    shapes = [vertical(sigma_0, START_COLOUR, "dot")]
    if at is not None:
        shapes.append(horizontal(at[0], SIGMA_COLOUR, "solid", 2.0, yref="y2"))
    return {
        "data": [bars, _medians(known)],
        "layout": layout(
            showlegend=False,
            bargap=0.06,
            margin={"l": 56, "r": 16, "t": 26, "b": 46},
            images=[_picture(known)] if known else [],
            shapes=shapes,
            annotations=[_label(sigma_0)],
            xaxis=axis("noise level σ", range=list(bounds), anchor="y2", domain=[0, 1]),
            yaxis=axis(
                "share of images", domain=[0.52, 1], range=[0, 1.06 * top], tickformat=".0%"
            ),
            yaxis2=_epochs_axis(
                total, domain=[0, 0.44], range=[total + 0.5, 0.5], anchor="x", showgrid=False
            ),
        ),
    }


def quantiles(summary: SigmaSummary, shares: Sequence[float]) -> NDArray[np.float64]:
    """Noise levels below which the given shares of the images lie, read off the histogram."""
    reached = np.concatenate([[0.0], np.cumsum(summary.counts)])
    wanted = np.asarray(shares) * max(1.0, float(reached[-1]))
    return np.interp(wanted, reached, summary.edges)


def _smoothed_lines(epochs: Sequence[EpochSummary]) -> list[Figure]:
    """Shares of a few test images: right by most votes, and certified at each radius."""
    known = [(e.epoch, e.smoothed) for e in epochs if e.smoothed is not None]
    if not known:
        return []
    at = np.array([epoch for epoch, _ in known], dtype=np.int32)
    first = known[0][1]
    shares = [("votes", [s.smoothed for _, s in known], GREEN)]
    for i, (radius, colour) in enumerate(zip(first.radii, _CERTIFIED, strict=False)):
        shares.append((f"certified at {radius:g}", [s.certified[i] for _, s in known], colour))
    return [
        line(
            at,
            np.array(values),
            colour,
            2.0,
            name=name,
            mode="lines+markers",
            yaxis="y2",
            hover=f"epoch %{{x}}: {name}: %{{y:.0%}} of {counted(first.images, 'test image')}",
        )
        for name, values, colour in shares
    ]


def _epochs_axis(total: int, **changes: Any) -> dict[str, Any]:
    """An axis of epochs, which have no halves."""
    return axis("epoch", **({"dtick": 1} if total <= _FEW else {}), **changes)


def _bars(summary: SigmaSummary | None) -> Figure:
    edges = np.array(summary.edges if summary is not None else (0.0,))
    counts = np.array(summary.counts if summary is not None else (), dtype=np.int32)
    return {
        "type": "bar",
        "x": (edges[1:] + edges[:-1]) / 2,
        "y": counts / max(1, int(counts.sum())),
        "width": np.diff(edges),
        "customdata": counts,
        "marker": {"color": SIGMA_COLOUR},
        "hovertemplate": "σ about %{x:.3f}: %{y:.1%} of images (%{customdata})<extra></extra>",
    }


def _medians(known: Sequence[tuple[int, SigmaSummary]]) -> Figure:
    found = [quantiles(summary, (0.1, 0.5, 0.9)) for _, summary in known]
    said = [
        f"half of the images below {m:.3f}, a tenth below {a:.3f}, a tenth above {b:.3f}"
        for a, m, b in found
    ]
    return line(
        np.array([f[1] for f in found]),
        np.array([epoch for epoch, _ in known], dtype=np.int32),
        TEXT,
        1.5,
        yaxis="y2",
        text=said,
        hover="epoch %{y}: %{text}",
    )


def _picture(known: Sequence[tuple[int, SigmaSummary]]) -> Figure:
    """All histograms as one image: a row an epoch, a column a bin, full colour where most are."""
    stride = math.ceil(len(known) / _ROWS)
    rows = known[::stride]
    counts = np.array([summary.counts for _, summary in rows], dtype=np.float64)
    share = counts / np.maximum(counts.max(axis=1, keepdims=True), 1)
    alpha = (255 * np.sqrt(share)).astype(np.uint8).repeat(_CELL[0], 1).repeat(_CELL[1], 0)
    pixels = np.empty((*alpha.shape, 4), dtype=np.uint8)
    pixels[..., :3] = rgb(SIGMA_COLOUR)
    pixels[..., 3] = alpha
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    edges = known[0][1].edges
    return {
        "source": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(),
        "xref": "x",
        "yref": "y2",
        "x": edges[0],
        "y": rows[0][0] - 0.5,
        "yanchor": "top",
        "sizex": edges[-1] - edges[0],
        "sizey": stride * len(rows),
        "sizing": "stretch",
        "layer": "below",
    }


def _pair(x: float, loss: float, accuracy: float, size: float, **style: Any) -> list[Figure]:
    """A point on each of the two lines."""
    style |= {"showlegend": False}
    return [
        markers(np.array([x], np.float64), np.array([loss]), ORANGE, size, **style),
        markers(np.array([x], np.float64), np.array([accuracy]), BLUE, size, yaxis="y2", **style),
    ]


def _label(sigma: float) -> Figure:
    return {
        "x": sigma,
        "yref": "paper",
        "y": 1,
        "yanchor": "bottom",
        "text": "σ₀",
        "showarrow": False,
        "font": {"color": START_COLOUR, "size": 12},
    }
