"""Look-up in a large memory bank against comparing with every ball, in the same run.

The bank is a real one, in a temporary SQLite file, filled by settling. Its images have the spectrum
of photographs (amplitudes fall as 1/f), CIFAR's size, brightness and contrast, and some lie close
to others.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ddrs_core.errors import require_count
from ddrs_core.smoothing import Bound, Certificate, Grade
from ddrs_core.smoothing.memory.distance import distances
from ddrs_core.smoothing.memory.rules import Ball, Settlement, settle
from ddrs_core.store import MemoryBank
from ddrs_core.store.bank.images import LEVELS

SHAPE, CLASSES = (3, 32, 32), 10
QUERIES, BRUTE_QUERIES = 300, 20
_MODEL = "bench"
_BLOCK = 1000  # images settled in one transaction
_CHUNK = 4000  # balls compared together by brute force
_NEAR = 0.03  # share of the images that lie close to an earlier one
_SIGMA, _TYPICAL_RADIUS = 0.25, 0.35

Levels = NDArray[np.uint8]  # pixels as k of k/255


@dataclass(frozen=True)
class MemoryProgress:
    """So many more images are done."""

    images: int


@dataclass(frozen=True)
class MemoryBench:
    """What was measured; milliseconds are for one query, with reading, settling and all."""

    images: int  # settled
    balls: int  # stored
    indexed: int
    settled_per_second: float  # in transactions of a thousand
    load_seconds: float  # of the index, by a process that has not looked at the bank
    index_megabytes: float
    queries: int
    lookup_median_ms: float
    lookup_p95_ms: float
    settle_median_ms: float  # one transaction each
    brute_median_ms: float  # all images in memory already
    brute_over_lookup: float  # ratio of medians
    measured_mean: float  # stored images that a query was compared with exactly
    measured_most: int
    compared: int  # queries that brute force answered, too
    agreeing: int  # the same in every part
    outcomes: dict[str, int]  # of the queries


def bench_memory(balls: int = 100_000, seed: int = 0) -> Iterator[MemoryProgress | MemoryBench]:
    """Fill a bank and measure look-ups.

    Args:
        balls: number of images that are settled.
        seed: of images and certificates.

    Yields:
        Progress in images, at last the result.

    Raises:
        InvalidParameterError: if the number makes no sense.
    """
    require_count("--balls", balls, at_most=10_000_000)
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory(prefix="ddrs-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
        bank = MemoryBank.open(url, "bench", model=_MODEL, num_classes=CLASSES, shape=SHAPE)
        images = np.empty((balls, *SHAPE), np.uint8)
        radii, started = np.zeros(balls), time.perf_counter()
        for first in range(0, balls, _BLOCK):
            block = slice(first, min(first + _BLOCK, balls))
            size = block.stop - block.start
            images[block] = _images(size, images[:first], radii[:first], rng)
            certificates = [_certificate(rng) for _ in range(size)]
            settled = bank.settle_many(list(LEVELS[images[block]]), certificates)
            radii[block] = [s.radius for s in settled]
            yield MemoryProgress(size)
        seconds = time.perf_counter() - started
        yield _measure(bank, url, images, radii, balls / seconds, rng)
        bank._store.engine.dispose()


def _measure(
    bank: MemoryBank,
    url: str,
    images: Levels,
    radii: NDArray[np.float64],
    rate: float,
    rng: np.random.Generator,
) -> MemoryBench:
    stored = [
        Ball(ball.serial, ball.prediction, ball.radius)
        for ball in bank.balls()
        if ball.outcome.enters_index
    ]
    copy = MemoryBank.find(url, bank.copy("unseen").id)
    queries = list(LEVELS[_images(QUERIES, images, radii, rng, near=0.5)])
    certificates = [_certificate(rng) for _ in queries]
    started = time.perf_counter()
    copy.lookup(LEVELS[images[0]])
    load = time.perf_counter() - started
    answers, times, sizes = [], [], []
    for x, certificate in zip(queries, certificates, strict=True):
        started = time.perf_counter()
        answers.append(bank.lookup(x, certificate))
        times.append(time.perf_counter() - started)
        sizes.append(answers[-1].measured)
    brute, brute_times = [], []
    for x, certificate in list(zip(queries, certificates, strict=True))[-BRUTE_QUERIES:]:
        started = time.perf_counter()
        brute.append(_by_brute_force(stored, images, x, certificate))
        brute_times.append(time.perf_counter() - started)
    settling = []
    for x, certificate in zip(queries, certificates, strict=True):
        started = time.perf_counter()
        copy.settle(x, certificate)
        settling.append(time.perf_counter() - started)
    agreeing = sum(
        replace(a.settlement, certificate=None, alpha=0.0) == b
        for a, b in zip(answers[-BRUTE_QUERIES:], brute, strict=True)
    )
    median, slow = float(np.median(times)), float(np.median(brute_times))
    return MemoryBench(
        images=len(images),
        balls=bank.record().stored,
        indexed=len(stored),
        settled_per_second=rate,
        load_seconds=load,
        index_megabytes=bank.index_bytes / 2**20,
        queries=len(queries),
        lookup_median_ms=1000 * median,
        lookup_p95_ms=1000 * float(np.quantile(times, 0.95)),
        settle_median_ms=1000 * float(np.median(settling)),
        brute_median_ms=1000 * slow,
        brute_over_lookup=slow / median,
        measured_mean=float(np.mean(sizes)),
        measured_most=max(sizes),
        compared=len(brute),
        agreeing=agreeing,
        outcomes=dict(Counter(answer.settlement.outcome.value for answer in answers)),
    )


def _by_brute_force(
    stored: list[Ball], images: Levels, x: NDArray[np.float32], certificate: Certificate
) -> Settlement:
    """Settle against all balls; no abstention is among the images, so serials are positions + 1."""
    near = []
    for first in range(0, len(stored), _CHUNK):
        some = stored[first : first + _CHUNK]
        centres = LEVELS[images[[ball.id - 1 for ball in some]]]
        near += [
            (ball, d)
            for ball, d in zip(some, distances(centres, x), strict=True)
            if d.low <= (ball.radius + certificate.radius) * (1 + 1e-12)
        ]
    return settle(certificate.prediction, certificate.radius, near)


def _images(
    count: int,
    earlier: Levels,
    radii: NDArray[np.float64],
    rng: np.random.Generator,
    near: float = _NEAR,
) -> Levels:
    """Images [count, *SHAPE], of which a share lies near the surface of an earlier ball."""
    found = _photographs(count, rng)
    if len(earlier):
        for i in np.flatnonzero(rng.random(count) < near):
            j = int(rng.integers(len(earlier)))
            move = rng.standard_normal(SHAPE)
            move *= radii[j] * 2 * rng.random() / np.linalg.norm(move)
            found[i] = np.rint(255 * np.clip(earlier[j] / 255 + move, 0, 1))
    return found


def _photographs(count: int, rng: np.random.Generator) -> Levels:
    """Images with CIFAR-10's statistics of the second order, about."""
    channels, height, width = SHAPE
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    amplitude = 1 / np.maximum(frequency, 1 / height)
    spectrum = np.fft.rfft2(rng.standard_normal((count, channels, height, width))) * amplitude
    spectrum[..., 0, 0] = 0
    waves = np.fft.irfft2(spectrum, s=(height, width))
    waves /= waves.std(axis=(2, 3), keepdims=True)
    common, own = waves[:, :1], 0.25 * waves  # most of a photograph is the same in all colours
    contrast = rng.uniform(0.1, 0.28, (count, 1, 1, 1))
    brightness = rng.normal(0.47, 0.12, (count, 1, 1, 1)) + rng.normal(0, 0.04, (count, 3, 1, 1))
    pixels = brightness + contrast * (common + own)
    return np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)


def _certificate(rng: np.random.Generator) -> Certificate:
    """A made-up certificate: only class and radius matter here."""
    return Certificate(
        dataset=None,
        index=None,
        label=None,
        prediction=int(rng.integers(CLASSES)),
        radius=min(float(rng.exponential(_TYPICAL_RADIUS)), 3.8 * _SIGMA),
        sigma=_SIGMA,
        grade=Grade.CONDITIONAL,
        counts=(),
        n0=100,
        n=100_000,
        alpha=0.001,
        bound=Bound.ONE_SIDED,
        p_lower=0.5,
        seed=0,
        precision="fp32",
        model=_MODEL,
        seconds=0.0,
    )
