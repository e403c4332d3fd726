"""The explorer's live views: trajectory, radius curve, noisy copies, votes."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.data_uri import picture_uri
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.explorer.jobs import curve_range
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.figures import Figure, curve_figure, trajectory_figure, votes_figure
from ddrs_core.jobs import Job
from ddrs_core.models import get_card, open_for_model
from ddrs_core.smoothing import (
    Bound,
    Probe,
    RadiusCurve,
    SigmaFrame,
    compare_with_curve,
    shown_noise,
)

_BOARD = Board(
    "ddrs_explorer_board",
    """
<div class="ddrs-board">
  <div class="ddrs-wide">
    <div data-text="progress"></div><div class="ddrs-outcome" data-text="outcome"></div>
  </div>
  <section>
    <h2>Trajectory</h2>
    <p>The noise level at each step, and the radius that the optimiser believes in. The estimate
      steers the search; it is not a certificate.</p>
    <div data-figure="trajectory" style="height:380px" role="group"
      aria-label="Noise level and radius estimate against the optimiser's step"></div>
  </section>
  <section>
    <h2>Why it moves: the radius as a function of sigma</h2>
    <p>Counted votes on a grid of noise levels, with a 95 % band. The strategy looks for the top of
      this hill without seeing it. Dashed: the most that N samples can prove.</p>
    <div data-figure="curve" style="height:380px" role="group"
      aria-label="Radius against noise level, with the current noise level marked"></div>
  </section>
  <section>
    <h2 data-text="copies-title"></h2>
    <p>Eight noisy copies, the class that the network gives to each, and its softmax confidence.
      Green agrees with the label, orange does not.</p>
    <div data-text="copies"></div>
  </section>
  <section>
    <h2>Votes of the noisy copies</h2>
    <p data-text="votes-note"></p>
    <div data-figure="votes" style="height:310px" role="group"
      aria-label="Share of votes for each class with intervals"></div>
  </section>
</div>
""",
)


_NEEDED = {  # to certify a class
    Bound.ONE_SIDED: "only with more than half of the votes",
    Bound.TWO_SIDED: "only with clearly more votes than any other",
}


@dataclass(frozen=True)
class Moment:
    """The step that all linked views show."""

    frames: Sequence[SigmaFrame]
    shown: int  # number of the step, 0 before the first
    sigma: float
    probe: Probe | None
    chosen: float | None


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
            steps, view.config.steps, view.sigma_0, moment.shown or None
        ),
        "curve": curve_figure(
            curve,
            view.info.class_names,
            curve_range(view),
            sigma_0=view.sigma_0,
            current=moment.sigma if moment.frames else None,
            chosen=moment.chosen,
        ),
    }
    label = view.true_label
    counts = moment.probe.counts if moment.probe else [0] * view.info.num_classes
    figures["votes"] = votes_figure(counts, view.info.class_names, label)
    needed = _NEEDED[view.bound]
    texts = {
        "progress": progress_html(job, "Press Run to watch the noise level being optimised."),
        "outcome": outcome_html(view, moment, curve),
        "copies-title": f"What the network sees at sigma = {moment.sigma:.3f}",
        "copies": copies_html(view, moment),
        "votes-note": "Bars show the share of noisy copies for each class, with 95 % intervals. "
        f"A class can be certified {needed}.",
    }
    name = f"{view.dataset}-{view.index}"
    _BOARD.show(key="explorer_board", name=name, figures=figures, texts=texts)


def outcome_html(view: ExplorerView, moment: Moment, curve: RadiusCurve | None = None) -> str:
    """Where the strategy ended and why, once it has, and what the finished curve says of it."""
    if moment.chosen is None:
        return ""
    moved = f"sigma went from {view.sigma_0:.4f} to <b>{moment.chosen:.4f}</b>."
    if moment.chosen == view.sigma_0:
        moved = f"sigma stays at <b>{view.sigma_0:.4f}</b>."
    said = f"{moved} {html.escape(moment.frames[-1].step.reason)}"
    if curve is None or curve.n < curve.target:
        return said
    return f"{said} {curve_text(curve, moment.chosen)}".rstrip()


def curve_text(curve: RadiusCurve, sigma: float) -> str:
    """How the radius at a noise level compares with the highest of the curve, in a sentence."""
    found = compare_with_curve(curve, sigma)
    if found is None:
        return ""
    here = f"The curve estimates a radius of {found.radius:.3f} there"
    if found.best_radius <= found.radius:
        return f"{here}, its highest for this class."
    order = "more, beyond its band" if found.apart else "not to be told apart within its band"
    return (
        f"{here} and its highest for this class, {found.best_radius:.3f}, at sigma = "
        f"{found.best_sigma:.4f}: {order}."
    )


def copies_html(view: ExplorerView, moment: Moment) -> str:
    """The image and its noisy copies, each with the class that the network gives to it."""
    names = [html.escape(n) for n in view.info.class_names]
    label = view.true_label
    small = "ddrs-pixelated" if view.info.shape[1] <= 64 else ""
    sigma = round(moment.probe.sigma if moment.probe else moment.sigma, 4)
    original, *copies = _pictures(view.dataset, view.model, view.index, view.seed, sigma)
    parts = [
        f'<figure class="ddrs-original"><img class="{small}" src="{original}" '
        f'alt="the image itself"><figcaption>'
        f"{'your picture' if view.is_picture else f'image {view.index}'}<br>"
        f"{'no label' if label is None else f'label {names[label]}'}</figcaption></figure>"
    ]
    for i, source in enumerate(copies):
        caption, style = "", ""
        if moment.probe is not None:
            said = moment.probe.copies[i]
            style = "" if label is None else "ddrs-agrees" if said == label else "ddrs-differs"
            caption = f"says {names[said]}<br>{moment.probe.confidence[i]:.0%}"
        parts.append(
            f'<figure class="{style}"><img class="{small}" src="{source}" '
            f'alt="noisy copy {i + 1}"><figcaption>{caption}</figcaption></figure>'
        )
    return f'<div class="ddrs-copies">{"".join(parts)}</div>'


@lru_cache(maxsize=512)
def _pictures(dataset: str, model: str, index: int, seed: int, sigma: float) -> tuple[str, ...]:
    x, _ = open_for_model(dataset, get_card(model))[index]
    noisy = x + sigma * shown_noise(x, seed, index)
    return (picture_uri(x), *(picture_uri(copy) for copy in noisy))
