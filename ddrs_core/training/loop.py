"""The training loop as a generator whose state can be saved after any batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ddrs_core.data import load_dataset
from ddrs_core.errors import InvalidParameterError, MismatchError, require_count
from ddrs_core.models import Classifier, choose_precision, noise_generator, weights_digest
from ddrs_core.models.architectures import get_architecture
from ddrs_core.models.classifier import with_card
from ddrs_core.models.inference.allocator import keep_freed_memory
from ddrs_core.training.augmentation import AUGMENTATIONS
from ddrs_core.training.config import BatchSummary, EpochSummary, SmoothedSummary, TrainConfig
from ddrs_core.training.ema import WeightAverage
from ddrs_core.training.first_classifier import with_random_weights, with_weights_of
from ddrs_core.training.image_sigmas import ImageSigmas
from ddrs_core.training.learner import TrainedNetwork
from ddrs_core.training.loader import ImageFeed
from ddrs_core.training.methods.base import Batch
from ddrs_core.training.monitor import Monitor
from ddrs_core.training.parallel import ALONE, Group
from ddrs_core.training.schedules import learning_rate
from ddrs_core.training.sgd import SGD

_REPORT_SECONDS = 0.2


def train_steps(config: TrainConfig, device: torch.device) -> Iterator[BatchSummary | EpochSummary]:
    """Train a classifier; see :class:`Trainer`.

    Yields:
        A summary of the batches several times a second, and one of every epoch; the last one
        carries the trained classifier, in eval mode and frozen.

    Raises:
        DDRSError: for a name or number in the configuration that makes no sense.
    """
    return Trainer(config, device).steps()


class Trainer:
    """A training run that can stop after any batch and go on later with the same final result.

    SGD with momentum. Every random number comes from the seed and the number of the step, so that
    what is left to remember are weights, momenta, sigmas and that number.

    Args:
        config: the run.
        device: where to train.
        group: the processes that share it.

    Raises:
        DDRSError: for a name or number in the configuration that makes no sense.
    """

    @torch.inference_mode(False)  # whatever mode the consumer is in
    def __init__(self, config: TrainConfig, device: torch.device, group: Group = ALONE) -> None:
        self.config = config.check()
        self.device, self.group = device, group
        if device.type == "cpu":
            keep_freed_memory()
        train = load_dataset(config.dataset, "train")
        require_count("batch size", config.batch_size, at_least=2, at_most=len(train))
        self._rows = group.share(config.batch_size)
        architecture = get_architecture(config.architecture)
        if architecture.shape != train.info.shape:
            raise MismatchError(
                f"Architecture {architecture.name!r} takes images of shape "
                f"{list(architecture.shape)}, but {train.info.title} has {list(train.info.shape)}."
            )
        start = with_weights_of(config, train.info) if config.init else None
        self._feed = ImageFeed(train, device)
        self._images = len(train)
        self.batches = len(train) // config.batch_size  # of an epoch
        start = start or with_random_weights(config, self._feed, train.info)
        self.classifier = start.to(device).to(memory_format=torch.channels_last)
        precision = choose_precision(config.precision, device, "bf16")
        group.synchronise(self.classifier)
        self.learner = TrainedNetwork(
            self.classifier, precision, compiled=config.compile, parallel=group.wrap
        )
        self._optimizer = SGD(self.classifier.parameters(), config.momentum, config.weight_decay)
        self._average = WeightAverage(self.classifier.network, config.ema) if config.ema else None
        self.sigmas = (
            None
            if config.data_dependent is None
            else ImageSigmas(config.data_dependent, self._images, config.sigma, device)
        )
        self._monitor = Monitor(config, self._images) if group.leads else None
        self.step = 0  # steps of the weights so far
        self.epochs_done = 0  # whole epochs whose summary was given
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)  # loss, accuracy; epoch
        self._seconds = 0.0  # of this epoch

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs: tensors and plain data."""
        return {
            "config": _fingerprint(self.config),
            "step": self.step,
            "epochs": self.epochs_done,
            "network": self.classifier.network.state_dict(),
            "momentum": self._optimizer.state(),
            "average": self._average.values if self._average else {},
            "sigmas": self.sigmas.values if self.sigmas else torch.empty(0),
            "sums": self._sums,
            "seconds": self._seconds,
        }

    @torch.inference_mode(False)
    def load(self, state: dict[str, Any]) -> None:
        """Go on where a run with the same configuration was when it gave its :meth:`state`.

        Raises:
            InvalidParameterError: if that run had another configuration.
        """
        _check_same_run(_fingerprint(self.config), state["config"])
        self.classifier.network.load_state_dict(state["network"])
        self._optimizer.load(state["momentum"])
        if self._average:
            self._average.load(state["average"])
        if self.sigmas:
            self.sigmas.values.copy_(state["sigmas"])
        self._sums.copy_(state["sums"])
        self.step, self._seconds = int(state["step"]), float(state["seconds"])
        self.epochs_done = int(state.get("epochs", self.step // self.batches))

    def steps(
        self, report_seconds: float = _REPORT_SECONDS
    ) -> Iterator[BatchSummary | EpochSummary]:
        """Train to the end.

        Yields:
            A :class:`BatchSummary` every ``report_seconds`` and after the last batch of an epoch
            (the loss is fetched from the device only then), and an :class:`EpochSummary`;
            :meth:`state` may be asked for whenever one arrives.
        """
        while self.epochs_done < self.config.epochs:
            yield from self._epoch(report_seconds)

    def _epoch(self, report_seconds: float) -> Iterator[BatchSummary | EpochSummary]:
        epoch = self.epochs_done
        first = self.step - epoch * self.batches  # all of them, if only the summary is missing
        plan = self._plan(epoch)
        shares = [indices[self._rows] for indices in plan[first:]]
        reported = self._sums.clone()
        number = first
        started = told = time.perf_counter()
        for images, indices in zip(self._feed.batches(shares), shares, strict=True):
            self._train_on(images, indices)
            number += 1
            now = time.perf_counter()
            if now - told < report_seconds and number < self.batches:
                continue
            count = number - first
            loss, accuracy = ((self._sums - reported) / count).tolist()
            reported, first = self._sums.clone(), number
            self._seconds += time.perf_counter() - started
            yield BatchSummary(epoch + 1, number, self.batches, loss, accuracy)
            started = told = time.perf_counter()
        loss, accuracy = self.group.mean(self._sums / self.batches).tolist()
        seconds = self._seconds + time.perf_counter() - started
        self._sums.zero_()
        self._seconds = 0.0
        self.epochs_done += 1
        ended = self.epochs_done == self.config.epochs
        watched = self._monitor is not None and self._monitor.is_due(self.epochs_done)
        yield EpochSummary(
            epoch + 1,
            self.config.epochs,
            loss,
            accuracy,
            self._lr(self.step - 1),
            seconds,
            self.sigmas.summary(self.config.sigma) if self.sigmas is not None else None,
            self.finished() if ended else None,
            self._feed.note,
            self._smoothed() if watched else None,
        )

    def finished(self) -> Classifier:
        """The classifier as it is now, averaged if so configured: in eval mode and frozen."""
        if self._average:
            self._average.finish()
        classifier = self.classifier.eval().requires_grad_(False)
        return with_card(classifier, digest=weights_digest(classifier.network))

    def _smoothed(self) -> SmoothedSummary:
        assert self._monitor is not None
        with torch.inference_mode(False):
            return self._monitor.measure(
                self.classifier, self._average.values if self._average else {}
            )

    def _plan(self, epoch: int) -> list[Tensor]:
        """The images of each batch of an epoch, [batch size] each."""
        generator = noise_generator(self.config.seed, epoch, "train order")
        order = torch.randperm(self._images, generator=generator).to(self.device)
        size = self.config.batch_size
        return list(order[: self.batches * size].split(size))

    def _lr(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        config, epoch = self.config, step / self.batches
        return learning_rate(config.lr, config.schedule, config.warmup, config.epochs, epoch)

    def _train_on(self, images: Tensor, indices: Tensor) -> None:
        """One step of the weights on this process's share of a batch."""
        with torch.inference_mode(False), torch.enable_grad():
            loss_value, accuracy = self._learn(images, indices, self.step / self.batches)
        self._sums += torch.stack([loss_value.double(), accuracy.double()])
        self.step += 1
        if self._average:
            self._average.update(self.step)

    def _learn(self, images: Tensor, indices: Tensor, epoch: float) -> tuple[Tensor, Tensor]:
        config, rows = self.config, self._rows
        chance = torch.rand(
            (config.batch_size, 3),
            generator=noise_generator(config.seed, self.step, "train augmentation"),
        )
        images = AUGMENTATIONS[config.augmentation](images, chance[rows].to(self.device))
        batch = Batch(
            images,
            self._feed.labels[indices],
            self._sigma_of(indices),
            epoch,
            self._noise(images.shape[1:]),
        )
        if self.sigmas is not None:
            moved = self.sigmas.moved(self.learner, batch)
            self.sigmas.values[self.group.gather(indices)] = self.group.gather(moved)
            batch = replace(batch, sigma=moved.float())  # the weights learn at the new ones
        loss = config.method.loss(self.learner, batch)
        self.classifier.zero_grad()
        loss.value.backward()
        if config.clip:
            torch.nn.utils.clip_grad_norm_(self.classifier.parameters(), config.clip)
        self._optimizer.step(self._lr(self.step))
        return loss.value.detach(), loss.accuracy(batch.labels)

    def _sigma_of(self, indices: Tensor) -> Tensor:
        if self.sigmas is not None:
            return self.sigmas.values[indices].float()
        return torch.full((len(indices),), self.config.sigma, device=self.device)

    def _noise(self, shape: torch.Size) -> Callable[[int], Tensor]:
        """Noise of this step, drawn for the whole batch whatever share of it is ours."""
        total = self.config.batch_size
        generator = noise_generator(self.config.seed, self.step, "train noise", self.device)

        def draw(copies: int) -> Tensor:
            noise = torch.empty((total, copies, *shape), device=self.device)
            return noise.normal_(generator=generator)[self._rows]

        return draw


def _fingerprint(config: TrainConfig) -> dict[str, str]:
    """What decides the numbers of a run, as text; the model's name does not."""
    return {k: repr(v) for k, v in config.to_dict().items() if k != "name"}


def _check_same_run(ours: dict[str, str], theirs: dict[str, str]) -> None:
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise InvalidParameterError(
                f"The run that is to go on had {name.replace('_', ' ')} = {theirs.get(name)}, "
                f"not {value}. Use the same settings, or another folder."
            )
