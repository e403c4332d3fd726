"""Certify images of a data set: what is asked for, and the run as a generator."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, NoReturn

from ddrs_core.data import Dataset, get_dataset_info
from ddrs_core.errors import InvalidParameterError, require_count, unknown_name
from ddrs_core.models import NoisyForward, check_fit, get_card, load_model, open_for_model
from ddrs_core.smoothing import (
    Bound,
    Budget,
    Certificate,
    Grade,
    SmoothedClassifier,
    StrategyConfig,
    choose_sigmas,
)
from ddrs_core.smoothing.confidence import check_budget, check_sigma

SIGMA_BATCH = 32  # images whose sigmas are chosen together, cut at fixed places of the plan


class Method(StrEnum):
    """Where the noise level of an image comes from."""

    FIXED = "fixed"  # the same sigma for every image
    DS = "ds"  # data-dependent sigma, starting from sigma_0

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise unknown_name("method", value, cls)


@dataclass(frozen=True)
class CertifyConfig:
    """One certification run."""

    dataset: str
    model: str
    method: Method
    sigma: float  # sigma_0 for a data-dependent method
    strategy: StrategyConfig | None = None  # data-dependent methods only
    n0: int = 100
    n: int = 100_000
    alpha: float = 0.001
    bound: Bound = Bound.ONE_SIDED
    split: str = "test"
    skip: int = 1  # every skip-th image, as in Cohen's code
    start: int = 0  # the first image
    limit: int | None = None  # at most so many images
    indices: tuple[int, ...] | None = None  # these images instead
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0
    batch_size: int | None = None

    def check(self) -> CertifyConfig:
        """Raises InvalidParameterError if a number makes no sense, whatever the data set."""
        check_sigma(self.sigma)
        check_budget(self.n0, self.n, self.alpha, parts=self.bound.parts)
        require_count("skip", self.skip)
        if self.limit is not None:
            require_count("limit", self.limit)
        if self.indices is not None and len(set(self.indices)) < len(self.indices):
            raise InvalidParameterError("An image is listed more than once.")
        if (self.strategy is None) != (self.method is Method.FIXED):
            raise InvalidParameterError(f"Method {self.method} and its strategy do not fit.")
        if self.strategy is not None:
            self.strategy.check()
        return self


@dataclass(frozen=True)
class RunStep:
    """A sign of life of a run; ``certificate`` is set when another image is finished."""

    stage: Literal["sigma", "certify"]
    done: int  # images finished, among them those of an earlier session
    total: int
    certificate: Certificate | None = None


class CertifyRun:
    """A run whose names and numbers have been checked and whose model is loaded.

    Args:
        config: what to certify.

    Attributes:
        plan: image numbers in the order in which they are certified.
        smoothed: the classifier; it knows device, precision and model digest.

    Raises:
        DDRSError: for a name or number that makes no sense, or things that do not fit.
    """

    def __init__(self, config: CertifyConfig) -> None:
        self.config = config.check()
        card = get_card(config.model)
        check_fit(card, get_dataset_info(config.dataset))
        self.dataset: Dataset = open_for_model(config.dataset, card, config.split)
        self.plan = plan_images(config, self.dataset)
        forward = NoisyForward(
            load_model(config.model, config.device),
            precision=config.precision,
            batch_size=config.batch_size,
        )
        self.smoothed = SmoothedClassifier(forward, card.num_classes)

    def steps(self, done: int = 0) -> Iterator[RunStep]:
        """Certify the planned images after the first ``done``, in order.

        A certificate's ``seconds`` include the image's share of choosing sigmas. Everything else
        depends on neither ``done`` nor the batch size.

        Yields:
            One :class:`RunStep` for each step of the sigma strategy and several a second while
            votes come in; one for each image carries its certificate.
        """
        for first in range(done - done % SIGMA_BATCH, len(self.plan), SIGMA_BATCH):
            indices = self.plan[first : first + SIGMA_BATCH]
            sigmas = [self.config.sigma] * len(indices)
            share = 0.0  # seconds an image
            if self.config.strategy is not None:
                sigmas, share = yield from self._choose(indices, self.config.strategy, done)
            for position, (index, sigma) in enumerate(zip(indices, sigmas, strict=True), first):
                if position >= done:
                    yield from self._certify(index, sigma, position, share)

    def _choose(
        self, indices: list[int], strategy: StrategyConfig, done: int
    ) -> Generator[RunStep, None, tuple[list[float], float]]:
        """Choose the sigmas of one batch; returns them with the seconds an image."""
        images, _ = self.dataset.tensors(indices)
        chosen: list[float] = []
        seconds, started = 0.0, time.perf_counter()
        for step in choose_sigmas(
            self.smoothed.forward,
            images,
            [self.config.sigma] * len(indices),
            strategy,
            seed=self.config.seed,
            indices=indices,
            budget=Budget(self.config.n, self.config.alpha),
        ):
            if step.chosen is not None:
                chosen = [float(sigma) for sigma in step.chosen]
            seconds += time.perf_counter() - started
            yield RunStep("sigma", done, len(self.plan))
            started = time.perf_counter()
        return chosen, seconds / len(indices)

    def _certify(self, index: int, sigma: float, position: int, share: float) -> Iterator[RunStep]:
        image, label = self.dataset[index][0], self.dataset.label(index)
        config = self.config
        seconds, started = share, time.perf_counter()
        for vote in self.smoothed.certify_steps(
            image,
            sigma=sigma,
            n0=config.n0,
            n=config.n,
            alpha=config.alpha,
            seed=config.seed,
            bound=config.bound,
            grade=Grade.UNCONDITIONAL if config.method is Method.FIXED else Grade.CONDITIONAL,
            index=index,
            label=label,
            dataset=config.dataset,
        ):
            seconds += time.perf_counter() - started
            if vote.certificate is None:
                yield RunStep("certify", position, len(self.plan))
            else:
                finished = replace(vote.certificate, seconds=seconds)
                yield RunStep("certify", position + 1, len(self.plan), finished)
            started = time.perf_counter()


def plan_images(config: CertifyConfig, dataset: Dataset) -> list[int]:
    """The images that a run certifies, in order.

    Raises:
        InvalidParameterError: if an image does not exist, or none is selected.
    """
    if config.indices is not None:
        plan = [dataset.check_index(index) for index in config.indices]
    else:
        plan = list(range(dataset.check_index(config.start), len(dataset), config.skip))
    if not plan:
        raise InvalidParameterError("No image is selected.")
    return plan[: config.limit]
