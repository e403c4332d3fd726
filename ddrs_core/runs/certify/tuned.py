"""One noise level for all images, tuned on training images by their certificates.

A gain of data-dependent sigma is a gain over the best single sigma, and the noise level of the
training is often not that. Levels are judged by real certificates: extrapolating a share of few
votes flatters large levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from ddrs_core.data import Dataset, ReadImages, get_dataset_info
from ddrs_core.errors import MismatchError
from ddrs_core.models import get_card, open_for_model
from ddrs_core.runs.certify.config import CertifyConfig
from ddrs_core.runs.certify.run import CertifyRun
from ddrs_core.smoothing import Certificate, CertificationBudget, SmoothedClassifier
from ddrs_core.smoothing.confidence import check_sigma

TUNING_IMAGES = 200
TUNING_STEPS = (
    16  # level scores that one tuning takes, at most: 12 of the first round, 4 of the last
)
LEVELS, _LOWEST, _HIGHEST = 12, 0.3, 2.0  # the last two in sigma_0
FIRST_VOTES = 1_000
KEPT = TUNING_STEPS - LEVELS  # levels that the last round measures with all votes
SCORED_RADII = (0.0, 0.25, 0.5, 0.75, 1.0)
_TOGETHER = 32  # images that share batches, which bounds the memory of their noise


@dataclass(frozen=True)
class LevelScore:
    """What the training images certify at one noise level."""

    sigma: float
    n: int  # votes of each certificate
    acr: float  # wrong or abstained = 0
    certified: tuple[tuple[float, float], ...] = ()  # radii, and the accuracy certified at each

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LevelScore:
        """The inverse of ``dataclasses.asdict``, also after a way through JSON."""
        pairs = tuple((float(r), float(share)) for r, share in data.get("certified", ()))
        return cls(**{**data, "certified": pairs})


def level_score(sigma: float, n: int, certificates: Sequence[Certificate]) -> LevelScore:
    """The score of a level, from the certificates of images with labels."""
    radii = np.array([c.radius if c.correct else -1.0 for c in certificates])
    certified = tuple((r, float(np.mean(radii >= r))) for r in SCORED_RADII)
    return LevelScore(sigma, n, float(radii.clip(0.0).mean()), certified)


def tuning_levels(sigma_0: float) -> tuple[float, ...]:
    """12 levels from .3 to 2 times ``sigma_0``, evenly spaced on a logarithmic scale; the one
    nearest to ``sigma_0`` is replaced by it."""
    grid = check_sigma(sigma_0) * np.geomspace(_LOWEST, _HIGHEST, LEVELS)
    grid[np.abs(np.log(grid / sigma_0)).argmin()] = sigma_0
    return tuple(grid.tolist())


def tune_sigma(
    run: CertifyRun, levels: Sequence[float], known: Iterable[LevelScore] = ()
) -> Iterator[LevelScore]:
    """Compare noise levels on 200 images of the training split.

    All levels are measured with 1,000 votes an image, and the best four again with as many as the
    run's certificates will have; an image whose N0 votes name another class than its label costs no
    more than these. The noise is that of another seed: none of it is used for the
    images of the run, whose numbers may be the same.

    Args:
        run: model, data set and budget.
        levels: noise levels, ascending.
        known: scores of an earlier call with the same arguments that was cut off.

    Yields:
        The scores that are not known yet, as soon as they are measured. When there are no more,
        :func:`best_level` names the level.

    Raises:
        DDRSError: if there is no training split, or it has no labels.
    """
    training = cache(lambda: training_images(run.config))
    return (score for score in tuning_steps(run, levels, known, training) if score is not None)


def tuning_steps(
    run: CertifyRun,
    levels: Sequence[float],
    known: Iterable[LevelScore],
    training: Callable[[], ReadImages],
) -> Iterator[LevelScore | None]:
    """The same on images that ``training`` reads, with None several times a second as a sign of
    life."""
    budget = replace(run.config.budget, seed=-1 - run.config.budget.seed)
    first = replace(budget, n=min(budget.n, FIRST_VOTES))
    scores = {(score.n, score.sigma): score for score in known}

    def measure(level: float, budget: CertificationBudget) -> Iterator[LevelScore | None]:
        if (budget.n, level) not in scores:
            read = training()
            found: list[Certificate] = []
            for certificates in certificates_of(
                run.smoothed,
                read.images,
                [level] * len(read.indices),
                budget,
                read.indices,
                read.labels.tolist(),
                skip_wrong=True,
            ):
                found += certificates
                yield None
            scores[budget.n, level] = level_score(level, budget.n, found)
            yield scores[budget.n, level]

    for level in levels:
        yield from measure(level, first)
    by_score = sorted(levels, key=lambda level: -scores[first.n, level].acr)
    for level in sorted(by_score[:KEPT]):
        yield from measure(level, budget)


def best_level(scores: Iterable[LevelScore]) -> float:
    """The level with the largest average certified radius among those with most votes."""
    best = max(scores, key=lambda score: (score.n, score.acr, -score.sigma))
    return best.sigma


def certificates_of(
    smoothed: SmoothedClassifier,
    images: Tensor,
    sigmas: Sequence[float],
    budget: CertificationBudget,
    indices: Sequence[int],
    labels: Sequence[int | None],
    *,
    skip_wrong: bool = False,
) -> Iterator[tuple[Certificate, ...]]:
    """The certificates of images [M, C, H, W] at noise levels [M]: those of some images together
    when they are there, and none several times a second. See
    :meth:`~ddrs_core.smoothing.SmoothedClassifier.certify_batch` for ``skip_wrong``."""
    for start in range(0, len(images), _TOGETHER):
        rows = slice(start, start + _TOGETHER)
        for step in smoothed.certify_batch(
            images[rows],
            sigmas=sigmas[rows],
            budget=budget,
            indices=indices[rows],
            labels=labels[rows],
            skip_wrong=skip_wrong,
        ):
            yield step.certificates


def training_images(config: CertifyConfig) -> ReadImages:
    """200 labelled images, evenly spread over the training split, as far as they can be read.

    Raises:
        DDRSError: as :func:`find_training_images`, or if none of them can be read.
    """
    dataset, indices = find_training_images(config)
    read = dataset.read(indices)
    if not read.indices:
        raise MismatchError(
            f"No training image of {dataset.info.title} can be read, so no sigma can be tuned. "
            f"{next(iter(read.failures.values()))}"
        )
    return read


def find_training_images(config: CertifyConfig) -> tuple[Dataset, list[int]]:
    """The training split, and the numbers of the images on which sigma is tuned.

    Raises:
        MismatchError: if there are no training images, or they have no labels.
    """
    info, advice = get_dataset_info(config.dataset), "Choose the method fixed, and a sigma."
    if "train" not in info.splits:
        raise MismatchError(
            f"{info.title} has no training images, so no sigma can be tuned. {advice}"
        )
    dataset = open_for_model(config.dataset, get_card(config.model), "train")
    known = np.flatnonzero(dataset.labels >= 0)
    if not len(known):
        raise MismatchError(
            f"No training image of {info.title} has a label that the model knows, so no sigma can "
            f"be tuned. {advice}"
        )
    at = np.linspace(0, len(known) - 1, min(TUNING_IMAGES, len(known)))
    return dataset, [int(i) for i in known[at.round().astype(int)]]
