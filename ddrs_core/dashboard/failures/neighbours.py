"""The training images and the stored balls that are nearest to an image, by class."""

from __future__ import annotations

from typing import Any

import torch

from ddrs_core.dashboard.common.bank_content import MOST_SHOWN, read_content
from ddrs_core.dashboard.common.banks import DEMO_TITLE
from ddrs_core.dashboard.components.data_uri import picture_uri
from ddrs_core.dashboard.components.render import show_html
from ddrs_core.dashboard.components.thumbnail_routes import thumbnail_url
from ddrs_core.dashboard.failures.findings import Findings
from ddrs_core.quantities import counted
from ddrs_core.runs.diagnose.images import ImageDiagnosis
from ddrs_core.runs.diagnose.neighbours import NEAREST, Neighbours
from ddrs_core.smoothing import round_down
from ddrs_core.smoothing.memory.rules import Part

_MOST_CLASSES = 10


def show_neighbours(findings: Findings, image: ImageDiagnosis) -> None:
    """Pictures with the distance of each; nothing where neither is known."""
    sections = [*_training_section(findings, image), *_ball_section(findings, image)]
    if sections:
        show_html("failures/neighbours.html", sections=sections)


def _training_section(findings: Findings, image: ImageDiagnosis) -> list[dict[str, Any]]:
    material, near = findings.material, image.neighbours
    if near is None or material is None or material.training is None:
        return []
    training = material.training
    pictures = [
        {
            "src": thumbnail_url(training, n.index),
            "shape": training.info.shape,
            "heading": findings.class_name(label),
            "lines": (f"distance {n.distance:.3f}", f"image {n.index}"),
            "own": label == image.label,
        }
        for label, n in list(near.by_class.items())[:_MOST_CLASSES]
    ]
    return [
        {
            "title": "The nearest training images",
            "text": _training_text(findings, image, near),
            "pictures": pictures,
        }
    ]


def _training_text(findings: Findings, image: ImageDiagnosis, near: Neighbours) -> str:
    votes = ", ".join(f"{count} {_titled(findings, image, k)}" for k, count in near.votes.items())
    text = f"ℓ₂ distance in pixels in [0, 1]. Of the {NEAREST} nearest: {votes}."
    own, other = near.of(image.label), near.other_than(image.label)
    if own is not None and other is not None:
        ratio = "nearer than" if other.distance < own.distance else "further than"
        text += f" The nearest of another class is {ratio} that of its label."
    return f"{text} Below: the nearest of each class, its label framed."


def _ball_section(findings: Findings, image: ImageDiagnosis) -> list[dict[str, Any]]:
    bank, material = findings.bank, findings.material
    if bank is None or material is None or image.index is None:
        return []
    record = bank.record()
    if not record.stored or record.kind.shape != material.card.shape:
        return []
    content = read_content(bank, record.fingerprint)
    parts = content.nearest(material.dataset[image.index][0].numpy(), len(content.balls))
    nearest: dict[int, Part] = {}
    for part in parts:
        nearest.setdefault(part.ball.prediction, part)
    pictures = [
        {
            "src": picture_uri(torch.from_numpy(content.image_of(part.ball.id))),
            "shape": record.kind.shape,
            "heading": findings.class_name(label),
            "lines": _ball_lines(part),
            "own": label == image.label,
        }
        for label, part in list(nearest.items())[:_MOST_CLASSES]
    ]
    name = DEMO_TITLE if record.name.startswith(DEMO_TITLE) else record.name
    among = f"the first {MOST_SHOWN:,} of " if record.stored > MOST_SHOWN else ""
    return [
        {
            "title": "The nearest stored balls",
            "text": f"Surfaces of {among}{counted(record.stored, 'ball')} in the memory bank "
            f"{name}: the nearest of each class, its "
            "label framed. A ball of another class bounds what the "
            "memory can leave this image; one of its label that contains it proves a radius.",
            "pictures": pictures,
        }
    ]


def _ball_lines(part: Part) -> tuple[str, ...]:
    where = f"{round_down(part.slack)} away" if part.slack > 0 else "contains it"
    return where, f"radius {round_down(part.ball.radius)}", f"ball {part.ball.id}"


def _titled(findings: Findings, image: ImageDiagnosis, label: int) -> str:
    name = findings.class_name(label) if label >= 0 else "unlabelled"
    return f"{name} (its label)" if label == image.label else name
