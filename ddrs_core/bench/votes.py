"""Speed of this machine, every figure as a ratio to a peer that was timed in the same rounds.

The peers are the bare forward pass of the same network (what the hardware gives) and the loop
that published code runs (Cohen et al. 2019, ``core.py``, ``_sample_noise``).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2_contingency
from torch import Tensor, nn

from ddrs_core.errors import require_number
from ddrs_core.models import (
    Classifier,
    ModelCard,
    NoisyForward,
    Normalization,
    build_classifier,
    device_info,
    list_models,
    load_model,
    noise_generator,
    resolve_device,
)
from ddrs_core.models.classifier import with_card
from ddrs_core.models.inference.device import PRECISIONS, Precision
from ddrs_core.smoothing import AscentConfig, choose_sigmas

PLAIN_BATCH = 1000  # as the field's scripts have it
ASCENT_IMAGES, ASCENT_SAMPLES, ASCENT_STEPS = 32, 8, 4
_SIGMA = 0.5
_MIN_ROUNDS = 3
_CHUNK = {"cpu": 8, "cuda": 64}  # batches a round


@dataclass(frozen=True)
class Agreement:
    """Whether two ways of counting agree, as far as chance lets one tell."""

    samples: int
    p_value: float  # chi-square test that both vote counts come from the same distribution
    counts: tuple[int, ...]  # fast path, [K]
    plain_counts: tuple[int, ...]  # plain fp32 loop, other noise, [K]
    differing: int  # votes that change between bare fp32 and the fast path on the same noise


@dataclass(frozen=True)
class BenchResult:
    """Speed of one network in one number format; images a second, medians over rounds.

    A ratio is the median over rounds of the ratio within a round, which noise that lasts longer
    than a round does not disturb.
    """

    network: str
    parameters: int
    shape: tuple[int, int, int]
    precision: Precision
    batch: int
    rounds: int
    bare: float  # forward pass alone: this precision, batch and channels_last
    votes: float  # noisy votes, counted
    plain: float  # the published loop: fp32, NCHW, batch 1000
    votes_over_bare: float
    votes_over_plain: float
    agreement: Agreement
    bare_gradient: float  # forward and backward to the input, batch of 256
    ascent: float  # noisy images a second inside the optimiser, 32 images of 8 copies
    ascent_steps: float  # optimiser steps a second, for 32 images at once
    ascent_over_bare: float


def machine(device: torch.device) -> dict[str, str | int | bool]:
    """What the figures were measured on."""
    info = device_info(str(device))
    return {
        "machine": device_info("cpu").title,
        "device": info.name,
        "device_title": info.title,
        "native_bf16": info.native_bf16,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def bench_steps(
    device_name: str, *, seconds: float, all_precisions: bool = False
) -> Iterator[BenchResult]:
    """Measure a ResNet-20 on 32x32 input with random weights, and a digits model if there is one.

    Args:
        device_name: ``auto``, ``cpu``, ``cuda`` or ``cuda:<i>``.
        seconds: for each network and precision, about; at least three rounds are run.
        all_precisions: measure bf16 even where it is not native, and no faster than fp32.

    Yields:
        One result a network and precision.

    Raises:
        DDRSError: if there is no such device or ``seconds`` makes no sense.
    """
    require_number("seconds", seconds, above=0.0, below=3600.0)
    device = resolve_device(device_name)
    native = device_info(str(device)).native_bf16 or all_precisions
    precisions = [p for p in PRECISIONS if p == "fp32" or native]
    return _bench(device, seconds, precisions)


def _bench(
    device: torch.device, seconds: float, precisions: list[Precision]
) -> Iterator[BenchResult]:
    networks = [random_resnet20().to(device)]
    digits = [card.name for card in list_models() if card.name.startswith("digits-gaussian")]
    networks += [load_model(name, str(device)) for name in digits[-1:]]
    for classifier in networks:
        for precision in precisions:
            yield measure(classifier, precision, seconds)


def measure(classifier: Classifier, precision: Precision, seconds: float) -> BenchResult:
    """Measure one frozen classifier in one precision; see :class:`BenchResult`."""
    forward = NoisyForward(classifier, precision=precision)
    device, shape = forward.device, classifier.card.shape
    batch = forward.batch_size(shape)
    chunk = _CHUNK[device.type]
    image = torch.rand(shape, generator=torch.Generator().manual_seed(7)).to(device)
    bare = copy.deepcopy(classifier).to(memory_format=torch.channels_last)
    noise = noise_generator(0, 0, "bench", device)
    fixed = (image + _SIGMA * torch.randn((batch, *shape), device=device)).contiguous(
        memory_format=torch.channels_last
    )
    rows = ASCENT_IMAGES * ASCENT_SAMPLES
    images = image.expand(ASCENT_IMAGES, *shape).contiguous()
    config = AscentConfig(steps=ASCENT_STEPS, samples=ASCENT_SAMPLES)
    wide = (image + _SIGMA * torch.randn((rows, *shape), device=device)).contiguous(
        memory_format=torch.channels_last
    )

    def run_bare() -> int:
        with torch.inference_mode():
            for _ in range(chunk):
                _logits(bare, fixed, precision)
        return chunk * batch

    def run_votes() -> int:
        forward.votes(image[None], torch.tensor([_SIGMA]), chunk * batch, [noise])
        return chunk * batch

    def run_plain() -> int:
        plain_counts(classifier, image, _SIGMA, PLAIN_BATCH)
        return PLAIN_BATCH

    def run_bare_gradient() -> int:
        for _ in range(ASCENT_STEPS):
            x = wide.detach().requires_grad_(True)
            with torch.enable_grad():
                total = _logits(bare, x, precision).sum()
            torch.autograd.grad(total, x)
        return ASCENT_STEPS * rows

    def run_ascent() -> int:
        for _ in choose_sigmas(forward, images, [_SIGMA] * ASCENT_IMAGES, config):
            pass
        return ASCENT_STEPS * rows

    tasks = [run_bare, run_votes, run_plain, run_bare_gradient, run_ascent]
    rates = interleave(tasks, seconds, device)  # [rounds, 5]
    median = np.median(rates, axis=0)
    return BenchResult(
        network=classifier.card.name,
        parameters=sum(p.numel() for p in classifier.parameters()),
        shape=shape,
        precision=precision,
        batch=batch,
        rounds=len(rates),
        bare=float(median[0]),
        votes=float(median[1]),
        plain=float(median[2]),
        votes_over_bare=float(np.median(rates[:, 1] / rates[:, 0])),
        votes_over_plain=float(np.median(rates[:, 1] / rates[:, 2])),
        agreement=agreement(classifier, forward, image, _SIGMA),
        bare_gradient=float(median[3]),
        ascent=float(median[4]),
        ascent_steps=float(median[4] / rows),
        ascent_over_bare=float(np.median(rates[:, 4] / rates[:, 3])),
    )


def interleave(
    tasks: list[Callable[[], int]], seconds: float, device: torch.device
) -> NDArray[np.float64]:
    """Run all tasks in turn until the time is up; returns units a second, [rounds, tasks]."""
    for task in tasks:  # warm up: allocations, kernel choice
        task()
    rates: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rates) < _MIN_ROUNDS or time.perf_counter() < end:
        row = []
        for task in tasks:
            _wait(device)
            started = time.perf_counter()
            units = task()
            _wait(device)
            row.append(units / (time.perf_counter() - started))
        rates.append(row)
    return np.array(rates)


def plain_counts(f: nn.Module, x: Tensor, sigma: float, n: int) -> NDArray[np.int64]:
    """Votes [K] of n noisy copies of x [C, H, W], counted as published code does: float32, NCHW,
    batches of 1000, every batch of votes fetched and counted in numpy (cf. Cohen et al. 2019)."""
    counts = np.zeros(_classes(f, x), dtype=np.int64)
    with torch.no_grad():
        while n > 0:
            size = min(PLAIN_BATCH, n)
            n -= size
            batch = x.repeat((size, 1, 1, 1))
            noise = torch.randn_like(batch) * sigma
            votes = f(batch + noise).argmax(1)
            counts += np.bincount(votes.cpu().numpy(), minlength=len(counts))
    return counts


def agreement(
    classifier: Classifier, forward: NoisyForward, x: Tensor, sigma: float, samples: int = 2000
) -> Agreement:
    """Compare the fast path with the plain loop on one image, and vote by vote with bare fp32."""
    generator = noise_generator(1, 0, "bench", forward.device)
    fast = forward.votes(x[None], torch.tensor([sigma]), samples, [generator])[0]
    plain = plain_counts(classifier, x, sigma, samples)
    table = np.stack([fast, plain])
    table = table[:, table.sum(axis=0) > 0]
    p_value = float(chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0
    with torch.inference_mode():
        noisy = x + sigma * torch.randn((256, *x.shape), device=x.device)
        differing = int((classifier(noisy).argmax(1) != forward.logits(noisy).argmax(1)).sum())
    return Agreement(
        samples, p_value, tuple(int(c) for c in fast), tuple(int(c) for c in plain), differing
    )


def random_resnet20(seed: int = 0) -> Classifier:
    """A ResNet-20 with random weights, but with the batch statistics of noisy input and an output
    that is centred there: folding has something to fold, and votes are spread over classes."""
    card = ModelCard(
        name="cifar_resnet20 (random weights)",
        architecture="cifar_resnet20",
        dataset="none",
        num_classes=10,
        shape=(3, 32, 32),
        normalization=Normalization((0.49, 0.48, 0.45), (0.25, 0.24, 0.26)),
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        classifier = build_classifier(card)
        for module in classifier.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.1)
                module.momentum = None  # plain average over batches
        image = torch.rand(card.shape, generator=torch.Generator().manual_seed(7))
        noisy = image + _SIGMA * torch.randn((128, *card.shape))
        classifier.train()(noisy)
        logits = classifier.eval()(noisy)
        head = classifier.network.fc
        assert isinstance(head, nn.Linear)
        head.bias.sub_(logits.mean(0))
    return with_card(classifier).requires_grad_(False)


def _logits(f: nn.Module, x: Tensor, precision: Precision) -> Tensor:
    if precision == "fp32":
        return f(x)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        return f(x)


def _classes(f: nn.Module, x: Tensor) -> int:
    return f.card.num_classes if isinstance(f, Classifier) else f(x[None]).shape[1]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
