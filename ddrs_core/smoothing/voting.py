"""Votes of several images: their noisy copies share batches, each with its own sigma and noise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.models import NoiseStream, NoisyForward, noise_generator
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import ABSTAIN, Certificate, Proof, prove_radius
from ddrs_core.smoothing.confidence import Floats, interval
from ddrs_core.smoothing.grade import Grade

Counts = NDArray[np.int64]
Stage = Literal["select", "estimate"]


@dataclass(frozen=True)
class BatchProgress:
    """Votes of M images so far; ``certificates`` holds those of all images in the last one."""

    stage: Stage
    votes: int  # drawn so far, of all images and both stages
    counts: Counts  # [M, K], of this stage
    candidates: Counts  # [M], the leading classes, later those that are being certified
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True)
class VoteProgress:
    """Votes of one image so far. The interval is pointwise and for display only: nothing but the
    certificate proves a radius.
    """

    stage: Stage
    done: int
    total: int
    counts: tuple[int, ...]  # [K]
    candidate: int  # the leading class, later the class that is being certified
    p_low: float  # two-sided Clopper-Pearson interval at alpha for the candidate
    p_high: float
    certificate: Certificate | None = None  # the last step only

    @classmethod
    def of_one(cls, step: BatchProgress, budget: CertificationBudget) -> VoteProgress:
        """What a batch of one image shows."""
        counts, candidate = tuple(step.counts[0].tolist()), int(step.candidates[0])
        low, high = interval(counts[candidate], sum(counts), budget.alpha)
        return cls(
            step.stage,
            sum(counts),
            budget.n0 if step.stage == "select" else budget.n,
            counts,
            candidate,
            float(low),
            float(high),
            step.certificates[0] if step.certificates else None,
        )


@dataclass(frozen=True)
class ImageBatch:
    """M images, and what is recorded of each."""

    forward: NoisyForward
    images: Tensor  # [M, C, H, W]
    sigmas: list[float]
    indices: list[int | None]
    labels: list[int | None]
    dataset: str | None
    grade: Grade

    def certificates(
        self, budget: CertificationBudget, candidates: Counts, counts: Counts, seconds: Floats
    ) -> Iterator[Certificate]:
        """What the votes [M, K] prove about the candidates [M]."""
        execution = self.forward.execution(self.images.shape[1:])
        clean = self._without_noise(budget.seed)
        for row, votes in enumerate(counts.tolist()):
            n, candidate, sigma = sum(votes), int(candidates[row]), self.sigmas[row]
            proof = Proof(0.0, 0.0)
            if n:
                proof = prove_radius(votes, candidate, sigma, budget.spent(n), budget.bound)
            yield Certificate(
                dataset=self.dataset,
                index=self.indices[row],
                label=self.labels[row],
                prediction=candidate if proof.radius > 0 else ABSTAIN,
                radius=proof.radius,
                sigma=sigma,
                grade=self.grade,
                counts=tuple(votes),
                n0=budget.n0,
                n=n,
                alpha=budget.alpha,
                bound=budget.bound,
                p_lower=proof.p_lower,
                seed=budget.seed,
                precision=self.forward.precision,
                model=self.forward.digest,
                seconds=float(seconds[row]),
                candidate=candidate,
                schedule=budget.schedule,
                execution=execution,
                clean=int(clean[row]),
            )

    def _without_noise(self, seed: int) -> Counts:
        """The class of each image itself [M]: one vote at a noise level of 0."""
        device = self.forward.device
        noise = [noise_generator(seed, index or 0, "clean", device) for index in self.indices]
        m = len(self.images)
        classes: Counts = self.forward.votes(self.images, torch.zeros(m), 1, noise).argmax(axis=1)
        return classes


class StageVotes:
    """The votes of one stage; every image draws its noise from a stream of its own.

    Attributes:
        counts: [M, K].
        seconds: share of the time of each image, [M].
    """

    def __init__(
        self, batch: ImageBatch, num_classes: int, seed: int, stage: Stage, n: int
    ) -> None:
        self._batch, forward = batch, batch.forward
        shape = tuple(batch.images.shape[1:])
        self._streams = [
            NoiseStream(noise_generator(seed, index or 0, stage, forward.device), shape, n)
            for index in batch.indices
        ]
        self.counts = np.zeros((len(batch.images), num_classes), dtype=np.int64)
        self.seconds = np.zeros(len(batch.images))

    @property
    def drawn(self) -> int:
        """Votes of all images together."""
        return int(self.counts.sum())

    def draw(self, rows: list[int], n: int) -> Iterator[Counts]:
        """Add n votes of each of these images; yields the counts [M, K] in between."""
        started, before = time.perf_counter(), self.counts
        for votes in self._batch.forward.vote_steps(
            self._batch.images[rows],
            torch.tensor([self._batch.sigmas[row] for row in rows]),
            n,
            [self._streams[row] for row in rows],
        ):
            self.seconds[rows] += (time.perf_counter() - started) / len(rows)
            self.counts = before.copy()
            self.counts[rows] += votes.counts
            if votes.done < votes.total:
                yield self.counts
            started = time.perf_counter()
