"""The figures for one image: votes, noise levels, samples, and the interval of its true radius."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from ddrs_core.dashboard.components.board import Board
from ddrs_core.dashboard.components.data_uri import picture_uri
from ddrs_core.dashboard.components.render import render
from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.dashboard.failures.image import ImageJobs, progress_texts
from ddrs_core.figures import Figure, votes_figure
from ddrs_core.figures.failure_evidence import (
    bounds_figure,
    empty_figure,
    levels_figure,
    samples_figure,
    segment_figure,
)
from ddrs_core.quantities import counted
from ddrs_core.runs.diagnose.images import ImageDiagnosis
from ddrs_core.smoothing import Certificate, round_down
from ddrs_core.smoothing.diagnosis import radii_with

_BOARD = Board("failures/evidence.html")
_SAMPLES = np.unique(np.geomspace(100, 1e8, 61).astype(int))
_VISIBLE = 0.4  # what the largest change of a pixel is amplified to
_NO_VOTES = "The log does not record the votes."


def show_evidence(findings: Findings, image: ImageDiagnosis, jobs: ImageJobs) -> None:
    """Draw the board of an image; in a fragment that ticks, no widgets in here."""
    c = _certificate(findings, image)
    if c is None and findings.material is None:
        return  # nothing but the answer is known
    figures = {
        "votes": _votes(findings, image, c),
        "levels": _levels(findings, image, jobs),
        "samples": _samples(image, c),
        "bounds": _bounds(image),
        "segment": _segment(findings, image),
    }
    texts = {
        "progress": progress_texts(jobs),
        "levels": _levels_text(image),
        "samples": _samples_text(image, c),
        "bounds": _bounds_text(findings, image),
        "pictures": _pictures(findings, image),
    }
    _BOARD.show(
        key="failures_evidence",
        name=f"{findings.results.title}-{image.index}",
        figures=figures,
        texts=texts,
    )


def _certificate(findings: Findings, image: ImageDiagnosis) -> Certificate | None:
    """With its votes; None where they are not recorded."""
    row = findings.rows.get(image.index)
    return None if row is None or row.failure else row.certificate


def _votes(findings: Findings, image: ImageDiagnosis, c: Certificate | None) -> Figure:
    if c is None:
        return empty_figure(_NO_VOTES)
    names = tuple(findings.class_name(k) for k in range(len(c.counts)))
    return votes_figure(c.counts, names, image.label)


def _levels(findings: Findings, image: ImageDiagnosis, jobs: ImageJobs) -> Figure:
    if image.review is not None:
        return levels_figure(image.review, image.target)
    if findings.material is None:
        return empty_figure("This needs the model.")
    moving = jobs.levels is not None and jobs.levels.state.is_moving
    return empty_figure("Votes are being counted ..." if moving else "Not measured yet.")


def _levels_text(image: ImageDiagnosis) -> str:
    review = image.review
    if review is None:
        return "Fresh votes at 17 levels say which radius to expect at each; they prove none."
    if review.best_radius <= 0:
        return "At none of 17 levels would fresh votes prove anything for the label."
    if not review.apart:
        return "Its own level is as good as any, within the noise of 1,000 fresh votes each."
    return (
        f"Regret: {review.regret:.0%} of the radius is lost at its own σ = {review.sigma:.3g}; "
        f"at σ = {review.best_sigma:.3g} the expected radius is {round_down(review.best_radius)}."
    )


def _samples(image: ImageDiagnosis, c: Certificate | None) -> Figure:
    if c is None:
        return empty_figure(_NO_VOTES)
    proved = c.radius if c.correct is not False else 0.0
    return samples_figure(_SAMPLES, radii_with(c, _SAMPLES), sum(c.counts), proved, image.target)


def _samples_text(image: ImageDiagnosis, c: Certificate | None) -> str:
    if c is None:
        return "How much more samples would buy."
    n = sum(c.counts)
    now, more = (float(r) for r in radii_with(c, [n, 10 * n]))
    text = (
        f"With these shares and N fixed in advance, {counted(n, 'vote')} would prove "
        f"{round_down(now)}, ten times as many {round_down(more)}"
    )
    if image.samples_needed is None:
        return f"{text}; no N reaches r."
    return f"{text}; N = {image.samples_needed:,} reaches r."


def _bounds(image: ImageDiagnosis) -> Figure:
    attack = image.attack
    return bounds_figure(
        image.radius,
        None if attack is None else attack.distance,
        None if attack is None else attack.reach,
        image.target,
        proved=image.label in (None, image.prediction),
    )


def _bounds_text(findings: Findings, image: ImageDiagnosis) -> str:
    attack = image.attack
    if attack is None:
        return "Certified radius ≤ true radius ≤ distance of an attack, once there is one."
    held = findings.class_name(attack.held)
    if attack.distance is None:
        return (
            f"No attack on {held} succeeded up to {round_down(attack.reach)}: no proof of safety."
        )
    text = (
        f"At distance {attack.distance:.4f} an image gets {findings.class_name(attack.prediction)} "
        f"instead of {held}, by {counted(attack.n, 'fresh vote')}"
    )
    if attack.distance <= image.target:
        return f"{text}: at this σ nobody can certify r = {image.target:g} for {held}."
    return f"{text}: beyond r, so a better proof may exist."


def _pictures(findings: Findings, image: ImageDiagnosis) -> Markup:
    """The image, the adversarial one, and their difference, amplified."""
    attack, material = image.attack, findings.material
    if attack is None or attack.adversarial is None or material is None or image.index is None:
        return Markup()
    x = material.dataset[image.index][0]
    change = attack.adversarial - x
    factor = _VISIBLE / max(1e-9, float(change.abs().max()))
    factor = float(f"{factor:.1g}")
    shown = (
        (x, f"the image: {findings.class_name(attack.held)}"),
        (attack.adversarial, f"the attack: {findings.class_name(attack.prediction)}"),
        (0.5 + factor * change, f"the difference, times {factor:g}; grey: none"),
    )
    pictures = [
        {"src": picture_uri(pixels), "caption": caption, "shape": tuple(x.shape)}
        for pixels, caption in shown
    ]
    return render("pictures.html", pictures=pictures)


def _segment(findings: Findings, image: ImageDiagnosis) -> Figure:
    if image.segment is None or image.attack is None or image.attack.distance is None:
        return empty_figure("There is none yet: attack the image.")
    names = [findings.class_name(k) for k in range(len(image.segment.counts[0]))]
    return segment_figure(image.segment, image.attack.distance, names)
