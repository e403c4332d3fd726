"""The failures page's work as jobs: classes without noise, other noise levels, attacks, the
nearest training images."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence

import streamlit as st

from ddrs_core.dashboard.common.model_cache import get_forward
from ddrs_core.dashboard.shell.polling import redraw
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.jobs import Job, JobRequest, JobState, get_manager
from ddrs_core.models import resolve_device
from ddrs_core.models.inference.cost import affordable
from ddrs_core.quantities import counted
from ddrs_core.runs.diagnose.evidence import (
    REVIEW_LEVELS,
    EvidenceStep,
    gather_evidence,
)
from ddrs_core.runs.diagnose.images import CleanAnswer, ImageDiagnosis
from ddrs_core.runs.diagnose.material import Material
from ddrs_core.runs.results.results import ResultSet
from ddrs_core.smoothing.attack import AttackConfig

CLEAN, LEVELS, ATTACK, NEAREST, RUN = (
    f"failures-{what}" for what in ("clean", "levels", "attack", "nearest", "run")
)
_EVIDENCE = (LEVELS, ATTACK, NEAREST, RUN)
_ASKED = 256  # images at a time
_FEW_PIXELS = 5_000_000  # of all training images: compared in well below a second
_PATIENCE = 30.0  # seconds of work that a page begins without being asked
_REVIEW_PASSES = 1_000 * (REVIEW_LEVELS + 1)


def clean_job(material: Material, results: ResultSet) -> Job | None:
    """The job that asks the network about images without noise; None where all is known."""
    known, held = material.known_answers(), len(material.dataset)
    rows = [r for r in results.rows if not r.failure and r.index not in known]
    rows = [r for r in rows if r.index is not None and r.index < held]
    if not rows:
        return None

    def start() -> Iterator[dict[int, CleanAnswer]]:
        for first in range(0, len(rows), _ASKED):
            yield material.clean_answers(rows[first : first + _ASKED])

    request = JobRequest(
        f"{CLEAN}|{results.id}|{len(results.rows)}",
        f"answers without noise for {results.title}",
        CLEAN,
        str(resolve_device("auto")),
        start,
        -(-len(rows) // _ASKED),
        "block",
        link=f"failures?results={results.id}",
    )
    return get_manager().ensure(request, visitor())


def levels_request(material: Material, image: ImageDiagnosis) -> JobRequest:
    """Fresh votes for one image at other noise levels; the nearest of few training images come
    with them."""
    title = f"noise levels for image {image.index} of {material.results.title}"
    return _request(LEVELS, title, material, [image])


def attack_request(material: Material, image: ImageDiagnosis) -> JobRequest:
    """An attack on one image, and the votes on the way there."""
    title = f"attack on image {image.index} of {material.results.title}"
    return _request(ATTACK, title, material, [image])


def nearest_request(material: Material, image: ImageDiagnosis) -> JobRequest:
    """The training images that are nearest to one image."""
    title = f"training images near image {image.index} of {material.results.title}"
    return _request(NEAREST, title, material, [image])


def run_request(material: Material, images: Sequence[ImageDiagnosis]) -> JobRequest:
    """Noise levels, attacks and nearest training images for many images."""
    title = f"evidence for {counted(len(images), 'image')} of {material.results.title}"
    return _request(RUN, title, material, images)


def is_quick(material: Material) -> bool:
    """Whether noise levels are compared without being asked for."""
    forward = get_forward(material.card.name, "auto")
    shape = material.card.shape
    return affordable(forward, shape, _REVIEW_PASSES, _PATIENCE, 1) == _REVIEW_PASSES


def is_small(material: Material) -> bool:
    """Whether the nearest training images are looked for without being asked for."""
    training = material.training
    return training is not None and len(training) * math.prod(training.info.shape) <= _FEW_PIXELS


def follow(request: JobRequest) -> Job:
    """The job for the image that is looked at; those of its kind for earlier ones that have not
    ended leave the queue."""
    manager, me = get_manager(), visitor()
    job = manager.ensure(request, me)
    for old in manager.jobs(me):
        if old.request.kind == request.kind and old is not job and not old.state.is_over:
            manager.drop(old)
    return job


def known_evidence(results: ResultSet) -> dict[int | None, ImageDiagnosis]:
    """What this visitor's jobs have found for images of a set, by their number."""
    found: dict[int | None, ImageDiagnosis] = {}
    for job in reversed(get_manager().jobs(visitor())):
        if job.request.kind not in _EVIDENCE or job.request.key.split("|")[1] != results.id:
            continue
        for step in job.history:
            for image in step.images:
                found[image.index] = image.with_evidence(found.get(image.index))
    return found


def show_job_buttons(label: str, request: JobRequest, key: str, help_text: str) -> Job | None:
    """Start, pause and cancel a job; the visitor's job for the request, where there is one."""
    job = get_manager().find(request.key, visitor())
    state = job.state if job is not None else None
    busy = state is not None and not state.is_over
    row = st.container(horizontal=True, vertical_alignment="center")
    if row.button(
        label,
        key=f"{key}_start",
        icon=":material/play_arrow:",
        type="primary",
        disabled=busy or state is JobState.DONE,
        help=help_text,
    ):
        get_manager().submit(request, visitor())
        redraw()
    paused = state is JobState.PAUSED
    if row.button(
        "Resume" if paused else "Pause",
        key=f"{key}_pause",
        icon=":material/play_circle:" if paused else ":material/pause:",
        disabled=not busy,
    ):
        if job is not None:
            (job.resume if paused else job.pause)()
        redraw()
    if row.button("Cancel", key=f"{key}_cancel", icon=":material/stop:", disabled=not busy):
        if job is not None:
            job.cancel()
        redraw()
    return job


def _request(
    kind: str, title: str, material: Material, images: Sequence[ImageDiagnosis]
) -> JobRequest:
    def start() -> Iterator[EvidenceStep]:
        return gather_evidence(
            material,
            images,
            attack=AttackConfig() if kind in (ATTACK, RUN) else None,
            review=kind in (LEVELS, RUN),
            segment=kind == ATTACK,
            neighbours=kind in (NEAREST, RUN) or (kind == LEVELS and is_small(material)),
        )

    results = material.results
    numbers = ",".join(str(image.index) for image in images)
    which = numbers if len(images) == 1 else hashlib.sha256(numbers.encode()).hexdigest()[:16]
    one = len(images) == 1
    return JobRequest(
        f"{kind}|{results.id}|{material.card.digest}|{which}",
        title,
        kind,
        str(resolve_device("auto")),
        start,
        100 if one else len(images),
        "step" if one else "image",
        amount=lambda step: 100 * step.done if one else step.done,
        link=f"failures?results={results.id}" + (f"&image={images[0].index}" if one else ""),
    )
