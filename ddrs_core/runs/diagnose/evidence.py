"""Evidence that needs the model and the images: votes at other noise levels, attacks, and the
nearest training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import Tensor

from ddrs_core.data import ReadImages
from ddrs_core.quantities import counted
from ddrs_core.runs.certify.config import ONE_SIGMA
from ddrs_core.runs.diagnose.images import (
    ImageDiagnosis,
    with_review,
)
from ddrs_core.runs.diagnose.material import Material
from ddrs_core.runs.diagnose.neighbours import nearest_images
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.smoothing import (
    ABSTAIN,
    CertificationBudget,
    sigma_grid,
)
from ddrs_core.smoothing.attack import AttackConfig
from ddrs_core.smoothing.attack_search import attack_smoothed
from ddrs_core.smoothing.certificate import Bound
from ddrs_core.smoothing.segment import votes_on_segment
from ddrs_core.smoothing.sigma.regret import review_levels

BLOCK = 16  # images that share batches
REVIEW_LEVELS = 17
_FRESH = 1_000_003  # added to the seed of a certificate: its noise is not used again


@dataclass(frozen=True)
class EvidenceStep:
    """A sign of life; ``images`` are those that are complete since the last step."""

    text: str
    done: float  # images, in parts
    total: int
    images: tuple[ImageDiagnosis, ...] = ()


def gather_evidence(
    material: Material,
    images: Sequence[ImageDiagnosis],
    *,
    attack: AttackConfig | None = None,
    review: bool = True,
    segment: bool = False,
    neighbours: bool = False,
) -> Iterator[EvidenceStep]:
    """Complete diagnoses by fresh votes at other noise levels, by attacks, and by the nearest
    training images.

    Args:
        material: model and images.
        images: to be completed, in this order.
        attack: how hard to attack; None: not at all.
        review: whether other noise levels are tried.
        segment: whether votes are counted on the way to what an attack found.
        neighbours: whether the nearest training images are found, where they are available.

    Yields:
        :class:`EvidenceStep`, several for each block of images; the last of a block holds them.

    Raises:
        DDRSError: if files of the data set are gone.
    """
    rows = {row.index: row for row in material.results.rows}
    for start in range(0, len(images), BLOCK):
        block = list(images[start : start + BLOCK])
        read = material.read(block)
        position = {index: i for i, index in enumerate(read.indices)}
        known = [i for i, image in enumerate(block) if image.index in position]
        work = _Block(material, read, rows)
        stages = [("noise levels", work.review)] if review else []
        stages += [("training images", work.neighbours)] if neighbours else []
        stages += [("attack", partial(work.attack, config=attack))] if attack is not None else []
        stages += [("votes on the way there", work.segment)] if segment else []
        for number, (text, stage) in enumerate(stages if known else []):
            complete = [block[i] for i in known]
            for share, found in stage(complete):
                complete = found
                done = start + (number + share) / len(stages) * len(block)
                yield EvidenceStep(text, done, len(images))
            for i, image in zip(known, complete, strict=True):
                block[i] = image
        yield EvidenceStep("done", start + len(block), len(images), tuple(block))


def attacked_class(row: ResultRow) -> int:
    """The class that the smoothed classifier gives to an image: the certified one, or where it
    abstained the one with most votes; ``ABSTAIN`` where votes are not recorded."""
    c = row.certificate
    if row.prediction != ABSTAIN or c is None or not sum(c.counts):
        return row.prediction
    return int(np.argmax(c.counts))


@dataclass(frozen=True)
class _Block:
    """Some images that share batches."""

    material: Material
    read: ReadImages
    rows: dict[int | None, ResultRow]

    def _tensors(self, images: Sequence[ImageDiagnosis]) -> Tensor:
        at = {index: i for i, index in enumerate(self.read.indices)}
        return self.read.images[[at[image.index] for image in images if image.index is not None]]

    def _sigma(self, image: ImageDiagnosis) -> float:
        return image.sigma or self.material.results.sigma or self.material.card.sigma or 0.25

    def review(self, images: list[ImageDiagnosis]) -> Iterator[tuple[float, list[ImageDiagnosis]]]:
        """Votes at other noise levels, for the label or the leading class."""
        material, results = self.material, self.material.results
        low, high = material.levels
        classes = [self._wanted(image) for image in images]
        able = [i for i, k in enumerate(classes) if k != ABSTAIN]
        if not able:
            return
        chosen = [images[i] for i in able]
        for step in review_levels(
            material.smoothed.forward,
            self._tensors(chosen),
            classes=[classes[i] for i in able],
            sigmas=[self._sigma(image) for image in chosen],
            levels=sigma_grid(low, high, REVIEW_LEVELS),
            budget=budget_of(results),
            indices=[image.index or 0 for image in chosen],
        ):
            found = list(images)
            for i, review in zip(able, step.reviews, strict=False):
                began = None if results.method in ONE_SIGMA else results.sigma
                found[i] = with_review(images[i], review, began, (low, high))
            yield step.done / step.total, found

    def attack(
        self, images: list[ImageDiagnosis], config: AttackConfig
    ) -> Iterator[tuple[float, list[ImageDiagnosis]]]:
        """Attacks on the class that each image has."""
        classes = [attacked_class(self.rows[image.index]) for image in images]
        able = [i for i, k in enumerate(classes) if k != ABSTAIN]
        if not able:
            return
        chosen = [images[i] for i in able]
        for step in attack_smoothed(
            self.material.smoothed,
            self._tensors(chosen),
            classes=[classes[i] for i in able],
            sigmas=[self._sigma(image) for image in chosen],
            config=config,
            seed=(self.material.results.seed or 0) + _FRESH,
            indices=[image.index or 0 for image in chosen],
        ):
            found = list(images)
            for i, attack in zip(able, step.attacks, strict=False):
                found[i] = replace(images[i], attack=attack)
            yield step.done / step.total, found

    def segment(self, images: list[ImageDiagnosis]) -> Iterator[tuple[float, list[ImageDiagnosis]]]:
        """Votes on the way from each image to its adversarial one."""
        found = list(images)
        for i, image in enumerate(images):
            attack = image.attack
            if attack is None or attack.adversarial is None:
                continue
            for step in votes_on_segment(
                self.material.smoothed.forward,
                self._tensors([image])[0],
                attack.adversarial,
                sigma=attack.sigma,
                seed=(self.material.results.seed or 0) + _FRESH,
                index=image.index or 0,
            ):
                found[i] = replace(image, segment=step)
                yield (i + len(step.positions) / step.points) / len(images), found
        yield 1.0, found

    def neighbours(
        self, images: list[ImageDiagnosis]
    ) -> Iterator[tuple[float, list[ImageDiagnosis]]]:
        """The training images that are nearest to each; an image is not its own neighbour."""
        results, training = self.material.results, self.material.training
        if training is None:
            return
        same = (results.dataset, results.split or "test") == (training.info.name, training.split)
        itself = [image.index if same else None for image in images]
        for share, found in nearest_images(self._tensors(images), training, itself):
            pairs = zip(images, found, strict=True)
            yield share, [replace(image, neighbours=near) for image, near in pairs]

    def _wanted(self, image: ImageDiagnosis) -> int:
        if image.label is not None and image.label < self.material.card.num_classes:
            return image.label
        return attacked_class(self.rows[image.index])


def budget_of(results: ResultSet) -> CertificationBudget:
    """The budget that certified the images, as far as it is recorded; fresh noise."""
    return CertificationBudget(
        n0=results.n0 or 100,
        n=results.n or CertificationBudget().n,
        alpha=results.alpha or 0.001,
        bound=Bound(results.bound or Bound.ONE_SIDED),
        seed=(results.seed or 0) + _FRESH,
    )


def contradictions(
    results: ResultSet, images: Sequence[ImageDiagnosis]
) -> list[tuple[ImageDiagnosis, str]]:
    """Images whose attack lies inside their certificate, and all that is needed to look into it."""
    rows = {row.index: row.certificate for row in results.rows}
    found = []
    for image in images:
        c = rows.get(image.index)
        if image.attack is not None and c is not None and image.attack.contradicts(c):
            a = image.attack
            found.append(
                (
                    image,
                    f"Image {image.index}: class {c.prediction} is certified within "
                    f"{c.radius!r} at σ = {c.sigma!r} (N = {c.n:,}, alpha = {c.alpha:g}, seed "
                    f"{c.seed}), but an image at distance {a.distance!r} gets class "
                    f"{a.prediction} ({counted(a.tries, 'confirmation')} of "
                    f"{counted(a.n, 'vote')}). By chance this happens with probability "
                    f"{a.failure_probability(c):.3g} at "
                    "most: the certificate or the program is wrong.",
                )
            )
    return found
