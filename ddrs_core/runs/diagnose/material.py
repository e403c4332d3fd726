"""What there is of a set of results beside its rows: the model, its images, and what the network
says of them without noise."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property

import numpy as np
import torch

from ddrs_core.cache import LRU
from ddrs_core.data import Dataset, ReadImages
from ddrs_core.errors import DDRSError, MismatchError
from ddrs_core.models import NoisyForward, get_card, load_model, open_for_model
from ddrs_core.runs.diagnose.images import CleanAnswer, ImageDiagnosis, diagnose_results
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.smoothing import DEFAULT_PRESET, SmoothedClassifier, get_preset

_CLEAN_BATCH = 256
_NETWORKS: LRU[SmoothedClassifier] = LRU(4)
_ANSWERS: LRU[dict[int, CleanAnswer]] = LRU(64)  # of a network to images


class Material:
    """Model and images of a set of results.

    Args:
        results: what is to be diagnosed.
        device: where the network runs.

    Raises:
        MismatchError: if the set does not say its model or data set, or they are not available.
        DDRSError: if they cannot be opened.
    """

    def __init__(self, results: ResultSet, device: str = "auto") -> None:
        if results.model is None or results.dataset is None:
            missing = "model" if results.model is None else "data set"
            raise MismatchError(
                f"{results.title} does not name its {missing}: only what its votes say is known."
            )
        try:
            self.card = get_card(results.model)
        except DDRSError:
            raise MismatchError(
                f"The model of {results.title} ({results.model}) is not available here: only what "
                "its votes say is known."
            ) from None
        self.results, self.device = results, device
        self.dataset: Dataset = open_for_model(results.dataset, self.card, results.split or "test")

    @property
    def smoothed(self) -> SmoothedClassifier:
        """The smoothed classifier, in the precision of the results."""
        return _NETWORKS.get(self._network, self._load)

    @property
    def _network(self) -> tuple[str, str, str]:
        return self.card.digest, self.device, self.results.precision or "auto"

    def _load(self) -> SmoothedClassifier:
        f = load_model(self.card.name, self.device)
        forward = NoisyForward(f, precision=self.results.precision or "auto")
        return SmoothedClassifier(forward, self.card.num_classes)

    @cached_property
    def training(self) -> Dataset | None:
        """The images that the network was trained on; None where they are not available."""
        with suppress(DDRSError):
            return open_for_model(self.card.dataset, self.card, "train")
        return None

    @property
    def levels(self) -> tuple[float, float]:
        """The smallest and the largest noise level that others are compared with."""
        sigma = self.results.sigma or self.card.sigma or float(np.nanmean(self.results.sigmas))
        return get_preset(DEFAULT_PRESET).at(sigma).bounds

    def read(self, rows: Sequence[ResultRow | ImageDiagnosis]) -> ReadImages:
        """The images of rows; those that the data set does not have are left out."""
        numbers = [r.index for r in rows if r.index is not None and r.index < len(self.dataset)]
        return self.dataset.read(numbers)

    def known_answers(self) -> dict[int, CleanAnswer]:
        """What the network was found to say of images without noise, by their number."""
        return self._answers().copy()

    def clean_answers(self, rows: Sequence[ResultRow]) -> dict[int, CleanAnswer]:
        """What the network says of the images of rows without noise, by their number; each image
        is asked for once, also for other results."""
        known = self._answers()
        read = self.read([row for row in rows if not row.failure and row.index not in known])
        forward = self.smoothed.forward
        for start in range(0, len(read.indices), _CLEAN_BATCH):
            with torch.no_grad():
                logits = forward.logits(
                    read.images[start : start + _CLEAN_BATCH].to(forward.device)
                )
            best = logits.float().softmax(dim=1).max(dim=1)
            answers = map(CleanAnswer, best.indices.tolist(), best.values.tolist())
            known.update(zip(read.indices[start:], answers, strict=False))
        numbers = [row.index for row in rows]
        return {i: known[i] for i in numbers if i is not None and i in known}

    def _answers(self) -> dict[int, CleanAnswer]:
        images = (self.dataset.info.name, self.dataset.split, self.dataset.version)
        return _ANSWERS.get((*self._network, *images), dict)


def with_clean(results: ResultSet, radius: float, material: Material) -> list[ImageDiagnosis]:
    """As :func:`~ddrs_core.runs.diagnose.images.diagnose_results`, with what the network says
    without noise."""
    names = material.dataset.info.class_names
    return diagnose_results(results, radius, material.clean_answers(results.rows), names)
