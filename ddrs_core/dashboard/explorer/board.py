"""The explorer's live views: radius curve, noisy copies, votes, trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ddrs_core.dashboard.components.board import EXPLORER_ROUTE, Board
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.explorer.jobs import CurveFrame, curve_range
from ddrs_core.dashboard.explorer.live import live_data
from ddrs_core.dashboard.explorer.texts import outcome_html
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.figures import Figure, curve_figure, trajectory_figure, votes_figure
from ddrs_core.figures.beside import Beside
from ddrs_core.jobs import Job
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Bound, Certificate, CurveFit, Probe, SigmaFrame, provable

_BOARD = Board("explorer/board.html", EXPLORER_ROUTE)
_KEY = "explorer_board"

_NEEDED = {  # to certify a class
    Bound.ONE_SIDED: "only with more than half of the votes",
    Bound.TWO_SIDED: "only with clearly more votes than any other",
}

_TRAJECTORY = {
    False: "The noise level at each step, and the radius that the optimiser estimates. They guide "
    "the search and prove nothing. The slider looks back.",
    True: "The best noise level by the curve that is fitted after each round, and the radius "
    "there, with 90 % intervals. They guide the search and prove nothing. The slider looks back.",
}
_CURVE = {
    False: "Drag to move σ, or use the arrow keys. Thick: what a certification is expected to "
    "prove. Thin: the estimate from the votes alone. Dashed: the most that N votes can prove. "
    "Squares: certificates.",
    True: "Drag to move σ, or use the arrow keys. Blue: the strategy's votes (hollow: unanimous) "
    "and its fit. Green: where the search expects its best level, σ*. Amber, from many more votes "
    "that it does not know: what a certification is expected to prove (thick) and the estimate "
    "(thin). Dashed: the most that N votes can prove. Squares: certificates.",
}


@dataclass(frozen=True)
class Moment:
    """The step that all linked views show."""

    frames: Sequence[SigmaFrame]
    shown: int  # number of the step, 0 before the first
    sigma: float
    probe: Probe | None
    chosen: float | None

    @property
    def fit(self) -> CurveFit | None:
        """The fitted curve at that step, of a strategy that has one."""
        return self.frames[self.shown - 1].step.fit if self.shown else None


def moment_of(job: Job | None, view: ExplorerView, shown: int | None = None) -> Moment:
    """What to show: the latest step, or an earlier one that was asked for."""
    frames = job.history if job is not None else []
    if not frames:
        return Moment(frames, 0, view.sigma_0, None, None)
    last = frames[-1]
    at = len(frames) if shown is None else max(1, min(shown, len(frames)))
    if at == len(frames) and last.step.chosen is not None:
        return Moment(frames, at, last.step.chosen, last.final, last.step.chosen)
    looks = [f.probe for f in frames[:at] if f.probe is not None]
    return Moment(
        frames, at, frames[at - 1].step.sigma, looks[-1] if looks else None, last.step.chosen
    )


def asked_step(job: Job | None) -> int | None:
    """The step of this run that the visitor looks back at; None while it goes on."""
    said = st.session_state.get(_KEY, {}).get("shown")
    if job is None or job.state.is_moving or not isinstance(said, list) or len(said) != 3:
        return None
    about, last, step = said
    mine = about == job.id and last == len(job.history)
    return int(step) if mine and isinstance(step, int) else None


def show_board(
    view: ExplorerView,
    job: Job | None,
    frame: CurveFrame | None,
    certificates: Sequence[Certificate],
    *,
    note: str,
    idle: bool,
    other: Beside | None = None,
    pinned: tuple[bool, str] = (False, ""),
) -> Any:
    """Draw or update all live views.

    Args:
        view: what is looked at.
        job: the strategy's.
        frame: the radius curve so far.
        certificates: of this image, as far as they are known.
        note: what to see here, in a sentence.
        idle: no certificate is being made.
        other: a run to show beside it.
        pinned: whether that is pinned, and what it is called.

    Returns:
        What the visitor has just asked for: ``certify``, a noise level; ``pin``.
    """
    moment = moment_of(job, view, asked_step(job))
    steps = [f.step for f in moment.frames]
    step = steps[moment.shown - 1] if moment.shown else None
    curve = frame.curve if frame is not None else None
    proved = provable(curve, view.budget) if curve is not None else None
    names, label, rounds = view.info.class_names, view.true_label, view.config.fits_curve
    counts = moment.probe.counts if moment.probe else [0] * view.info.num_classes
    figures: dict[str, Figure] = {
        "curve": curve_figure(
            curve,
            names,
            _range(view, other),
            sigma_0=view.sigma_0,
            current=moment.sigma if moment.frames else None,
            chosen=moment.chosen,
            fit=moment.fit,
            proved=proved,
            certificates=certificates,
            bound=view.budget.bound,
            other=other,
        ),
        "votes": votes_figure(counts, names, label),
        "trajectory": trajectory_figure(
            steps,
            view.config.steps,
            view.sigma_0,
            moment.shown or None,
            rounds=rounds,
            other=other,
        ),
    }
    early = len(steps) < view.config.steps
    title = "your picture" if view.is_picture else f"image {view.index}"
    texts = {
        "progress": progress_html(job, "Press Run."),
        "note": note,
        "outcome": outcome_html(view.sigma_0, steps[-1], curve, early=early) if steps else "",
        "trajectory-note": _TRAJECTORY[rounds],
        "curve-note": _CURVE[rounds],
        "image": title + (", no label" if label is None else f", label {names[label]}"),
        "votes-note": f"The share of {counted(sum(counts), 'noisy copy')} for each class, with "
        "95 % intervals; of those of the curve while σ is moved. A class can be certified "
        f"{_NEEDED[view.budget.bound]}.",
    }
    live = live_data(
        view,
        moment.sigma,
        step=step,
        seen=moment.probe,
        chosen=moment.chosen,
        frame=frame,
        proved=proved,
        certificates=certificates,
    )
    at_rest = job is not None and not job.state.is_moving and len(steps) > 1
    live |= {
        "idle": idle,
        "job": job.id if job is not None else "",
        "pinned": pinned,
        "look": {"last": max(2, len(steps)), "shown": moment.shown or 2, "can": at_rest},
    }
    return _BOARD.show(
        key=_KEY,
        name=f"{view.dataset}-{view.index}",
        figures=figures,
        texts=texts,
        live=live,
        on={"shown": _redraw, "certify": _redraw, "pin": _redraw},
    )


def _range(view: ExplorerView, other: Beside | None) -> tuple[float, float]:
    """Of the noise levels that the plot shows: of both runs, where there are two."""
    low, high = curve_range(view)
    if other is None or other.curve is None:
        return low, high
    levels = other.curve[0]
    return min(low, float(levels[0])), max(high, float(levels[-1]))


def _redraw() -> None:
    """Streamlit tells only those that ask; the board is drawn again in any case."""
