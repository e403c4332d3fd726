"""One noise level for all images, tuned on training images by their certificates.

A gain of data-dependent sigma is a gain over the best single sigma, and the noise level of the
training is often not that. Levels are judged by real certificates: extrapolating a share of few
votes flatters large levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from torch import Tensor

from ddrs_core.data import Dataset
from ddrs_core.errors import MismatchError
from ddrs_core.models import get_card, open_for_model
from ddrs_core.runs.certify.run import CertifyRun
from ddrs_core.smoothing import Certificate, CertificationBudget, SmoothedClassifier
from ddrs_core.smoothing.confidence import check_sigma

TUNING_IMAGES = 200
TUNING_STEPS = (
    16  # level scores that one tuning takes, at most: 12 of the first round, 4 of the last
)
_LEVELS, _LOWEST, _HIGHEST = 12, 0.3, 2.0  # the last two in sigma_0
_FIRST_VOTES = 1_000
_KEPT = TUNING_STEPS - _LEVELS  # levels that the last round measures with all votes
_TOGETHER = 32  # images that share batches, which bounds the memory of their noise


@dataclass(frozen=True)
class LevelScore:
    """The average certified radius of the training images at one noise level."""

    sigma: float
    n: int  # votes of each certificate
    acr: float  # wrong or abstained = 0


def tuning_levels(sigma_0: float) -> tuple[float, ...]:
    """12 levels from .3 to 2 times ``sigma_0``, evenly spaced on a logarithmic scale; the one
    nearest to ``sigma_0`` is replaced by it."""
    grid = check_sigma(sigma_0) * np.geomspace(_LOWEST, _HIGHEST, _LEVELS)
    grid[np.abs(np.log(grid / sigma_0)).argmin()] = sigma_0
    return tuple(grid.tolist())


def tune_sigma(
    run: CertifyRun, levels: Sequence[float], known: Iterable[LevelScore] = ()
) -> Iterator[LevelScore]:
    """Compare noise levels on 200 images of the training split.

    All levels are measured with 1,000 votes an image, and the best four again with as many as the
    run's certificates will have. The noise is that of another seed: none of it is used for the
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
    budget = replace(run.config.budget, seed=-1 - run.config.budget.seed)
    first = replace(budget, n=min(budget.n, _FIRST_VOTES))
    scores = {(score.n, score.sigma): score for score in known}
    training = cache(lambda: _training_images(run))

    def measure(level: float, budget: CertificationBudget) -> Iterator[LevelScore]:
        if (budget.n, level) not in scores:
            indices, images, labels = training()
            found = certificates_of(
                run.smoothed, images, [level] * len(images), budget, indices, labels
            )
            acr = float(np.mean([c.radius if c.correct else 0.0 for c in found]))
            scores[budget.n, level] = LevelScore(level, budget.n, acr)
            yield scores[budget.n, level]

    for level in levels:
        yield from measure(level, first)
    by_score = sorted(levels, key=lambda level: -scores[first.n, level].acr)
    for level in sorted(by_score[:_KEPT]):
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
) -> list[Certificate]:
    """The certificates of images [M, C, H, W] at noise levels [M], some of them at a time."""
    found: list[Certificate] = []
    for start in range(0, len(images), _TOGETHER):
        rows = slice(start, start + _TOGETHER)
        *_, last = smoothed.certify_batch(
            images[rows],
            sigmas=sigmas[rows],
            budget=budget,
            indices=indices[rows],
            labels=labels[rows],
        )
        found += last.certificates
    return found


def _training_images(run: CertifyRun) -> tuple[list[int], Tensor, list[int]]:
    """Numbers, images and labels of images that are evenly spread over the training split."""
    dataset = open_for_model(run.config.dataset, get_card(run.config.model), "train")
    indices = _spread(dataset)
    images, labels = dataset.tensors(indices)
    return indices, images, labels.tolist()


def _spread(dataset: Dataset) -> list[int]:
    known = np.flatnonzero(dataset.labels >= 0)
    if not len(known):
        raise MismatchError(
            f"No training image of {dataset.info.title} has a label, so no sigma can be tuned."
        )
    at = np.linspace(0, len(known) - 1, min(TUNING_IMAGES, len(known)))
    return [int(i) for i in known[at.round().astype(int)]]
