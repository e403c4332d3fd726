"""The regret of every sigma strategy: what its certificates lack against the best level.

Each method chooses a level for each image, without labels; the certificates at all these levels
come from the same noise, of which nothing was used to choose. The oracle compares 20 levels with
3,000 votes each. It is no method, but what the others are measured by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from torch import Tensor

from ddrs_core.bench.sigma_choices import (
    Choice,
    choose_best,
    choose_by_strategy,
    level_range,
    strategies_at,
)
from ddrs_core.bench.sigma_log import BenchLog, BenchSetup, ImageOutcomes, Outcome
from ddrs_core.bench.sigma_report import SigmaBench, summarize_bench
from ddrs_core.models import get_card
from ddrs_core.parameters import values_of
from ddrs_core.runs.certify.config import CertifyConfig
from ddrs_core.runs.certify.run import CertifyRun
from ddrs_core.runs.certify.tuned import best_level, certificates_of, tune_sigma, tuning_levels
from ddrs_core.smoothing import (
    Certificate,
    CertificationBudget,
    SmoothedClassifier,
    StrategyConfig,
)

BLOCK = 25  # images at once


@dataclass(frozen=True)
class BenchStep:
    """A sign of life: what was finished, and how many images of the plan are done."""

    text: str
    done: int
    total: int


def bench_sigma(
    config: CertifyConfig,
    presets: Sequence[str],
    *,
    out: Path | None = None,
    resume: bool = False,
) -> Iterator[BenchStep | SigmaBench]:
    """Measure the regret of presets on the images of a run.

    Args:
        config: images, model, sigma_0 and budget.
        presets: names.
        out: where measurements are kept as soon as a block of images is done; None: nowhere.
        resume: go on with that file.

    Yields:
        Signs of life, at last the comparison of all images in the file.

    Raises:
        DDRSError: as for :class:`~ddrs_core.runs.certify.run.CertifyRun` and
            :class:`~ddrs_core.bench.sigma_log.BenchLog`.
    """
    strategies = strategies_at(config.check().sigma, presets)
    run = CertifyRun(config)
    with BenchLog(_setup(run, strategies), out, resume) as log:
        setup = log.setup

        def step(text: str) -> BenchStep:
            return BenchStep(text, sum(i in log.images for i in run.plan), len(run.plan))

        levels = np.clip(tuning_levels(setup.sigma_0), setup.low, setup.high).tolist()
        for score in tune_sigma(run, levels, tuple(log.levels)):
            log.add([score])
            yield step(f"tuning at {score.sigma:.3g}")
        comparison = SigmaComparison(
            run.smoothed,
            strategies,
            setup.sigma_0,
            best_level(log.levels),
            config.budget,
        )
        for start in range(0, len(run.plan), BLOCK):
            indices = run.plan[start : start + BLOCK]
            missing = [i for i in indices if i not in log.images]
            if missing:  # the whole block: floating-point results depend on the company
                images, _ = run.dataset.tensors(indices)
                labels = [run.dataset.label(i) for i in indices]
                for found in comparison.measure(images, indices, labels):
                    if isinstance(found, str):
                        yield step(found)
                    else:
                        log.add([image for image in found if image.index in missing])
                yield step("certified")
        yield summarize_bench(log)


@dataclass(frozen=True)
class SigmaComparison:
    """All methods on one network."""

    smoothed: SmoothedClassifier
    strategies: dict[str, StrategyConfig]  # by name
    sigma_0: float
    tuned: float
    budget: CertificationBudget

    def measure(
        self, images: Tensor, indices: list[int], labels: list[int | None]
    ) -> Iterator[str | list[ImageOutcomes]]:
        """Choose sigma for images [M, C, H, W] by every method, and certify.

        Yields:
            The name of each method that has chosen, at last the outcomes of all images.
        """
        m, forward = len(images), self.smoothed.forward
        choices = {
            "fixed": Choice(np.full(m, self.sigma_0)),
            "tuned": Choice(np.full(m, self.tuned)),
        }
        for name, strategy in self.strategies.items():
            choices[name] = choose_by_strategy(
                forward, images, indices, strategy, self.sigma_0, self.budget
            )
            yield name
        choices["oracle"], leading = choose_best(
            forward, images, indices, self.sigma_0, self.budget
        )
        yield "oracle"
        certificates = self._certificates(images, indices, labels, choices)

        def outcome(choice: Choice, row: int) -> Outcome:
            c = certificates[row, float(choice.sigmas[row])]
            return Outcome(c.sigma, c.radius, c.prediction, choice.passes, choice.seconds)

        yield [
            ImageOutcomes(
                index,
                labels[row],
                int(leading[row]),
                {name: outcome(choice, row) for name, choice in choices.items()},
            )
            for row, index in enumerate(indices)
        ]

    def _certificates(
        self,
        images: Tensor,
        indices: list[int],
        labels: list[int | None],
        choices: dict[str, Choice],
    ) -> dict[tuple[int, float], Certificate]:
        """Those at all chosen levels, by row and level; each is computed once."""
        wanted = {(row, s) for c in choices.values() for row, s in enumerate(c.sigmas.tolist())}
        keys = sorted(wanted)
        rows = [row for row, _ in keys]
        found = certificates_of(
            self.smoothed,
            images[rows],
            [sigma for _, sigma in keys],
            self.budget,
            [indices[row] for row in rows],
            [labels[row] for row in rows],
        )
        return dict(zip(keys, chain.from_iterable(found), strict=True))


def _setup(run: CertifyRun, strategies: dict[str, StrategyConfig]) -> BenchSetup:
    config, budget, forward = run.config, run.config.budget, run.smoothed.forward
    low, high = level_range(config.sigma)
    return BenchSetup(
        dataset=config.dataset,
        model=get_card(config.model).name,
        digest=forward.digest,
        sigma_0=config.sigma,
        low=low,
        high=high,
        n0=budget.n0,
        n=budget.n,
        alpha=budget.alpha,
        bound=budget.bound.value,
        seed=budget.seed,
        skip=config.skip,
        precision=forward.precision,
        device=forward.device.type,
        presets={name: values_of(strategy) for name, strategy in strategies.items()},
        machine=forward.execution(run.dataset.info.shape),
    )
