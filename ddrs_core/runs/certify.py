"""Certify images of a data set: what is asked for, and the run as a generator."""

from __future__ import annotations

import time
from collections.abc import Container, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Literal, NoReturn

from ddrs_core.data import Dataset, get_dataset_info
from ddrs_core.errors import InvalidParameterError, require_count, unknown_name
from ddrs_core.models import NoisyForward, check_fit, get_card, load_model, open_for_model
from ddrs_core.smoothing import (
    AdaptiveSamples,
    Bound,
    Budget,
    Certificate,
    FixedSamples,
    Grade,
    Looks,
    Samples,
    SmoothedClassifier,
    StopRule,
    StrategyConfig,
    certify_together,
    choose_sigmas,
)
from ddrs_core.smoothing.confidence import check_budget, check_sigma
from ddrs_core.smoothing.stopping import rule_from_dict
from ddrs_core.smoothing.strategies import config_from_dict

BLOCK = 32  # images whose sigmas are chosen together, cut at fixed places of the plan
_VOTES_TOGETHER = {"cpu": 2048, "cuda": 65_536}  # of all images of a group, at the first look


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
    n: int = 100_000  # samples that bound the probability; the most of them with ``until``
    until: StopRule | None = None  # stop voting as soon as this is settled
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
        self.samples.check()
        return self

    @property
    def samples(self) -> Samples:
        """How many votes bound the probability of a class."""
        if self.until is None:
            return FixedSamples(self.n)
        return AdaptiveSamples(Looks(self.n), self.until)

    @property
    def grade(self) -> Grade:
        """What the radii are worth."""
        return Grade.UNCONDITIONAL if self.method is Method.FIXED else Grade.CONDITIONAL

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CertifyConfig:
        """The inverse of :meth:`to_dict`, also after a way through JSON.

        Raises:
            InvalidParameterError: if it is something else.
        """
        try:
            strategy, until, indices = data["strategy"], data["until"], data["indices"]
            return cls(
                **{
                    **data,
                    "method": Method(data["method"]),
                    "bound": Bound(data["bound"]),
                    "strategy": None if strategy is None else config_from_dict(strategy),
                    "until": None if until is None else rule_from_dict(until),
                    "indices": None if indices is None else tuple(int(i) for i in indices),
                }
            ).check()
        except (KeyError, TypeError) as error:
            raise InvalidParameterError(
                f"The settings of the run cannot be read: {error}."
            ) from None


@dataclass(frozen=True)
class RunStep:
    """A sign of life of a run; ``certificate`` is set when another image is finished."""

    stage: Literal["sigma", "certify"]
    place: int  # in the plan: of the certificate, else of the first image of the batch
    certificate: Certificate | None = None
    votes: int = 0  # drawn since the last step


class CertifyRun:
    """A run whose names and numbers have been checked and whose model is loaded.

    Args:
        config: what to certify.
        like: a run on the same model, images and device, whose loaded things are shared.

    Attributes:
        plan: image numbers in the order in which they are certified.
        smoothed: the classifier; it knows device, precision and model digest.

    Raises:
        DDRSError: for a name or number that makes no sense, or things that do not fit.
    """

    dataset: Dataset
    smoothed: SmoothedClassifier

    def __init__(self, config: CertifyConfig, like: CertifyRun | None = None) -> None:
        self.config = config.check()
        if like is not None and _things(like.config) == _things(config):
            self.dataset, self.smoothed = like.dataset, like.smoothed
            self.plan = plan_images(config, self.dataset)
        else:
            self.dataset, self.plan = open_plan(config)
            forward = NoisyForward(
                load_model(config.model, config.device),
                precision=config.precision,
                batch_size=config.batch_size,
            )
            self.smoothed = SmoothedClassifier(forward, get_card(config.model).num_classes)

    def steps(self, done: int = 0) -> Iterator[RunStep]:
        """Certify the planned images after the first ``done``, in order.

        A certificate's ``seconds`` include the image's share of choosing sigmas. Everything else
        depends on neither ``done`` nor the batch size.

        Yields:
            One :class:`RunStep` for each step of the sigma strategy and several a second while
            votes come in; one for each image carries its certificate.
        """
        for first in self.blocks:
            yield from self.block(first, range(done))

    @property
    def blocks(self) -> range:
        """Where the blocks of images begin in the plan."""
        return range(0, len(self.plan), BLOCK)

    def block(self, first: int, done: Container[int] = ()) -> Iterator[RunStep]:
        """The part of :meth:`steps` for the images from ``first``, one of :attr:`blocks`.

        Sigmas are chosen for the whole block and votes are counted for whole groups, even if only
        one image is missing: in other company a network rounds differently.

        Args:
            first: place of the block in the plan.
            done: places in the plan whose certificates are there already.
        """
        indices = self.plan[first : first + BLOCK]
        places = range(first, first + len(indices))
        if all(place in done for place in places):
            return
        sigmas = [self.config.sigma] * len(indices)
        share = 0.0  # seconds an image
        if self.config.strategy is not None:
            sigmas, share = yield from self._choose(indices, self.config.strategy, first)
        size = images_together(self.config.samples, self.smoothed.forward.device.type)
        for start in range(0, len(indices), size):
            rows = slice(start, start + size)
            if not all(place in done for place in places[rows]):
                yield from self._certify(indices[rows], sigmas[rows], places[rows], share, done)

    def _choose(
        self, indices: list[int], strategy: StrategyConfig, first: int
    ) -> Generator[RunStep, None, tuple[list[float], float]]:
        """Choose the sigmas of one block; returns them with the seconds an image."""
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
            yield RunStep("sigma", first)
            started = time.perf_counter()
        return chosen, seconds / len(indices)

    def _certify(
        self,
        indices: list[int],
        sigmas: list[float],
        places: range,
        share: float,
        done: Container[int],
    ) -> Iterator[RunStep]:
        """Certify one group; the certificates of those that are not done come in order."""
        config, before = self.config, 0
        images, _ = self.dataset.tensors(indices)
        for step in certify_together(
            self.smoothed,
            images,
            sigmas=sigmas,
            samples=config.samples,
            n0=config.n0,
            alpha=config.alpha,
            seed=config.seed,
            bound=config.bound,
            grade=config.grade,
            indices=indices,
            labels=[self.dataset.label(index) for index in indices],
            dataset=config.dataset,
        ):
            votes, before = step.votes - before, step.votes
            if not step.certificates:
                yield RunStep("certify", places[0], votes=votes)
            for place, certificate in zip(places, step.certificates, strict=False):
                if place not in done:
                    finished = replace(certificate, seconds=certificate.seconds + share)
                    yield RunStep("certify", place, finished, votes)
                    votes = 0


def interleave(
    runs: Sequence[CertifyRun], done: Sequence[Container[int]]
) -> Iterator[tuple[int, RunStep]]:
    """Several runs over the same images, block by block, so that all of them grow together.

    Args:
        runs: they must have the same number of images.
        done: for each of them the places whose certificates are there already.

    Yields:
        The number of the run, and its step.
    """
    for first in runs[0].blocks:
        for number, run in enumerate(runs):
            for step in run.block(first, done[number]):
                yield number, step


def images_together(samples: Samples, device_type: str) -> int:
    """How many images share batches: a power of two up to ``BLOCK``, which depends on nothing
    that may change between two sessions of a run."""
    votes = _VOTES_TOGETHER.get(device_type, _VOTES_TOGETHER["cpu"])
    fits = min(BLOCK, max(1, votes // samples.places[0]))
    return 1 << (fits.bit_length() - 1)


def _things(config: CertifyConfig) -> tuple[object, ...]:
    """What must agree for two runs to share a loaded model and images."""
    return (
        config.dataset, config.split, config.model, config.device, config.precision,
        config.batch_size,
    )  # fmt: skip


def open_plan(config: CertifyConfig) -> tuple[Dataset, list[int]]:
    """The images of a run and its plan, without the model.

    Raises:
        DDRSError: for a name or number that makes no sense, or things that do not fit.
    """
    card = get_card(config.check().model)
    check_fit(card, get_dataset_info(config.dataset))
    dataset = open_for_model(config.dataset, card, config.split)
    return dataset, plan_images(config, dataset)


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
