"""Certified accuracy of a few images while a network is trained: to be watched, decides nothing."""

from __future__ import annotations

import copy
import math

import numpy as np
from torch import Tensor

from ddrs_core.data import get_dataset_info, load_dataset
from ddrs_core.models import Classifier, NoisyForward, spread_images
from ddrs_core.smoothing import Bound, CertificationBudget, SmoothedClassifier
from ddrs_core.training.config import SmoothedSummary, TrainConfig

IMAGES = 32
BUDGET = CertificationBudget(n0=16, n=256, alpha=0.01, bound=Bound.ONE_SIDED)
RADII = (0.5, 1.0)  # times sigma; unanimous votes prove 2.1 of it
_SHARE = 0.1  # of the training's own passes, at most
_GRADIENT = 3  # passes that a forward and backward pass are worth


class Monitor:
    """Certifies 32 test images after every k-th epoch, such that it costs little.

    Args:
        config: the run.
        images: number of training images.
    """

    def __init__(self, config: TrainConfig, images: int) -> None:
        self._config = config
        passes = _GRADIENT * config.method.passes * images
        self._every = math.ceil(IMAGES * (BUDGET.n0 + BUDGET.n) / (_SHARE * passes))
        self._chosen: list[int] = []
        if "test" in get_dataset_info(config.dataset).splits:
            read = load_dataset(config.dataset, "test")
            found = read.read(spread_images(read, IMAGES))
            self._chosen, self._images, self._labels = found.indices, found.images, found.labels

    def is_due(self, epoch: int) -> bool:
        """Whether images are certified after this epoch, counted from 1."""
        last = epoch == self._config.epochs
        return bool(self._chosen) and (last or epoch == 1 or epoch % self._every == 0)

    def measure(self, classifier: Classifier, average: dict[str, Tensor]) -> SmoothedSummary:
        """Certify the images with the weights as they are now, or their average where there is one.

        The classifier itself is left as it is.
        """
        present = copy.deepcopy(classifier)
        present.network.load_state_dict(average, strict=False)
        forward = NoisyForward(present.eval(), precision=self._config.precision)
        sigma = self._config.sigma
        *_, last = SmoothedClassifier(forward, classifier.card.num_classes).certify_batch(
            self._images,
            sigmas=[sigma] * len(self._images),
            budget=BUDGET,
            indices=self._chosen,
            labels=self._labels.tolist(),
        )
        found = last.certificates
        right = np.array([bool(c.correct) for c in found])
        radii = np.array([c.radius for c in found])
        voted = np.array([int(np.argmax(c.counts)) == c.label for c in found])
        return SmoothedSummary(
            images=len(found),
            votes=BUDGET.n,
            clean=float(np.mean([c.clean == c.label for c in found])),
            smoothed=float(voted.mean()),
            radii=tuple(r * sigma for r in RADII),
            certified=tuple(float((right & (radii >= r * sigma)).mean()) for r in RADII),
        )
