"""The explorer's work as jobs, and the jobs that belong to this browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import numpy as np
import streamlit as st
from torch import Tensor

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.data import image_digest
from ddrs_core.jobs import Job, JobRequest, get_manager
from ddrs_core.models import NoisyForward
from ddrs_core.smoothing import (
    Certificate,
    Grade,
    RadiusCurve,
    ShownCopies,
    SigmaFrame,
    SmoothedClassifier,
    VoteProgress,
    copies_along,
    curve_budget,
    radius_curve,
    sigma_grid,
    watch_sigma,
)
from ddrs_core.smoothing.moved_votes import MovedVotes, moved_votes, samples_each

_KEPT_CURVES = 4  # for each visitor, newest first; a few tabs may be open
_MOST_NAMED = 3  # jobs of one kind in a link
_KEPT_IDS = 64  # of a tab's jobs, as many as the server keeps of a visitor


@dataclass(frozen=True, eq=False)
class CurveFrame:
    """The radius curve so far and, in the end, what the network says of the shown copies."""

    curve: RadiusCurve
    copies: ShownCopies | None = None


def sigma_request(view: ExplorerView) -> JobRequest:
    """The strategy on the view's image, with looks at the votes."""
    forward, x, identity = _open(view)
    config, budget = view.config, view.budget

    def start() -> Iterator[SigmaFrame]:
        return watch_sigma(
            forward,
            x,
            sigma_0=view.sigma_0,
            config=config,
            seed=view.budget.seed,
            index=view.index,
            budget=budget,
        )

    aim = (budget.n, budget.alpha, budget.bound) if config.depends_on_budget else ""
    key = f"sigma|{identity}|{view.sigma_0!r}|{config}|{aim}"
    return JobRequest(
        key,
        f"sigma of {view.dataset} {view.index} on {view.model}",
        "sigma",
        str(forward.device),
        start,
        config.steps,
        "round" if config.fits_curve else "step",
        link=_link(view),
    )


def curve_request(view: ExplorerView) -> JobRequest:
    """R(sigma) over the range that the plot shows."""
    forward, x, identity = _open(view)
    low, high = curve_range(view)
    points, samples = curve_budget(forward, x.shape)
    budget = view.budget

    def start() -> Iterator[CurveFrame]:
        levels = sigma_grid(low, high, points)
        for curve in radius_curve(
            forward,
            x,
            levels,
            samples=samples,
            n=budget.n,
            alpha=budget.alpha,
            bound=budget.bound,
            seed=budget.seed,
            index=view.index,
        ):
            yield CurveFrame(curve)
        copies = copies_along(forward, x, levels, seed=budget.seed, index=view.index)
        yield CurveFrame(curve, copies)

    return JobRequest(
        f"curve|{identity}|{low!r}|{high!r}|{budget.n}|{budget.alpha!r}|{budget.bound}",
        f"radius curve of {view.dataset} {view.index} on {view.model}",
        "curve",
        str(forward.device),
        start,
        points * samples,
        "sample",
        amount=lambda frame: float(frame.curve.counts.sum()),
        link=_link(view),
    )


def certify_request(view: ExplorerView, sigma: float, grade: Grade) -> JobRequest:
    """Certify the view's image at one noise level."""
    forward, x, identity = _open(view)
    label = view.true_label

    def start() -> Iterator[VoteProgress]:
        classifier = SmoothedClassifier(forward, view.card.num_classes)
        return classifier.certify_steps(
            x,
            sigma=sigma,
            budget=view.budget,
            grade=grade,
            index=view.index,
            label=label,
            dataset=view.dataset,
        )

    return JobRequest(
        f"certify|{identity}|{label}|{sigma!r}|{view.budget}|{grade}",
        f"certificate of {view.dataset} {view.index} at sigma {sigma:.3f} on {view.model}",
        "certify",
        str(forward.device),
        start,
        view.budget.n,
        "sample",
        amount=lambda votes: float(votes.done) if votes.stage == "estimate" else 0.0,
        link=_link(view),
    )


def moved_request(view: ExplorerView, made: Certificate) -> JobRequest:
    """Votes around the view's image, inside and outside the ball of a certificate."""
    forward, x, identity = _open(view)

    def start() -> Iterator[MovedVotes]:
        return moved_votes(forward, x, made, seed=view.budget.seed, index=view.index)

    return JobRequest(
        f"moved|{identity}|{made.sigma!r}|{made.radius!r}|{made.prediction}",
        f"votes around {view.dataset} {view.index} on {view.model}",
        "moved",
        str(forward.device),
        start,
        samples_each(forward, x),
        "vote",
        amount=lambda votes: float(votes.n),
        link=_link(view),
    )


def curve_range(view: ExplorerView) -> tuple[float, float]:
    """A range of sigma around the start that shows rise and fall, within the bounds."""
    low, high = view.config.bounds
    left = max(min(0.05, view.sigma_0 / 2), min(low, view.sigma_0 / 4), 0.01)
    right = max(min(high, max(2.0, 2.5 * view.sigma_0)), 1.2 * view.sigma_0)
    return float(np.round(left, 4)), float(np.round(right, 4))


def adopt(query_name: str, request: JobRequest) -> Job | None:
    """The job that the URL names, if it is this request's, else the one that this tab had for it.

    Ids that do not fit leave the URL.
    """
    return adopt_all(query_name, [request])[0]


def adopt_all(query_name: str, requests: Sequence[JobRequest]) -> list[Job | None]:
    """:func:`adopt` for several requests, whose jobs the URL names in any order."""
    named, own = _ids_in_url(query_name)[:_MOST_NAMED], _own_jobs()
    found: list[Job | None] = []
    for request in requests:
        ids = (*named, own.get(request.key, ""))
        jobs = (get_manager().adopt(job_id, request.key, visitor()) for job_id in ids)
        found.append(next((job for job in jobs if job is not None), None))
    known = [job for job in found if job is not None]
    if known:
        remember(query_name, *known)
    else:
        st.query_params.pop(query_name, None)
    return found


def show_stored(request: JobRequest, snapshots: Sequence[Any]) -> Job:
    """This browser's job that shows what was once computed for the request."""
    stored = replace(request, key=f"stored|{request.key}", stored=snapshots)
    return get_manager().ensure(stored, visitor())


def adopt_curve(request: JobRequest) -> Job:
    """The background curve: this browser's job for it, or a new one that joins its computation."""
    manager, me = get_manager(), visitor()
    job = manager.ensure(request, me)
    curves = [j for j in manager.jobs(me) if j.request.kind == "curve" and j is not job]
    for old in curves[_KEPT_CURVES - 1 :]:  # a visitor who leafs through images leaves none behind
        manager.drop(old)
    return job


def forget(query_name: str) -> None:
    """Drop the visitor's jobs that the URL names and take them out of it."""
    manager, me = get_manager(), visitor()
    for job in map(manager.get, _ids_in_url(query_name)):
        if job is not None and job.owner == me:
            _own_jobs().pop(job.request.key, None)
            manager.drop(job)
    if query_name in st.query_params:
        del st.query_params[query_name]


def remember(query_name: str, *jobs: Job) -> None:
    """Write the ids of jobs into the URL."""
    ids = ",".join(job.id for job in jobs)
    if st.query_params.get(query_name) != ids:
        st.query_params[query_name] = ids
    for job in jobs:
        _note(job)


def _ids_in_url(query_name: str) -> list[str]:
    return [name[:40] for name in st.query_params.get(query_name, "").split(",")]


def _own_jobs() -> dict[str, str]:
    """Ids of this tab's jobs by the key of their request: whoever comes back finds the result."""
    own: dict[str, str] = st.session_state.setdefault(keys.OWN_JOBS, {})
    return own


def _note(job: Job) -> None:
    own = _own_jobs()
    own.pop(job.request.key, None)
    own[job.request.key] = job.id
    if len(own) > _KEPT_IDS:
        del own[next(iter(own))]


def _open(view: ExplorerView) -> tuple[NoisyForward, Tensor, str]:
    forward = get_forward(view.model, view.device)
    x = view.data[view.index][0]
    identity = "|".join(
        (
            forward.digest,
            str(forward.device),
            forward.precision,
            image_digest(x),
            str(view.index),
            str(view.budget.seed),
        )
    )
    return forward, x, identity


def _link(view: ExplorerView) -> str:
    return "explorer?" + urlencode(view.to_query())
