"""How well a network recognises noisy images; what newcomers stumble over when it does not.

A class is certified only if it gets more than half of the votes of noisy copies. A network that
was trained without noise recognises few of them, so that certification abstains, however good
the network is on clean images.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ddrs_core.atomic_write import write_atomically
from ddrs_core.data import Dataset
from ddrs_core.errors import DDRSError, MismatchError
from ddrs_core.models.classifier import ModelCard
from ddrs_core.models.inference.cost import affordable
from ddrs_core.models.inference.forward import NoisyForward
from ddrs_core.models.inference.noise import noise_generator
from ddrs_core.paths import home

NOISE_LEVELS = (0.0, 0.12, 0.25, 0.5)
_IMAGES, _FEWEST_IMAGES = 100, 16
_COPIES = 4  # of each image under noise
_SECONDS = 8.0  # spent at most, about
_FIRST = 1000  # images of a shuffled split that are looked at
_COLLAPSED = 0.6  # of the clean accuracy


@dataclass(frozen=True)
class Robustness:
    """Share of images, and of noisy copies, that the network itself gets right; no vote is taken.

    ``accuracy`` has an entry for each noise level measured so far, in units of pixels in [0, 1].
    """

    model: str  # digest
    dataset: str
    images: int
    copies: int
    accuracy: dict[float, float]

    @property
    def is_complete(self) -> bool:
        """Whether every noise level has been measured."""
        return set(NOISE_LEVELS) <= set(self.accuracy)

    @property
    def collapses_at(self) -> float | None:
        """The smallest measured noise level at which less than 60 % of the clean accuracy is
        left; None if there is none."""
        clean = self.accuracy.get(0.0, 0.0)
        lost = [s for s, share in self.accuracy.items() if s and share < _COLLAPSED * clean]
        return min(lost, default=None)

    def explain(self, num_classes: int) -> str:
        """What this means for certification, in two sentences; empty if all is well."""
        clean = self.accuracy.get(0.0)
        if clean is None:
            return ""
        if clean <= _chance(num_classes, self.images):
            return (
                f"Even without noise it gets only {clean:.0%} right, about what guessing gives: "
                "the normalisation, the classes or the file may be the wrong ones."
            )
        sigma = self.collapses_at
        if sigma is None or sigma > 0.25:
            return ""
        return (
            f"It does not bear noise of sigma {sigma:g}: of {clean:.0%} right without noise, "
            f"{self.accuracy[sigma]:.0%} are left. Certification counts the votes of noisy copies, "
            "so expect it to abstain often there. Choose a model that was trained with noise, or a "
            "smaller sigma."
        )


def robustness_on_card(card: ModelCard, dataset: str) -> Robustness | None:
    """What the card says, where it was measured on this data set at every level."""
    found = {s: card.accuracy.get(f"noise {s:.2f}" if s else "clean") for s in NOISE_LEVELS}
    known = {s: share for s, share in found.items() if share is not None}
    if card.dataset != dataset or len(known) < len(NOISE_LEVELS):
        return None
    return Robustness(card.digest, dataset, 0, 0, known)


def find_robustness(card: ModelCard, dataset: str) -> Robustness | None:
    """An earlier measurement on this machine, or that on the card; None if there is none."""
    on_card = robustness_on_card(card, dataset)
    if on_card is not None:
        return on_card
    try:
        data = json.loads(_file(card, dataset).read_text(encoding="utf-8"))
        accuracy = {float(s): float(share) for s, share in data["accuracy"].items()}
        found = Robustness(card.digest, dataset, int(data["images"]), int(data["copies"]), accuracy)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if found.is_complete else None


def measure_robustness(
    forward: NoisyForward, dataset: Dataset, card: ModelCard
) -> Iterator[Robustness]:
    """Measure accuracy clean and under noise on some images, in seconds, and remember it.

    Args:
        forward: the network.
        dataset: images with labels of the network's own classes.
        card: of the network; the result is stored for its weights and normalisation.

    Yields:
        What is known after each noise level; the last one is complete.

    Raises:
        MismatchError: if no image has a label that the network knows.
    """
    evaluations = 1 + (len(NOISE_LEVELS) - 1) * _COPIES
    wanted = affordable(
        forward, dataset.info.shape, _IMAGES * evaluations, _SECONDS, _FEWEST_IMAGES * evaluations
    )
    read = dataset.read(spread_images(dataset, wanted // evaluations))
    chosen, images, labels = read.indices, read.images, read.labels
    if not chosen:
        raise MismatchError(
            f"No image of {dataset.info.title} can be read and has a label that the model knows."
        )
    result = Robustness(forward.digest, dataset.info.name, len(chosen), _COPIES, {})
    rows = np.arange(len(chosen))
    for sigma in NOISE_LEVELS:
        copies = _COPIES if sigma else 1
        generators = [noise_generator(0, i, "robustness", forward.device) for i in chosen]
        counts = forward.votes(images, torch.full((len(chosen),), sigma), copies, generators)
        share = float(counts[rows, labels.numpy()].sum()) / (copies * len(chosen))
        result = replace(result, accuracy={**result.accuracy, sigma: round(share, 4)})
        if result.is_complete:
            _remember(result, card)
        yield result


def spread_images(dataset: Dataset, count: int) -> list[int]:
    """Up to ``count`` labelled images: evenly spaced among the first thousand where those hold
    every class (a shuffled split), else among all."""
    known = np.flatnonzero(dataset.labels >= 0)
    first = known[known < _FIRST]
    classes = np.unique(dataset.labels[known])
    if len(np.unique(dataset.labels[first])) == len(classes):
        known = first
    positions = np.linspace(0, len(known) - 1, min(count, len(known))).round().astype(int)
    return [int(i) for i in known[positions]] if len(known) else []


def _chance(num_classes: int, images: int) -> float:
    """An accuracy that guessing exceeds with a probability of about one in a thousand."""
    p = 1 / num_classes
    return p + 3.1 * float(np.sqrt(p * (1 - p) / max(images, 30)))


def _file(card: ModelCard, dataset: str) -> Path:
    layer = hashlib.sha256(str(card.normalization).encode()).hexdigest()[:8]
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", f"{card.digest}-{layer}-{dataset}")
    return home() / "robustness" / f"{safe}.json"


def _remember(result: Robustness, card: ModelCard) -> None:
    with suppress(DDRSError):  # a folder that cannot be written to: measured again next time
        write_atomically(_file(card, result.dataset), json.dumps(asdict(result)).encode())
