"""What a worker of a cluster does: certify the units that are sent to it.

Model, images and labels come with the work, so its machine needs nothing but this package.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import ddrs_core
from ddrs_core.data import Dataset, DatasetInfo, ImageError, ReadImages
from ddrs_core.errors import CheckpointError
from ddrs_core.models import (
    Classifier,
    ModelCard,
    NoisyForward,
    build_classifier,
    resolve_device,
    weights_digest,
    with_card,
)
from ddrs_core.runs.certify.config import CertifyConfig
from ddrs_core.runs.certify.run import CertifyRun, RunStep
from ddrs_core.smoothing import SmoothedClassifier

_MOST_CORES = 4
_ADVANCE_SECONDS = 0.1


@dataclass(frozen=True)
class WorkerSetup:
    """What every worker of a run gets once."""

    card: ModelCard
    state: dict[str, Tensor]  # of the network, on the CPU
    info: DatasetInfo
    split: str
    device: str  # "cpu" or "cuda"
    precision: str
    batch_size: int | None


@dataclass(frozen=True)
class Unit:
    """Images that are certified together: a block of a setting, or a group of one."""

    config: CertifyConfig  # its ``indices`` are those of the images, in the order of the plan
    read: ReadImages  # as far as they can be read
    labels: NDArray[np.int64]  # [m]
    done: frozenset[int]  # positions among the m whose certificates are there already


@dataclass(frozen=True)
class Traits:
    """What must be the same everywhere for the numbers to be the same."""

    program: str  # version
    torch: str  # version
    device: str
    precision: str

    def to_text(self) -> str:
        """Such as ``version 0.1 with torch 2.11 on cpu in fp32``."""
        return (
            f"version {self.program} with torch {self.torch} on {self.device} in {self.precision}"
        )


@dataclass(frozen=True)
class Advance:
    """What has come out of the oldest unit since the last time."""

    steps: tuple[RunStep, ...] = ()  # positions among the images of the unit
    finished: bool = False


class Worker:
    """Holds the model, and certifies the units that it was given in their order."""

    def __init__(self, setup: WorkerSetup, cores: int) -> None:
        self._setup, self._cores = setup, cores
        self._steps: deque[Iterator[RunStep]] = deque()

    def open(self) -> Traits:
        """Load the model.

        Raises:
            DDRSError: if it is not the one that was sent, or the device cannot hold it.
        """
        torch.set_num_threads(self._cores)
        setup = self._setup
        forward = NoisyForward(
            _classifier(setup).to(resolve_device(setup.device)),
            precision=setup.precision,
            batch_size=setup.batch_size,
        )
        self._smoothed = SmoothedClassifier(forward, setup.card.num_classes)
        return Traits(
            ddrs_core.__version__, torch.__version__, forward.device.type, forward.precision
        )

    def add(self, unit: Unit) -> None:
        """Take a unit in, to be certified after the others."""
        self._steps.append(_UnitRun(unit, self._setup, self._smoothed).block(0, unit.done))

    def advance(self) -> Advance:
        """Go on for about a tenth of a second, or one step where that takes longer."""
        if not self._steps:
            return Advance()
        steps: list[RunStep] = []
        ends = time.monotonic() + _ADVANCE_SECONDS
        for step in self._steps[0]:
            steps.append(step)
            if time.monotonic() >= ends:
                return Advance(tuple(steps))
        self._steps.popleft()
        return Advance(tuple(steps), finished=True)


def cores_per_worker(cores: int) -> int:
    """How many cores of a machine without a GPU one worker gets: at most four, in equal shares.

    Batches are evaluated side by side, a core each, but their noise is drawn by one core; and
    every worker has the program and the model in memory once more.
    """
    return cores // -(-cores // _MOST_CORES)


class _UnitRun(CertifyRun):
    """A run over the images of one unit, with the worker's model."""

    def __init__(self, unit: Unit, setup: WorkerSetup, smoothed: SmoothedClassifier) -> None:
        self.config, self.smoothed = unit.config.check(), smoothed
        self.plan = list(unit.config.indices or ())
        labels = np.full(max(self.plan) + 1, -1, dtype=np.int64)
        labels[self.plan] = unit.labels
        self.dataset = Dataset(setup.info, setup.split, _Sent(unit.read, len(labels)), labels)


class _Sent:
    """Images that were sent, under the numbers that they have in their data set."""

    def __init__(self, read: ReadImages, count: int) -> None:
        self._images = dict(zip(read.indices, read.images, strict=True))
        self._failures, self._count = read.failures, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> Tensor:
        if index in self._failures:
            raise ImageError(self._failures[index])
        return self._images[index]


def _classifier(setup: WorkerSetup) -> Classifier:
    classifier = build_classifier(setup.card)
    classifier.network.load_state_dict(setup.state)
    digest = weights_digest(classifier.network)
    if digest != setup.card.digest:
        raise CheckpointError(
            f"The weights of {setup.card.name!r} have the digest {digest} on a machine of the "
            f"cluster, not {setup.card.digest}. Is this program's version the same there?"
        )
    return with_card(classifier, digest=digest).eval().requires_grad_(False)
