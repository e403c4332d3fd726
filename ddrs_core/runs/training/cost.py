"""What a training run will cost, before it is started."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from ddrs_core.data import DatasetInfo
from ddrs_core.models import ModelCard, build_classifier, choose_precision
from ddrs_core.models.inference.cost import measure_pass
from ddrs_core.training import TrainConfig
from ddrs_core.training.learner import TrainedNetwork

_FLOPS = 4e9  # of the forward passes of a trial batch, which then takes well below a second
_LARGEST = 64  # images of a trial batch
_SECONDS = 0.6  # that trials go on
_TRIALS = (4, 20)  # at least and at most; the first only warms up


def passes_per_image(config: TrainConfig) -> int:
    """Forward passes of an image in an epoch, each with its backward pass."""
    sigmas = config.data_dependent
    return config.method.passes + (sigmas.passes if sigmas is not None else 0)


def time_passes(
    architecture: str, info: DatasetInfo, device: torch.device
) -> Iterator[float]:  # a generator, so that a job can stop it
    """Try forward and backward passes of an untrained network on blank images.

    Yields:
        Seconds for one image's pass after each trial, the fastest so far. On a processor it is the
        time that this thread worked, as if nobody else used the machine.
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
            yield best
        if trial + 1 >= _TRIALS[0] and time.perf_counter() - begun > _SECONDS:
            return
