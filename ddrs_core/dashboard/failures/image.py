"""One image: why it is not certified, what to try, and the evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import streamlit as st
from markupsafe import Markup

from ddrs_core.dashboard.common.result_images import explorer_query
from ddrs_core.dashboard.components.progress import progress_html
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.components.thumbnail_routes import thumbnail_url
from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.failures.jobs import (
    attack_request,
    follow,
    is_quick,
    is_small,
    levels_request,
    nearest_request,
    show_job_buttons,
)
from ddrs_core.dashboard.navigation import (
    compare_page,
    link_to_explorer,
    memory_page,
    training_page,
)
from ddrs_core.dashboard.shell.errors import literal
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.figures.failure_kinds import KIND_COLOURS
from ddrs_core.jobs import Job, JobState, get_manager
from ddrs_core.quantities import counted
from ddrs_core.runs.diagnose.images import ImageDiagnosis
from ddrs_core.runs.diagnose.suggestions import Remedy, Suggestion, suggest
from ddrs_core.smoothing import DEFAULT_PRESET, round_down
from ddrs_core.smoothing.diagnosis import FailureKind

_MEMORY = ":material/bubble_chart:"
_MOST_N = 1_000_000  # that the explorer certifies with
_CAN_OPEN = (Remedy.SAMPLES, Remedy.SIGMA, Remedy.STRATEGY)


@dataclass(frozen=True)
class ImageJobs:
    """What is being computed for the image that is looked at."""

    levels: Job | None
    attack: Job | None
    nearest: Job | None

    def __iter__(self) -> Iterator[Job | None]:
        return iter((self.levels, self.attack, self.nearest))


def find_jobs(findings: Findings, image: ImageDiagnosis | None) -> ImageJobs:
    """The jobs of an image; noise levels of small networks are compared without being asked."""
    material = findings.material
    if material is None or image is None or image.index is None:
        return ImageJobs(None, None, None)
    manager, me = get_manager(), visitor()
    levels = manager.find(levels_request(material, image).key, me)
    if levels is None and image.review is None and is_quick(material):
        levels = follow(levels_request(material, image))
    nearest = manager.find(nearest_request(material, image).key, me)
    if (levels or nearest or image.neighbours) is None and is_small(material):
        nearest = follow(nearest_request(material, image))
    return ImageJobs(levels, manager.find(attack_request(material, image).key, me), nearest)


def show_card(findings: Findings, image: ImageDiagnosis) -> None:
    """What the image is, its answer, and the kind of its failure with the reason."""
    dataset, index = findings.dataset, image.index
    src = ""
    if dataset is not None and index is not None and 0 <= index < len(dataset):
        src = thumbnail_url(dataset, index)
    label = "label unknown" if image.label is None else findings.class_name(image.label)
    show_html(
        "failures/card.html",
        src=src,
        shape=dataset.info.shape if dataset is not None else (),
        title=f"image {index}, {label}",
        heading=image.kind.heading,
        rule=image.kind.rule,
        hue=KIND_COLOURS[image.kind],
        marks=[mark.replace("sigma", "σ") for mark in image.marks],
        reason=image.reason,
        answer=findings.class_name(image.prediction),
        radius=image.radius,
        sigma=image.sigma,
        grade=findings.results.grade if image.radius > 0 else None,
        other=_other(findings, image),
    )


def show_suggestions(findings: Findings, image: ImageDiagnosis, jobs: ImageJobs) -> None:
    """What to try, each with a link that does it, and the ways to other pages."""
    found = suggest(image, findings.results)
    if found:
        st.markdown("**What to try**")
    elif image.kind is not FailureKind.CERTIFIED:
        levels = jobs.levels
        if levels is not None and levels.state.is_moving:
            st.caption("What to try: other noise levels are being compared ...")
        elif findings.missing:
            st.caption("What to try is not known: it needs the model and its images.")
        elif image.review is None:
            st.caption("What to try: compare other noise levels below.")
        else:
            st.caption("What to try: nothing is known to help; no other σ is clearly better.")
    for suggestion in found:
        _show_suggestion(findings, image, suggestion)
    with st.container(horizontal=True):
        if image.index is None:
            return
        query = explorer_query(findings.results, image.index, findings.dataset)
        if query is not None:
            sigma = {} if image.sigma is None else {"sigma0": repr(image.sigma)}
            link_to_explorer("Open in the explorer", **query | sigma)
        if findings.against is not None:
            st.page_link(
                compare_page(),
                label="Compare the two",
                icon=":material/monitoring:",
                query_params={
                    "show": f"{findings.results.id},{findings.against.id}",
                    "image": str(image.index),
                },
            )


def show_buttons(findings: Findings, image: ImageDiagnosis) -> None:
    """What can be measured for the image, where its model is available."""
    material = findings.material
    if material is None:
        st.info(literal(findings.missing))
        return
    if image.index is None:
        return
    if image.review is None and not is_quick(material):
        show_job_buttons(
            "Compare noise levels",
            levels_request(material, image),
            "failures_levels",
            "Fresh votes at 17 noise levels: which one would serve this image best?",
        )
    if image.neighbours is None and material.training is not None and not is_small(material):
        show_job_buttons(
            "Find the nearest training images",
            nearest_request(material, image),
            "failures_nearest",
            f"Compares it with {counted(len(material.training), 'training image')}.",
        )
    show_job_buttons(
        "Attack the image",
        attack_request(material, image),
        "failures_attack",
        "Looks for the nearest image of another class, within the pixel box: an upper bound of "
        "the true radius. It counts only after 10,000 fresh votes confirm it.",
    )


def progress_texts(jobs: ImageJobs) -> Markup:
    """Where the jobs of the image stand."""
    shown = [job for job in jobs if job is not None and not job.state.is_over]
    shown += [job for job in jobs if job is not None and job.state is JobState.FAILED]
    return Markup("").join(progress_html(job) for job in shown)


def _other(findings: Findings, image: ImageDiagnosis) -> str:
    if findings.against is None or image.other_radius is None:
        return ""
    how = {"lost": ", which certifies it", "won": ", which does not certify it", "": ""}
    there = f"{findings.against.title}{how[image.against]}"
    return f"Proved radius {round_down(image.other_radius)} in {there}."


def _show_suggestion(findings: Findings, image: ImageDiagnosis, suggestion: Suggestion) -> None:
    """A suggestion, as a link that does it where a page can."""
    remedy = suggestion.remedy
    what, colon, effect = suggestion.text.partition(":")
    label = f"**{literal(what)}**{colon}{literal(effect)}"
    query = None
    if remedy in _CAN_OPEN and image.index is not None and (suggestion.n or 0) <= _MOST_N:
        query = explorer_query(findings.results, image.index, findings.dataset)
    if query is not None:
        link_to_explorer(label, **query | _changes(findings, image, suggestion))
    elif remedy is Remedy.NETWORK:
        st.page_link(training_page(), label=label, icon=":material/model_training:")
    elif remedy is Remedy.MEMORY and findings.bank is not None:
        query = {"section": "query", "image": str(image.index), "bank": findings.bank.id}
        st.page_link(memory_page(), label=label, icon=_MEMORY, query_params=query)
    else:
        st.markdown(label)


def _changes(findings: Findings, image: ImageDiagnosis, suggestion: Suggestion) -> dict[str, str]:
    """What the explorer is to do otherwise than the results did."""
    results = findings.results
    n = suggestion.n or min(results.n or _MOST_N, _MOST_N)
    query: dict[str, Any] = {"bound": results.bound, "alpha": results.alpha, "n": n}
    if suggestion.remedy is Remedy.STRATEGY:
        query["preset"] = DEFAULT_PRESET
    sigma = suggestion.sigma or image.sigma
    if suggestion.remedy is Remedy.SIGMA:  # chosen for this image: no start for all of them
        query["hand"] = suggestion.sigma
    elif sigma is not None:
        query["sigma0"] = float(f"{sigma:.4g}") if suggestion.n is None else sigma
    return {name: str(value) for name, value in query.items() if value is not None}
