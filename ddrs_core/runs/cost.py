"""What a run costs: how many forward passes, and how many of them this machine does in a second."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

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
from ddrs_core.runs.certify.config import CertifyConfig, Method, shared_votes
from ddrs_core.runs.certify.tuned import FIRST_VOTES, KEPT, LEVELS, TUNING_IMAGES
from ddrs_core.smoothing import CertificationBudget
from ddrs_core.training import TrainConfig
from ddrs_core.training.learner import TrainedNetwork

_ADAPTIVE_SHARE = 0.12  # of N: 0.10 on the published ResNet-20 log, a little more on others
_SECONDS = 0.6  # that a measurement takes
_FIRST_VOTES = 256
_FLOPS = 4e9  # of the forward passes of a trial batch, which then takes well below a second
_LARGEST = 64  # images of a trial batch
_TRIALS = (4, 20)  # at least and at most; the first only warms up


def expected_votes_of_all(configs: Sequence[CertifyConfig], images: int) -> float:
    """Forward passes that all settings of a run take together, about."""
    takers = shared_votes(configs)
    return sum(expected_votes(c, images) for i, c in enumerate(configs) if i not in takers)


def expected_votes(config: CertifyConfig, images: int) -> float:
    """Forward passes that a run over so many images will take, about. The share that an adaptive
    run needs is that of published runs."""
    chosen = config.strategy.passes() if config.strategy is not None else 0.0
    return images * (_votes(config.budget, config.budget.n) + chosen) + tuning_votes(config)


def tuning_votes(config: CertifyConfig) -> float:
    """Forward passes, at most about, that choose the level of a run of method ``tuned``."""
    if config.method is not Method.TUNED or config.tuned is not None:
        return 0.0
    first = _votes(config.budget, min(FIRST_VOTES, config.budget.n))
    return TUNING_IMAGES * (LEVELS * first + KEPT * _votes(config.budget, config.budget.n))


def _votes(budget: CertificationBudget, n: int) -> float:
    """Of an image, about."""
    return budget.n0 + (n if budget.stop is None else min(n, max(_ADAPTIVE_SHARE * n, 512)))


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
