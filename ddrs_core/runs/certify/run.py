"""Certify images of a data set: the run as a generator."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Container, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

import ddrs_core
from ddrs_core.data import Dataset, ReadImages
from ddrs_core.models import Journal, JournaledForward, NoisyForward, get_card, load_model
from ddrs_core.runs.certify.config import CertifyConfig, open_plan, plan_images
from ddrs_core.smoothing import (
    ABSTAIN,
    BatchProgress,
    Certificate,
    CertificationBudget,
    SmoothedClassifier,
    StrategyConfig,
    choose_sigmas,
)

BLOCK = 32  # images whose sigmas are chosen together, cut at fixed positions of the plan
_VOTES_TOGETHER = {"cpu": 2048, "cuda": 65_536}  # of all images of a group, at the first look


@dataclass(frozen=True)
class RunStep:
    """A sign of life of a run; ``certificate`` is set when another image is finished."""

    stage: Literal["tune", "sigma", "certify"]
    position: int  # in the plan: of the certificate, else of the first image of the batch
    certificate: Certificate | None = None
    votes: int = 0  # drawn since the last step
    note: str = ""  # how far a tuning is, for people
    message: str = ""  # a sentence to be kept: what is tuned, and what was chosen


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
            forward.pin_batch_size(self.dataset.info.shape)
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

    def block(
        self, first: int, done: Container[int] = (), journal: Journal | None = None
    ) -> Iterator[RunStep]:
        """The part of :meth:`steps` for the images from ``first``, one of :attr:`blocks`.

        Sigmas are chosen for the whole block and votes are counted for whole groups, even if only
        one image is missing: floating-point results depend on which images share a batch.

        An image that cannot be read is left out, and gets a certificate that says why.

        Args:
            first: position of the block in the plan.
            done: positions in the plan whose certificates are there already.
            journal: keeps what the network answers until all certificates are there, so that a
                run that is killed does not ask again.
        """
        indices = self.plan[first : first + BLOCK]
        positions = range(first, first + len(indices))
        if all(position in done for position in positions):
            return
        read = self.dataset.read(indices)
        sigmas = dict.fromkeys(read.indices, self.config.level)
        share = 0.0  # seconds an image
        if journal is not None:
            journal.begin(self._identity(read))
        if self.config.strategy is not None and sigmas:
            forward = self._forward(journal, "sigma")
            sigmas, share = yield from self._choose(forward, read, self.config.strategy, first)
        size = images_together(self.config.budget, self.smoothed.forward.device.type)
        for start in range(0, len(indices), size):
            group = positions[start : start + size]
            if not all(position in done for position in group):
                forward = self._forward(journal, f"group {start}")
                yield from self._certify(forward, group, read, sigmas, share, done)
            if journal is not None:
                journal.drop(f"group {start}/")
        if journal is not None:
            journal.end()

    def _forward(self, journal: Journal | None, scope: str) -> NoisyForward:
        forward = self.smoothed.forward
        return forward if journal is None else JournaledForward(forward, journal, scope)

    def _identity(self, read: ReadImages) -> str:
        """Digest of all that decides what the network answers for some images."""
        forward = self.smoothed.forward
        config = replace(self.config, indices=tuple(read.indices), limit=None, device="", bank="")
        known = (config, forward.digest, forward.precision, forward.device.type, torch.__version__)
        digest = hashlib.sha256(repr((*known, ddrs_core.__version__)).encode())
        digest.update(read.images.numpy().tobytes())
        return digest.hexdigest()

    def _choose(
        self, forward: NoisyForward, read: ReadImages, strategy: StrategyConfig, first: int
    ) -> Generator[RunStep, None, tuple[dict[int, float], float]]:
        """Choose the sigmas of one block, by image; returns them with the seconds an image."""
        chosen: dict[int, float] = {}
        seconds, started = 0.0, time.perf_counter()
        for step in choose_sigmas(
            forward,
            read.images,
            [self.config.sigma] * len(read.indices),
            strategy,
            seed=self.config.budget.seed,
            indices=read.indices,
            budget=self.config.budget,
        ):
            if step.chosen is not None:
                chosen = dict(zip(read.indices, map(float, step.chosen), strict=True))
            seconds += time.perf_counter() - started
            yield RunStep("sigma", first)
            started = time.perf_counter()
        return chosen, seconds / len(read.indices)

    def _certify(
        self,
        forward: NoisyForward,
        positions: range,
        read: ReadImages,
        sigmas: dict[int, float],
        share: float,
        done: Container[int],
    ) -> Iterator[RunStep]:
        """Certify one group; the certificates of those that are not done come in order."""
        group = {
            index: position for position in positions if (index := self.plan[position]) in sigmas
        }
        found = {
            position: self._failure(index, read.failures[index])
            for position in positions
            if (index := self.plan[position]) not in group
        }
        votes = before = 0
        for step in self._votes(forward, list(group), read, sigmas) if group else ():
            votes, before = step.votes - before, step.votes
            if not step.certificates:
                yield RunStep("certify", positions[0], votes=votes)
            for position, certificate in zip(group.values(), step.certificates, strict=False):
                found[position] = replace(certificate, seconds=certificate.seconds + share)
        for position in positions:
            if position not in done:
                yield RunStep("certify", position, found[position], votes)
                votes = 0

    def _votes(
        self, forward: NoisyForward, indices: list[int], read: ReadImages, sigmas: dict[int, float]
    ) -> Iterator[BatchProgress]:
        config, wanted = self.config, set(indices)
        rows = [row for row, index in enumerate(read.indices) if index in wanted]
        return SmoothedClassifier(forward, self.smoothed.num_classes).certify_batch(
            read.images[rows],
            sigmas=[sigmas[index] for index in indices],
            budget=config.budget,
            grade=config.grade,
            indices=indices,
            labels=[self.dataset.label(index) for index in indices],
            dataset=config.dataset,
        )

    def _failure(self, index: int, reason: str) -> Certificate:
        """What stands for the certificate of an image that cannot be read."""
        config, forward = self.config, self.smoothed.forward
        return Certificate(
            dataset=config.dataset,
            index=index,
            label=self.dataset.label(index),
            prediction=ABSTAIN,
            radius=0.0,
            sigma=config.level,
            grade=config.grade,
            counts=(0,) * self.smoothed.num_classes,
            n0=config.budget.n0,
            n=0,
            alpha=config.budget.alpha,
            bound=config.budget.bound,
            p_lower=0.0,
            seed=config.budget.seed,
            precision=forward.precision,
            model=forward.digest,
            seconds=0.0,
            failure=reason,
            execution=forward.execution(self.dataset.info.shape),
        )


def open_runs(configs: Sequence[CertifyConfig]) -> list[CertifyRun]:
    """A run for each configuration; those that can share a loaded model and images.

    Raises:
        DDRSError: as :class:`CertifyRun`.
    """
    runs: list[CertifyRun] = []
    for config in configs:
        runs.append(CertifyRun(config, like=runs[0] if runs else None))
    return runs


def interleave(
    runs: Sequence[CertifyRun],
    done: Sequence[Container[int]],
    journals: Sequence[Journal] | None = None,
) -> Iterator[tuple[int, RunStep]]:
    """Several runs over the same images, block by block, so that all of them grow together.

    Args:
        runs: they must have the same number of images.
        done: for each of them the positions whose certificates are there already.
        journals: for each of them what keeps the answers of the network, see
            :meth:`CertifyRun.block`.

    Yields:
        The number of the run, and its step.
    """
    for first in runs[0].blocks:
        for number, run in enumerate(runs):
            journal = None if journals is None else journals[number]
            for step in run.block(first, done[number], journal):
                yield number, step


def images_together(budget: CertificationBudget, device_type: str) -> int:
    """How many images share batches: a power of two up to ``BLOCK``, which depends on nothing
    that may change between two sessions of a run."""
    votes = _VOTES_TOGETHER.get(device_type, _VOTES_TOGETHER["cpu"])
    fits = min(BLOCK, max(1, votes // budget.looks[0]))
    return 1 << (fits.bit_length() - 1)


def _things(config: CertifyConfig) -> tuple[object, ...]:
    """What must agree for two runs to share a loaded model and images."""
    return (
        config.dataset,
        config.split,
        config.model,
        config.device,
        config.precision,
        config.batch_size,
    )
