"""The explorer's live views: trajectory, radius curve, noisy copies, votes."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import streamlit as st

from ddrs_core.data import load_dataset
from ddrs_core.dashboard.explorer_jobs import curve_range
from ddrs_core.dashboard.explorer_state import ExplorerView
from ddrs_core.dashboard.figure_view import show_figure
from ddrs_core.dashboard.images import png_uri
from ddrs_core.figures import curve_figure, trajectory_figure, votes_figure
from ddrs_core.jobs import Job, JobState
from ddrs_core.smoothing import Probe, RadiusCurve, SigmaFrame, shown_noise

_STATE_WORDS = {
    JobState.QUEUED: "waiting for the device",
    JobState.RUNNING: "running",
    JobState.PAUSED: "paused",
    JobState.DONE: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
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


def show_progress(job: Job) -> None:
    """State, progress, rate, time left, and who else uses the device."""
    state = job.state
    words = [f"**{_STATE_WORDS[state]}**", f"{job.done:,.0f} of {job.request.total:,.0f} {job.request.unit}"]
    if state is JobState.RUNNING:
        words.append(f"{job.rate:,.0f} {job.request.unit}/s on the device")
        left = job.seconds_left
        if left is not None:
            words.append(f"{left:,.1f} s left")
        if job.sharing > 1:
            words.append(f"{job.sharing} computations share the device")
    st.progress(job.progress, text=" · ".join(words))
    if state is JobState.FAILED:
        st.error(job.error, icon=":material/error:")


def show_outcome(view: ExplorerView, moment: Moment) -> None:
    """Where the strategy ended and why, once it has."""
    if moment.chosen is None:
        return
    moved = f"sigma went from {view.sigma_0:.4f} to **{moment.chosen:.4f}**."
    if moment.chosen == view.sigma_0:
        moved = f"sigma stays at **{view.sigma_0:.4f}**."
    st.success(f"{moved} {moment.frames[-1].step.reason}", icon=":material/flag:")


def show_plots(view: ExplorerView, moment: Moment, curve: RadiusCurve | None) -> None:
    """Trajectory and radius curve side by side."""
    left, right = st.columns(2)
    steps = [f.step for f in moment.frames]
    with left:
        st.markdown(
            "**Trajectory**",
            help="The noise level at each step, and the radius that the optimiser believes in. "
            "The estimate steers the search; it is not a certificate.",
        )
        show_figure(
            trajectory_figure(steps, view.config.steps, view.sigma_0, moment.shown or None),
            key="trajectory", name=f"{view.dataset}-{view.index}-trajectory", height=380,
            alt="Noise level and radius estimate against the optimiser's step",
        )  # fmt: skip
    with right:
        st.markdown(
            "**Why it moves: the radius as a function of sigma**",
            help="Counted votes on a grid of noise levels, with a 95 % band. The optimiser climbs "
            "this hill without seeing it. The dashed line is the most that N samples can prove.",
        )
        show_figure(
            curve_figure(
                curve, view.info.class_names, curve_range(view), sigma_0=view.sigma_0,
                current=moment.sigma if moment.frames else None, chosen=moment.chosen,
            ),
            key="curve", name=f"{view.dataset}-{view.index}-curve", height=380,
            alt="Radius against noise level, with the current noise level marked",
        )  # fmt: skip


def show_votes(view: ExplorerView, moment: Moment) -> None:
    """The noisy copies that the network sees, and the share of votes of each class."""
    left, right = st.columns([3, 2])
    names = view.info.class_names
    with left:
        st.markdown(
            f"**What the network sees at sigma = {moment.sigma:.3f}**",
            help="The image and eight noisy copies, with the class that the network gives to each "
            "and its softmax confidence. Green agrees with the label, orange does not.",
        )
        st.html(_copies_html(view, moment))
    with right:
        st.markdown(
            "**Votes of the noisy copies**",
            help="Share of noisy copies that each class received, with 95 % intervals. Only a "
            "class with more than half of the votes can be certified.",
        )
        if moment.probe is None:
            st.caption("Press Run to see the network vote.")
        else:
            label = int(load_dataset(view.dataset).labels[view.index])
            show_figure(
                votes_figure(moment.probe.counts, names, label),
                key="votes", name=f"{view.dataset}-{view.index}-votes", height=310,
                alt="Share of votes for each class with intervals",
            )  # fmt: skip


def _copies_html(view: ExplorerView, moment: Moment) -> str:
    data = load_dataset(view.dataset)
    names = [html.escape(n) for n in data.info.class_names]
    label = int(data.labels[view.index])
    small = " ddrs-pixelated" if data.info.shape[1] <= 64 else ""
    sigma = round(moment.probe.sigma if moment.probe else moment.sigma, 4)
    original, *copies = _pictures(view.dataset, view.index, view.seed, sigma)
    parts = [
        f'<figure class="ddrs-original"><img class="{small}" src="{original}" '
        f'alt="the image itself"><figcaption>image {view.index}<br>label {names[label]}'
        "</figcaption></figure>"
    ]
    for i, source in enumerate(copies):
        caption, style = "", ""
        if moment.probe is not None:
            said = moment.probe.copies[i]
            style = "ddrs-agrees" if said == label else "ddrs-differs"
            caption = f"says {names[said]}<br>{moment.probe.confidence[i]:.0%}"
        parts.append(
            f'<figure class="{style}"><img class="{small}" src="{source}" '
            f'alt="noisy copy {i + 1}"><figcaption>{caption}</figcaption></figure>'
        )
    return f'<div class="ddrs-copies" data-sigma="{sigma}">{"".join(parts)}</div>'


@lru_cache(maxsize=512)
def _pictures(dataset: str, index: int, seed: int, sigma: float) -> tuple[str, ...]:
    x, _ = load_dataset(dataset)[index]
    noisy = x + sigma * shown_noise(x, seed, index)
    return (png_uri(x), *(png_uri(copy) for copy in noisy))
