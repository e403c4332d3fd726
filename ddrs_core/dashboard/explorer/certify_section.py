"""Certification at σ₀, at σ*, and at a σ of the visitor's own, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from ddrs_core.dashboard.common.result_sources import CERTIFICATE
from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.gallery import Outcome
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.explorer.examples import StoredRun
from ddrs_core.dashboard.explorer.jobs import adopt_all, certify_request, remember, show_stored
from ddrs_core.dashboard.explorer.texts import certificate_html, comparison_text
from ddrs_core.dashboard.explorer.view import FORM, ExplorerView
from ddrs_core.dashboard.navigation import link_to_failures
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.figures import interval_figure
from ddrs_core.jobs import Job, get_manager
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Certificate, Grade, round_down

_BOARD = Board("explorer/certification.html")
_STEP = 0.25  # between radii that people ask for


@dataclass(frozen=True)
class Target:
    """A noise level to certify at."""

    name: str
    title: str  # of its card
    sigma: float
    grade: Grade


Jobs = Mapping[Target, Job | None]  # in the order of the cards


def find_certify_jobs(
    view: ExplorerView, chosen: float | None, stored: StoredRun | None = None
) -> dict[Target, Job | None]:
    """The certifications of this view that the URL names or this tab had, else the stored ones."""
    levels = levels_of(view, chosen)
    requests = [certify_request(view, level.sigma, level.grade) for level in levels]
    found = adopt_all(keys.CERTIFY_JOBS, requests)
    made = (stored.at_start, stored.at_answer) if stored is not None else ()
    for i, snapshots in enumerate(made):
        found[i] = found[i] or show_stored(requests[i], snapshots)
    return dict(zip(levels, found, strict=True))


def find_certificates(jobs: Jobs) -> dict[Target, Certificate]:
    """The certificates that are made."""
    found = {level: job.latest.certificate for level, job in jobs.items() if job and job.latest}
    return {level: made for level, made in found.items() if made is not None}


def known_outcomes(dataset: str, model: str) -> dict[int, tuple[Outcome, str]]:
    """What this visitor's certificates of a data set's images say: the largest radius of each.

    Args:
        dataset: its name.
        model: digest of the model's weights.
    """
    best: dict[int, Certificate] = {}
    for job in get_manager().jobs(visitor()):
        made = job.latest.certificate if job.request.kind == "certify" and job.latest else None
        if made is None or made.dataset != dataset or not model.startswith(made.model):
            continue
        if made.index is not None and made.radius >= getattr(best.get(made.index), "radius", 0.0):
            best[made.index] = made
    return {index: _outcome(made) for index, made in best.items()}


def _outcome(made: Certificate) -> tuple[Outcome, str]:
    if made.abstained:
        return "abstained", ", abstained"
    radius = round_down(made.radius)
    if made.correct is False:
        return "wrong", f", another class certified within {radius}"
    return "right", f", certified within {radius}"


def show_certify_button(view: ExplorerView, jobs: Jobs) -> None:
    """Certify at σ₀ and at σ*; while that goes on, stop it."""
    moving = [job for job in jobs.values() if job is not None and not job.state.is_over]
    if moving:
        if st.button("Stop", icon=":material/stop:", key="certify_cancel"):
            for job in moving:
                job.cancel()
            redraw()
        return
    answers = [level for level in jobs if level.name == "σ*"]
    if st.button(
        "Certify σ₀ and σ*",
        type="primary",
        icon=":material/verified:",
        disabled=not answers,
        key="certify_button",
        help=f"Count {counted(view.budget.n, 'fresh vote')} at each of the two noise levels."
        if answers
        else "The search has to name σ* before it can be certified.",
    ):
        _start(view, [level for level in jobs if level.name != "yours"], jobs)


def certify_linked(view: ExplorerView, jobs: Jobs) -> None:
    """A link that names a noise level certifies there by itself, once."""
    for level, job in jobs.items():
        if level.name == "yours" and job is None:
            certify_missing(view, level, jobs)


def certify_missing(view: ExplorerView, level: Target, jobs: Jobs) -> None:
    """Certify at a noise level, once: who stops it is not answered by another start."""
    if st.session_state.get(keys.LINKED_SIGMA) != level.sigma:
        st.session_state[keys.LINKED_SIGMA] = level.sigma
        _start(view, [level], jobs)


def certify_at(view: ExplorerView, chosen: float | None, sigma: float) -> None:
    """Certify at the noise level that the visitor holds, and draw the page again."""
    for level in levels_of(view, chosen)[:2]:
        if level.sigma == sigma:
            _start(view, [level], find_certify_jobs(view, chosen))
            return
    FORM["hand"] = sigma
    _start(view, [_own(sigma)], find_certify_jobs(view, chosen))


def show_certification(view: ExplorerView, jobs: Jobs, beside: Mapping[str, str]) -> None:
    """The certificates side by side, and the intervals closing in; ``beside``: what another run
    has at levels of the same name."""
    certificates = find_certificates(jobs)
    texts: dict[str, str] = {}
    for i, (level, job) in enumerate(jobs.items()):
        made = certificates.get(level)
        if made is not None:
            texts[f"card-{i}"] = certificate_html(
                made, level.title, view.info.class_names, beside.get(level.name, "")
            )
        elif job is not None:
            progress = progress_html(job)
            texts[f"card-{i}"] = render(
                "explorer/awaited.html", title=level.title, progress=progress
            )
    if not texts:
        texts["compare"] = "None yet."
    by_name = {level.name: made for level, made in certificates.items()}
    if {"σ₀", "σ*"} <= set(by_name):
        texts["compare"] = comparison_text(by_name["σ₀"], by_name["σ*"])
    histories = {level.name: job.history if job is not None else [] for level, job in jobs.items()}
    _BOARD.show(
        key="certify_board",
        name=f"{view.dataset}-{view.index}",
        figures={"interval": interval_figure(histories, view.budget.n, view.budget.bound)},
        texts=texts,
    )


def show_why(jobs: Jobs) -> None:
    """For each certificate a link to what keeps its image from the next larger radius."""
    with st.container(horizontal=True):
        for level, made in find_certificates(jobs).items():
            job = jobs[level]
            if job is None:
                continue
            radius = _STEP * (1 + made.radius // _STEP)
            link_to_failures(
                f"Why not {radius:g} at {'your σ' if level.name == 'yours' else level.name}?",
                results=CERTIFICATE + job.id,
                radius=f"{radius:g}",
            )


def levels_of(view: ExplorerView, chosen: float | None) -> list[Target]:
    """Where to certify: at the start, at the answer once there is one, and where told."""
    found = [Target("σ₀", "At σ₀", view.sigma_0, Grade.UNCONDITIONAL)]
    if chosen is not None:
        found.append(Target("σ*", "At σ*", chosen, Grade.CONDITIONAL))
    return found if view.hand is None else [*found, _own(view.hand)]


def _own(sigma: float) -> Target:
    return Target("yours", "At your σ", sigma, Grade.CONDITIONAL)


def _start(view: ExplorerView, levels: list[Target], known: Jobs) -> None:
    """Start what is not there, beside what is."""
    kept = [
        job
        for level, job in known.items()
        if job is not None and not job.request.stored and level not in levels
    ]
    try:
        requests = [certify_request(view.check(), level.sigma, level.grade) for level in levels]
        jobs = [get_manager().submit(request, visitor()) for request in requests]
    except DDRSError as error:
        show_error(error)
        return
    remember(keys.CERTIFY_JOBS, *kept, *jobs)
    redraw()
