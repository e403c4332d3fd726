"""What a run costs: how many forward passes, and how many of them this machine does in a second."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ddrs_core.data import DatasetInfo
from ddrs_core.models import (
    ModelCard,
    NoisyForward,
    build_classifier,
    choose_precision,
    noise_generator,
)
from ddrs_core.models.inference.pass_cost import measure_pass
from ddrs_core.quantities import counted, duration, file_size, two_digits
from ddrs_core.runs.certify.config import CertifyConfig, Method, shared_votes
from ddrs_core.runs.certify.tuned import FIRST_VOTES, KEPT, LEVELS, TUNING_IMAGES
from ddrs_core.runs.logs.columns import LogRow, settings_text
from ddrs_core.smoothing import Certificate, CertificationBudget
from ddrs_core.training import TrainConfig
from ddrs_core.training.learner import TrainedNetwork

_ADAPTIVE_SHARE = 0.12  # of N: 0.10 on the published ResNet-20 log, a little more on others
_DATABASE_SHARE = 1.5  # of a log: 500 digits took 180 kB in SQLite, 121 kB in a log
_CLASSES_WITH_VOTES = 10  # in a row of a log, about
_SECONDS = 0.6  # that a measurement takes
_FIRST_VOTES = 256
_FLOPS = 4e9  # of the forward passes of a trial batch, which then takes well below a second
_LARGEST = 64  # images of a trial batch
_TRIALS = (4, 20)  # at least and at most; the first only warms up


@dataclass(frozen=True)
class CertificationCost:
    """Forward passes and disk space of all settings of a run together, about."""

    images: int
    settings: int
    choosing: float  # passes that choose a sigma for each image, at most
    tuning: float  # passes that tune one sigma for all, unless an earlier run has
    certifying: float  # of an adaptive run: by the share of N that published runs needed
    at_most: float  # passes of all kinds, if every image gets all of its votes
    log_bytes: int  # of the rows in files

    @property
    def passes(self) -> float:
        """Forward passes to expect."""
        return self.choosing + self.tuning + self.certifying

    @property
    def database_bytes(self) -> float:
        """Of the rows in the database."""
        return _DATABASE_SHARE * self.log_bytes

    def __str__(self) -> str:
        said = (
            f"{counted(self.images, 'image')} in {counted(self.settings, 'setting')}: about "
            f"{_passes(self.passes)}"
        )
        if two_digits(self.at_most) > two_digits(self.passes):
            said += f", at most {two_digits(self.at_most):,.0f}"
        said += "."
        if self.choosing:
            said += f" Of these, {_passes(self.choosing)} choose sigmas."
        if self.tuning:
            said += (
                f" Of these, {_passes(self.tuning)} tune sigma on training images, unless an "
                "earlier run has."
            )
        return (
            f"{said} On disk about {file_size(self.log_bytes)} as a log, "
            f"{file_size(self.database_bytes)} in the database."
        )


def certification_cost(
    configs: Sequence[CertifyConfig], images: int, classes: int
) -> CertificationCost:
    """What settings of a run cost on so many images with a network of so many classes."""
    takers = shared_votes(configs)
    voting = [config for i, config in enumerate(configs) if i not in takers]
    chosen = sum(c.strategy.passes() for c in voting if c.strategy is not None)
    most = sum(c.budget.n0 + c.budget.n for c in voting) + chosen
    return CertificationCost(
        images=images,
        settings=len(configs),
        choosing=images * chosen,
        tuning=sum(tuning_votes(c) for c in voting),
        certifying=images * sum(_votes(c.budget, c.budget.n) for c in voting),
        at_most=images * most + sum(tuning_votes(c, stop=False) for c in voting),
        log_bytes=images * sum(_row_bytes(c, classes) for c in configs),
    )


def time_text(cost: CertificationCost, rate: float, strong: str = "") -> str:
    """How long that takes at so many passes a second; ``strong`` stands around what matters."""
    expected, most = (two_digits(max(1.0, n / rate)) for n in (cost.passes, cost.at_most))
    said = (
        f"At {two_digits(rate):,.0f} a second, that is {strong}about {duration(expected)}{strong}"
    )
    return said + (f", at most {duration(most)}" if most > expected else "")


def _passes(count: float) -> str:
    return counted(int(two_digits(count)), "forward pass")


def expected_votes_of_all(configs: Sequence[CertifyConfig], images: int) -> float:
    """Forward passes that all settings of a run take together, about."""
    takers = shared_votes(configs)
    return sum(expected_votes(c, images) for i, c in enumerate(configs) if i not in takers)


def expected_votes(config: CertifyConfig, images: int) -> float:
    """Forward passes that a run over so many images will take, about. The share that an adaptive
    run needs is that of published runs."""
    chosen = config.strategy.passes() if config.strategy is not None else 0.0
    return images * (_votes(config.budget, config.budget.n) + chosen) + tuning_votes(config)


def tuning_votes(config: CertifyConfig, *, stop: bool = True) -> float:
    """Forward passes, at most about, that choose the level of a run of method ``tuned``; without
    ``stop`` as if every certificate took all of its votes."""
    if config.method is not Method.TUNED or config.tuned is not None:
        return 0.0
    budget = config.budget if stop else replace(config.budget, stop=None)
    first = _votes(budget, min(FIRST_VOTES, budget.n))
    return TUNING_IMAGES * (LEVELS * first + KEPT * _votes(budget, budget.n))


def _votes(budget: CertificationBudget, n: int) -> float:
    """Of an image, about."""
    return budget.n0 + (n if budget.stop is None else min(n, max(_ADAPTIVE_SHARE * n, 512)))


def _row_bytes(config: CertifyConfig, classes: int) -> int:
    """Of a row of a log, with votes for a few classes besides the most frequent."""
    few = min(classes, _CLASSES_WITH_VOTES)
    counts = [config.budget.n, *[config.budget.n // 100] * (few - 1), *[0] * (classes - few)]
    certificate = Certificate(
        dataset=config.dataset,
        index=10_000,
        label=classes - 1,
        prediction=classes - 1,
        radius=1 / 3,
        sigma=1 / 3 if config.strategy is not None else config.level,
        grade=config.grade,
        counts=tuple(counts),
        n0=config.budget.n0,
        n=sum(counts),
        alpha=config.budget.alpha,
        bound=config.budget.bound,
        p_lower=2 / 3,
        seed=config.budget.seed,
        precision="bf16",
        model="0" * 16,
        seconds=1.0,
        schedule=config.budget.schedule,
        execution="batch=1024 threads=1 torch=2.14.1+cu130 ddrs=0.1.0 on Intel Xeon",
        clean=0,
    )
    return 1 + len(
        LogRow(certificate, settings_text(config, "0" * 16, "bf16", "cpu")).to_line().encode()
    )


def passes_per_image(config: TrainConfig) -> int:
    """Forward passes of an image in an epoch, each with its backward pass."""
    sigmas = config.data_dependent
    return config.method.passes + (sigmas.passes if sigmas is not None else 0)


def vote_rate(forward: NoisyForward, shape: Sequence[int]) -> float:
    """Votes a second on images of shape [C, H, W], measured for about half a second.

    Raises:
        DDRSError: if the network does not take such images.
    """
    image = torch.full((1, *shape), 0.5)
    sigmas = torch.tensor([0.25])
    n, rate = _FIRST_VOTES, 0.0
    ends = time.perf_counter() + _SECONDS
    while time.perf_counter() < ends:
        generator = noise_generator(0, 0, "cost", forward.device)
        started = time.perf_counter()
        forward.votes(image, sigmas, n, [generator])
        rate = n / max(time.perf_counter() - started, 1e-9)
        n = max(n, min(1 << 20, int(rate * _SECONDS / 3)))
    return rate


def training_rates(
    architecture: str, info: DatasetInfo, device: torch.device
) -> Iterator[float]:  # a generator, so that a job can stop it
    """Forward and backward passes a second, of an untrained network on blank images.

    Yields:
        The fastest rate so far, after each trial. On a processor it is a rate per second that this
        thread worked, as if nobody else used the machine.
    """
    with torch.random.fork_rng(devices=[]):
        classifier = build_classifier(
            ModelCard("trial", architecture, info.name, info.num_classes, info.shape)
        )
    flops = measure_pass(classifier.network, info.shape).flops or _FLOPS
    size = int(min(_LARGEST, max(2, _FLOPS / flops)))
    classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network = TrainedNetwork(classifier, choose_precision("auto", device, "bf16"))
    images = torch.zeros((size, *info.shape), device=device)
    clock = time.perf_counter if device.type == "cuda" else time.thread_time
    best = float("inf")
    begun = time.perf_counter()
    for trial in range(_TRIALS[1]):
        started = clock()
        with torch.enable_grad():
            network.logits(images).logsumexp(1).sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        ended = clock()
        if trial:
            best = min(best, (ended - started) / size)
            yield 1 / best
        if trial + 1 >= _TRIALS[0] and time.perf_counter() - begun > _SECONDS:
            return
