"""Certification at sigma_0 and at sigma*, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from markupsafe import Markup

from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.explorer.jobs import adopt, certify_request, forget, remember
from ddrs_core.dashboard.explorer.view import ExplorerView
from ddrs_core.dashboard.shell import state_keys as keys
from ddrs_core.dashboard.shell.errors import show_error
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.errors import DDRSError
from ddrs_core.figures import interval_figure
from ddrs_core.jobs import Job, JobRequest, get_manager
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Bound, Certificate, Grade, round_down

_BOARD = Board("explorer/certification.html")


def find_certify_jobs(view: ExplorerView, chosen: float | None) -> list[Job]:
    """The two certifications of this view that the URL names or this tab had, else none."""
    if chosen is None:
        return []
    first, second = _requests(view, chosen)
    at_start = adopt(first, keys.CERTIFY_JOBS, 0)
    at_chosen = adopt(second, keys.CERTIFY_JOBS, 1)
    if at_start is None or at_chosen is None:
        return []
    remember(keys.CERTIFY_JOBS, at_start, at_chosen)
    return [at_start, at_chosen]


def show_certify_buttons(view: ExplorerView, chosen: float | None, jobs: Sequence[Job]) -> None:
    """Start and cancel, with a sentence about what will happen."""
    running = any(not job.state.is_over for job in jobs)
    start, stop, note = st.columns([2, 1, 4], vertical_alignment="center")
    if start.button(
        "Certify at sigma_0 and sigma*",
        type="primary",
        icon=":material/verified:",
        disabled=chosen is None or running,
        width="stretch",
        key="certify_button",
    ):
        _start(view, chosen)
    if stop.button("Stop", disabled=not running, width="stretch", key="certify_cancel"):
        for job in jobs:
            job.cancel()
        redraw()
    if chosen is None:
        note.caption("Let the strategy finish first: it has to name sigma* before it is certified.")
    elif not jobs:
        note.caption(
            f"Counts {counted(view.budget.n, 'fresh noisy copy')} at sigma_0 = {view.sigma_0:.4g} "
            f"and at sigma* = {chosen:.4g}, with alpha = {view.budget.alpha:g}."
        )


def show_certification(view: ExplorerView, jobs: Sequence[Job]) -> None:
    """The interval closing in, and two cards side by side."""
    if not jobs:
        return
    names = ("sigma_0", "sigma*")
    titles = ("At the start, sigma_0", "At the answer, sigma*")
    certificates = find_certificates(jobs)
    histories = {name: job.history for name, job in zip(names, jobs, strict=True)}
    texts: dict[str, str] = {f"progress-{i}": progress_html(job) for i, job in enumerate(jobs)}
    for i, (certificate, title) in enumerate(zip(certificates, titles, strict=True)):
        if certificate is not None:
            texts[f"card-{i}"] = certificate_card(certificate, title, view.info.class_names)
    first, second = certificates
    if first is not None and second is not None:
        texts["compare"] = compare(first, second)
    _BOARD.show(
        key="certify_board",
        name=f"{view.dataset}-{view.index}",
        figures={"interval": interval_figure(histories, view.budget.n, view.budget.bound)},
        texts=texts,
    )


def find_certificates(jobs: Sequence[Job | None]) -> list[Certificate | None]:
    """The certificate of each job, None where it has not ended in one."""
    return [job.latest.certificate if job is not None and job.latest else None for job in jobs]


def certificate_card(certificate: Certificate, title: str, names: tuple[str, ...]) -> Markup:
    """A certificate as HTML, the radius rounded down, an abstention explained."""
    label = "" if certificate.label is None else names[certificate.label]
    if certificate.abstained:
        answer, style = "Abstains", "ddrs-bad"
        note = explain_abstention(certificate, names)
    else:
        right = certificate.correct
        style = "" if right is None else ("ddrs-good" if right else "ddrs-bad")
        verdict = "" if right is None else (" (correct)" if right else f" (label {label})")
        answer = f"Class {names[certificate.prediction]}{verdict}"
        note = certificate.grade.meaning
    votes = certificate.counts[certificate.candidate]
    rate = (certificate.n0 + certificate.n) / max(certificate.seconds, 1e-9)
    facts = {
        "noise level": f"{certificate.sigma:.4f}",
        "votes": f"{votes:,} of {certificate.n:,} for {names[certificate.candidate]}",
        "p_A at least": round_down(certificate.p_lower, 5),
        "cap for N": round_down(certificate.radius_cap),
        "alpha": f"{certificate.alpha:g} ({certificate.bound.value})",
        "time": f"{certificate.seconds:.2f} s, {counted(round(rate), 'sample')}/s, "
        f"{certificate.precision}",
        "guarantee": certificate.grade.value,
    }
    return render(
        "explorer/card.html",
        certificate=certificate,
        title=title,
        answer=answer,
        style=style,
        facts=facts,
        note=note,
    )


def explain_abstention(certificate: Certificate, names: tuple[str, ...]) -> str:
    """Why nothing could be certified, and what might help."""
    counts, name = certificate.counts, names[certificate.candidate]
    votes = counts[certificate.candidate] / certificate.n
    rivals = [(count, i) for i, count in enumerate(counts) if i != certificate.candidate]
    most, rival = max(rivals)
    if most > counts[certificate.candidate]:
        return (
            f"The first {counted(certificate.n0, 'sample')} chose class {name}, which then got "
            f"{votes:.1%} of the votes, fewer than class {names[rival]} "
            f"({most / certificate.n:.1%}). The class is chosen before the votes are counted, so "
            "nothing is certified."
        )
    if certificate.bound is Bound.TWO_SIDED:
        return (
            f"Class {name} got {votes:.1%} of the votes and class {names[rival]} "
            f"{most / certificate.n:.1%}: with {counted(certificate.n, 'sample')} the lower bound "
            "on the first is not above the upper bound on the second. More samples, or another "
            "noise level, might tell them apart."
        )
    if votes > 0.5:
        return (
            f"Class {name} got {votes:.1%} of the votes, but with "
            f"{counted(certificate.n, 'sample')} the lower bound on its probability is "
            f"{round_down(certificate.p_lower, 4)}, not above one half. More samples might settle "
            "it."
        )
    return (
        "No class has more than half of the votes: the first "
        f"{counted(certificate.n0, 'sample')} chose {name}, which then got {votes:.1%}. At this "
        "noise level the network does not recognise the image; a smaller sigma might help."
    )


def compare(start: Certificate, chosen: Certificate) -> str:
    """The gain of sigma* over sigma_0 in one sentence."""
    if chosen.abstained and start.abstained:
        return "Nothing could be certified at either noise level."
    if start.abstained:
        return (
            f"sigma* certifies a radius of {round_down(chosen.radius)}; sigma_0 certifies nothing."
        )
    if chosen.abstained:
        return "sigma_0 certifies this image and sigma* does not: the strategy loses it."
    factor = chosen.radius / start.radius
    same = "" if chosen.prediction == start.prediction else " They certify different classes."
    return (
        f"The radius at sigma* is {round_down(factor, 2)} times that at sigma_0 "
        f"({round_down(chosen.radius)} against {round_down(start.radius)}).{same}"
    )


def _requests(view: ExplorerView, chosen: float) -> tuple[JobRequest, JobRequest]:
    return (
        certify_request(view, view.sigma_0, Grade.UNCONDITIONAL),
        certify_request(view, chosen, Grade.CONDITIONAL),
    )


def _start(view: ExplorerView, chosen: float | None) -> None:
    if chosen is None:
        return
    try:
        forget(keys.CERTIFY_JOBS)
        jobs = [get_manager().submit(r, visitor()) for r in _requests(view.check(), chosen)]
    except DDRSError as error:
        show_error(error)
        return
    remember(keys.CERTIFY_JOBS, *jobs)
    redraw()
