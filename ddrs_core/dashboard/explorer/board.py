"""The explorer's live views: trajectory, radius curve, noisy copies, votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.data_uri import picture_uri
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.explorer.jobs import curve_range
from ddrs_core.dashboard.explorer.texts import outcome_html
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.figures import Figure, curve_figure, trajectory_figure, votes_figure
from ddrs_core.jobs import Job
from ddrs_core.models import get_card, open_for_model
from ddrs_core.smoothing import Bound, CurveFit, Probe, RadiusCurve, SigmaFrame, shown_noise

_BOARD = Board("explorer/board.html")


_NEEDED = {  # to certify a class
    Bound.ONE_SIDED: "only with more than half of the votes",
    Bound.TWO_SIDED: "only with clearly more votes than any other",
}

_TRAJECTORY = {
    False: "The noise level at each step, and the radius that the optimiser estimates. The "
    "estimate guides the search; it is not a certificate.",
    True: "The best noise level by the curve that is fitted after each round, and the radius "
    "there, with 90 % intervals. They guide the search; they are no certificate.",
}
_CURVE = {
    False: "Counted votes on a grid of noise levels, with a 95 % band. The strategy searches for "
    "the maximum without knowing the curve. Dashed: the largest radius that N samples can prove.",
    True: "Blue: the strategy's votes (hollow: unanimous) and its fit. Green: where the best level "
    "lies. Amber: many more votes, unknown to it. Dashed: the most that N samples can prove.",
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


def moment_of(job: Job | None, view: ExplorerView, shown: int | None) -> Moment:
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


def show_board(
    view: ExplorerView, job: Job | None, moment: Moment, curve: RadiusCurve | None
) -> None:
    """Draw or update all live views."""
    steps = [f.step for f in moment.frames]
    figures: dict[str, Figure] = {
        "trajectory": trajectory_figure(
            steps,
            view.config.steps,
            view.sigma_0,
            moment.shown or None,
            rounds=view.config.fits_curve,
        ),
        "curve": curve_figure(
            curve,
            view.info.class_names,
            curve_range(view),
            sigma_0=view.sigma_0,
            current=moment.sigma if moment.frames else None,
            chosen=moment.chosen,
            fit=moment.fit,
        ),
    }
    label = view.true_label
    counts = moment.probe.counts if moment.probe else [0] * view.info.num_classes
    figures["votes"] = votes_figure(counts, view.info.class_names, label)
    needed = _NEEDED[view.budget.bound]
    early = len(steps) < view.config.steps
    texts = {
        "progress": progress_html(job, "Press Run to watch the noise level being optimised."),
        "outcome": outcome_html(view.sigma_0, steps[-1], curve, early=early) if steps else "",
        "trajectory-note": _TRAJECTORY[view.config.fits_curve],
        "curve-note": _CURVE[view.config.fits_curve],
        "copies-title": f"What the network sees at sigma = {moment.sigma:.3f}",
        "copies": copies_html(view, moment),
        "votes-note": "Bars show the share of noisy copies for each class, with 95 % intervals. "
        f"A class can be certified {needed}.",
    }
    name = f"{view.dataset}-{view.index}"
    _BOARD.show(key="explorer_board", name=name, figures=figures, texts=texts)


def copies_html(view: ExplorerView, moment: Moment) -> Markup:
    """The image and its noisy copies, each with the class that the network predicts."""
    sigma = round(moment.probe.sigma if moment.probe else moment.sigma, 4)
    return render(
        "explorer/copies.html",
        pictures=_pictures(view.dataset, view.model, view.index, view.budget.seed, sigma),
        shape=view.info.shape,
        title="your picture" if view.is_picture else f"image {view.index}",
        names=view.info.class_names,
        label=view.true_label,
        probe=moment.probe,
    )


@lru_cache(maxsize=512)
def _pictures(dataset: str, model: str, index: int, seed: int, sigma: float) -> tuple[str, ...]:
    x, _ = open_for_model(dataset, get_card(model))[index]
    noisy = x + sigma * shown_noise(x, seed, index)
    return (picture_uri(x), *(picture_uri(copy) for copy in noisy))
