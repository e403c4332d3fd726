"""Speed of training on this machine, against the bare passes of the same network in the same
rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ddrs_core.bench.votes import interleave
from ddrs_core.data import list_datasets
from ddrs_core.models import resolve_device
from ddrs_core.models.inference.device import Precision
from ddrs_core.runs.training.run import default_architecture
from ddrs_core.training import BatchSummary, Trainer, recipe
from ddrs_core.training.learner import TrainedNetwork

_DATASETS = ("digits", "cifar10")  # those that are available are measured
_STEPS = {"digits": 20, "cifar10": 2}  # a round


@dataclass(frozen=True)
class TrainingBench:
    """Speed of the Gaussian method and of the sigma mechanism; medians over rounds.

    ``gaussian`` does all that training does: shuffling, augmentation, noise, loss, both passes and
    the step of the weights. ``bare`` is the passes alone, on one fixed batch.
    """

    dataset: str
    network: str
    precision: Precision
    batch: int
    rounds: int
    bare: float  # images a second, forward and backward to the weights
    gaussian: float  # images a second
    gaussian_over_bare: float
    sigma_samples: int  # noisy copies of an image that choose its sigma
    sigma_bare: float  # seconds a batch: forward and backward to the input, eval mode
    sigma_extra: float  # seconds that data-dependent sigma adds to a batch
    sigma_extra_over_bare: float


def bench_training(device_name: str, *, seconds: float) -> Iterator[TrainingBench]:
    """Measure training on the available data sets, each for about ``seconds``.

    Raises:
        DDRSError: if there is no such device.
    """
    device = resolve_device(device_name)
    available = {info.name for info in list_datasets()}
    for dataset in _DATASETS:
        if dataset in available:
            yield _measure(dataset, device, seconds)


def _measure(dataset: str, device: torch.device, seconds: float) -> TrainingBench:
    config = recipe(
        dataset, default_architecture(dataset), "gaussian", 0.25, epochs=100_000, warmup=0.0
    )
    moving = recipe(dataset, config.architecture, "gaussian", 0.25, data_dependent=True)
    assert moving.data_dependent is not None
    samples = moving.data_dependent.samples
    trainer = Trainer(config, device)
    learner = trainer.learner
    steps, batch = _STEPS[dataset], config.batch_size
    shape = trainer.classifier.card.shape
    images = torch.rand((batch, *shape), device=device)
    labels = torch.arange(batch, device=device) % trainer.classifier.card.num_classes
    copies = torch.rand((batch * samples, *shape), device=device)
    rates = interleave(
        [
            lambda: steps * _bare(learner, images, labels, steps),
            _stepper(trainer, steps),
            lambda: steps * _bare_sigma(learner, copies, batch, steps),
            _stepper(Trainer(replace(config, data_dependent=moving.data_dependent), device), steps),
        ],
        seconds,
        device,
    )  # images a second, [rounds, 4]
    times = batch / rates  # seconds a batch
    extra = times[:, 3] - times[:, 1]
    return TrainingBench(
        dataset=dataset,
        network=config.architecture,
        precision=learner.precision,
        batch=batch,
        rounds=len(rates),
        bare=float(np.median(rates[:, 0])),
        gaussian=float(np.median(rates[:, 1])),
        gaussian_over_bare=float(np.median(rates[:, 1] / rates[:, 0])),
        sigma_samples=samples,
        sigma_bare=float(np.median(times[:, 2])),
        sigma_extra=float(np.median(extra)),
        sigma_extra_over_bare=float(np.median(extra / times[:, 2])),
    )


def _stepper(trainer: Trainer, steps: int) -> Callable[[], int]:
    """A task that runs the next training steps each time that it is called."""
    running = trainer.steps(report_seconds=0.0)

    def task() -> int:
        done = 0
        while done < steps:
            done += isinstance(next(running), BatchSummary)
        return steps * trainer.config.batch_size

    return task


def _bare(learner: TrainedNetwork, images: Tensor, labels: Tensor, steps: int) -> int:
    for _ in range(steps):
        learner.classifier.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = F.cross_entropy(learner.logits(images), labels)
        loss.backward()
    return len(images)


def _bare_sigma(learner: TrainedNetwork, copies: Tensor, batch: int, steps: int) -> int:
    for _ in range(steps):
        x = copies.detach().requires_grad_(True)
        with torch.enable_grad():
            total = learner.frozen_logits(x).sum()
        torch.autograd.grad(total, x)
    return batch
