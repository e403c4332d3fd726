"""What the measurements of ``bench sigma`` say: regret, certified accuracy, paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ddrs_core.bench.sigma_log import BenchLog, ImageOutcomes
from ddrs_core.errors import DDRSError
from ddrs_core.runs.certify.tuned import best_level
from ddrs_core.runs.results.comparison import LEVEL
from ddrs_core.runs.results.paired import Pairs, acr_difference, mcnemar
from ddrs_core.smoothing import ABSTAIN
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.stopping import TABLE_RADII

BASELINES = ("fixed", "tuned", "qcrs")  # for the mean radius
TESTED = ("fixed", "tuned")  # for certified accuracy too

Verdict = Literal["above", "below", "within the noise"]


@dataclass(frozen=True)
class AccuracyTest:
    """Certified accuracy at one radius against a baseline: McNemar's exact test."""

    radius: float
    gained: int  # images that the baseline does not certify there
    lost: int  # images that only the baseline certifies there
    p_value: float  # Holm's, over all radii
    verdict: Verdict


@dataclass(frozen=True)
class MethodDifference:
    """The mean radius of a method minus that of a baseline, on the same images.

    There is no interval where fewer than ten images differ.
    """

    baseline: str
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict
    radii: tuple[AccuracyTest, ...]  # empty for a baseline that is compared by its radius only


@dataclass(frozen=True)
class MethodSummary:
    """One method on all images.

    ``mean_radius`` counts certificates of the class that leads at sigma_0, and everything else as
    0; ``regret`` is its relative distance from that of the oracle. ``acr`` counts certificates of
    the label. ``passes`` and ``seconds`` are those that chose sigma, an image.
    """

    name: str
    sigma: float  # mean
    mean_radius: float
    regret: float | None  # None where the oracle certifies nothing
    acr: float
    certified_accuracy: tuple[float, ...]  # at the radii of the bench
    abstention_rate: float
    passes: float
    seconds: float
    against: tuple[MethodDifference, ...]


@dataclass(frozen=True)
class SigmaBench:
    """The comparison of all methods on one network; the last one is the oracle."""

    dataset: str
    model: str
    images: int
    sigma_0: float
    tuned: float  # the single sigma chosen on training images
    low: float
    high: float
    n: int
    alpha: float
    bound: str
    seed: int
    precision: str
    machine: str
    radii: tuple[float, ...]
    methods: tuple[MethodSummary, ...]


@dataclass(frozen=True)
class _Column:
    """One method; arrays [m]."""

    counted: Floats  # radii for the class at sigma_0, 0 for any other
    radii: Floats
    correct: NDArray[np.bool_]

    @classmethod
    def of(cls, images: Sequence[ImageOutcomes], name: str) -> _Column:
        found = [image.methods[name] for image in images]
        radii = np.array([o.radius for o in found])
        kept = np.array([o.prediction == i.leading for o, i in zip(found, images, strict=True)])
        correct = np.array([o.prediction == i.label for o, i in zip(found, images, strict=True)])
        return cls(radii * kept, radii, correct)

    def certified(self, radius: float) -> NDArray[np.bool_]:
        return self.correct & (self.radii >= radius)


def summarize_bench(log: BenchLog) -> SigmaBench:
    """Compare the methods on all images that are measured.

    Raises:
        DDRSError: if there is none.
    """
    if not log.images or not log.levels:
        raise DDRSError(f"No image of {log.setup.dataset} is measured yet.")
    images, setup = [log.images[i] for i in sorted(log.images)], log.setup
    columns = {name: _Column.of(images, name) for name in images[0].methods}
    radii = tuple(r for r in TABLE_RADII if any(c.certified(r).any() for c in columns.values()))
    return SigmaBench(
        dataset=setup.dataset,
        model=setup.model,
        images=len(images),
        sigma_0=setup.sigma_0,
        tuned=best_level(log.levels),
        low=setup.low,
        high=setup.high,
        n=setup.n,
        alpha=setup.alpha,
        bound=setup.bound,
        seed=setup.seed,
        precision=setup.precision,
        machine=setup.machine,
        radii=radii,
        methods=tuple(_summary(name, images, columns, radii) for name in columns),
    )


def mean_regrets(results: Sequence[SigmaBench]) -> dict[str, float]:
    """The regret of each method, averaged over those networks for which all of them have one."""
    named = [{m.name: m.regret for m in result.methods} for result in results]
    found = {}
    for name in named[0] if named else ():
        regrets = [regret for methods in named if (regret := methods.get(name)) is not None]
        if len(regrets) == len(named):
            found[name] = float(np.mean(regrets))
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (1979), in the order given: the error of the family holds.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(scaled, 1.0)
    return [float(value) for value in adjusted]


def _summary(
    name: str,
    images: Sequence[ImageOutcomes],
    columns: dict[str, _Column],
    radii: Sequence[float],
) -> MethodSummary:
    column, outcomes = columns[name], [image.methods[name] for image in images]
    best, mean = float(columns["oracle"].counted.mean()), float(column.counted.mean())
    baselines = [b for b in BASELINES if b in columns and b != name]
    return MethodSummary(
        name=name,
        sigma=float(np.mean([o.sigma for o in outcomes])),
        mean_radius=mean,
        regret=1 - mean / best if best > 0 else None,
        acr=float((column.radii * column.correct).mean()),
        certified_accuracy=tuple(float(column.certified(r).mean()) for r in radii),
        abstention_rate=float(np.mean([o.prediction == ABSTAIN for o in outcomes])),
        passes=float(np.mean([o.passes for o in outcomes])),
        seconds=float(np.mean([o.seconds for o in outcomes])),
        against=tuple(
            _difference(baseline, column, columns[baseline], radii) for baseline in baselines
        ),
    )


def _difference(baseline: str, a: _Column, b: _Column, radii: Sequence[float]) -> MethodDifference:
    pairs = Pairs(np.arange(len(a.radii)), a.counted, b.counted, a.correct, b.correct)
    found = acr_difference(pairs)
    return MethodDifference(
        baseline,
        found.difference,
        found.low,
        found.high,
        _verdict(found.difference if found.verdict != "within the noise" else 0.0),
        _tests(a, b, radii) if baseline in TESTED else (),
    )


def _tests(a: _Column, b: _Column, radii: Sequence[float]) -> tuple[AccuracyTest, ...]:
    gained = [int((a.certified(r) & ~b.certified(r)).sum()) for r in radii]
    lost = [int((b.certified(r) & ~a.certified(r)).sum()) for r in radii]
    adjusted = holm([mcnemar(*both) for both in zip(gained, lost, strict=True)])
    return tuple(
        AccuracyTest(r, more, less, p, _verdict(more - less if p < 1 - LEVEL else 0))
        for r, more, less, p in zip(radii, gained, lost, adjusted, strict=True)
    )


def _verdict(sign: float) -> Verdict:
    if not sign:
        return "within the noise"
    return "above" if sign > 0 else "below"
