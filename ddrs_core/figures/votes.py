"""Class probabilities under noise, with their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ddrs_core.figures.class_axis import axis_names
from ddrs_core.figures.palette import (
    GREEN,
    MUTED,
    ORANGE,
    SIGMA_COLOUR,
    TEXT,
    Figure,
    axis,
    layout,
    vertical,
)
from ddrs_core.quantities import counted
from ddrs_core.smoothing.confidence import interval

_LONGEST = 22  # characters of a name
_SHOWN = 10  # classes at most
_FEW = 3  # where a single class of many has all votes
_ALPHA = 0.05


def votes_figure(
    counts: Sequence[int], class_names: tuple[str, ...], label: int | None = None
) -> Figure:
    """Share of noisy copies that each class received, with 95 % Clopper-Pearson intervals.

    Args:
        counts: votes [K].
        class_names: names of the K classes; of more than ten, those with most votes are shown,
            and all others together.
        label: the true class, named in the axis; the leading class is green if it is that one,
            otherwise orange.
    """
    votes = np.asarray(counts)
    n = max(1, int(votes.sum()))
    order = shown_classes(votes, label)
    names = axis_names(order.tolist(), class_names, _LONGEST)
    if label is not None and label in order:
        names[order.tolist().index(label)] += " (label)"
    shown, others = votes[order], int(np.delete(votes, order).astype(bool).sum())
    if others:
        shown = np.append(shown, votes.sum() - shown.sum())
        names.append(f"{counted(others, 'other class')}")
    share = shown / n
    low, high = interval(shown, n, _ALPHA)
    leading = int(votes.argmax())
    colour = TEXT if label is None else GREEN if leading == label else ORANGE
    colours = [colour if c == leading else SIGMA_COLOUR for c in order]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": share,
                "y": names,
                "marker": {"color": [*colours, *[MUTED] * (len(names) - len(colours))]},
                "error_x": {
                    "visible": bool(votes.any()),
                    "type": "data",
                    "symmetric": False,
                    "array": high - share,
                    "arrayminus": share - low,
                    "color": TEXT,
                    "thickness": 1.5,
                    "width": 3,
                },
                "hovertemplate": "class %{y}: %{x:.1%} of the votes<extra></extra>",
            }
        ],
        "layout": layout(
            showlegend=False,
            margin={"l": 40, "r": 14, "t": 6, "b": 38},
            bargap=0.15,
            xaxis=axis(
                f"share of {counted(int(votes.sum()), 'noisy copy')}",
                range=[0, 1.02],
                tickformat=".0%",
            ),
            yaxis=axis("class", type="category", autorange="reversed", dtick=1),
            shapes=[vertical(0.5, MUTED, "dash")],
        ),
    }


def shown_classes(votes: NDArray[np.int64], label: int | None) -> NDArray[np.int64]:
    """The classes that a figure of the votes [K] shows: all, or of many those with most votes."""
    if len(votes) <= _SHOWN:
        return np.arange(len(votes))
    order = np.argsort(-votes, kind="stable")[:_SHOWN]
    voted = [c for c in order if votes[c] or c == label]
    return np.sort(np.array(voted if len(voted) > 1 else order[:_FEW]))
