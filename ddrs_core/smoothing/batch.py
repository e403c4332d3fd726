"""Certify several images at once: their noisy copies share batches, and each stops by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import NoiseStream, noise_generator
from ddrs_core.quantities import counted
from ddrs_core.smoothing.certificate import ABSTAIN, Bound, Certificate, Grade, prove_radius
from ddrs_core.smoothing.classifier import SmoothedClassifier
from ddrs_core.smoothing.confidence import check_budget, check_sigma
from ddrs_core.smoothing.stopping import Samples


@dataclass(frozen=True)
class GroupProgress:
    """A sign of life; ``certificates`` holds those of all images in the last one."""

    votes: int  # drawn so far, of all images together
    certificates: tuple[Certificate, ...] = ()


def certify_together(
    smoothed: SmoothedClassifier,
    images: Tensor,
    *,
    sigmas: Sequence[float],
    samples: Samples,
    n0: int = 100,
    alpha: float = 0.001,
    seed: int = 0,
    bound: Bound = Bound.ONE_SIDED,
    grade: Grade = Grade.UNCONDITIONAL,
    indices: Sequence[int] | None = None,
    labels: Sequence[int | None] | None = None,
    dataset: str | None = None,
) -> Iterator[GroupProgress]:
    """Certify M images (Cohen et al., CERTIFY), each with its own sigma and its own noise.

    An image meets the noise that it would meet alone: ``samples`` votes are the first of those
    that any larger number would bring. ``seconds`` of a certificate are its share of the time.

    Args:
        smoothed: the classifier.
        images: [M, C, H, W], pixels in [0, 1].
        sigmas: noise level of each image, in pixel units.
        samples: how many votes bound the probability: a fixed number, or until settled.
        n0: samples that choose the class.
        alpha: probability of a wrong certificate, for each image.
        seed, indices: determine the noise; indices 0 to M - 1 when omitted.
        bound, grade, labels, dataset: as for ``SmoothedClassifier.certify_steps``.

    Yields:
        :class:`GroupProgress`, several a second; the last carries the certificates, [M].

    Raises:
        InvalidParameterError, MismatchError: for arguments that make no sense.
    """
    levels = [check_sigma(float(s)) for s in sigmas]
    check_budget(n0, samples.check().n_max, alpha, parts=bound.parts)
    smoothed.forward.check_images(images)
    numbers = list(range(len(images))) if indices is None else [int(i) for i in indices]
    known: list[int | None] = [None] * len(images) if labels is None else list(labels)
    if not len(images) == len(levels) == len(numbers) == len(known):
        raise InvalidParameterError(
            "Each image needs a sigma, an index and a label: there are "
            f"{counted(len(images), 'image')}, but {len(levels)}, {len(numbers)} and {len(known)}."
        )
    group = _Group(smoothed, images, levels, numbers, seed)
    return _certify(group, samples, n0, alpha, bound, grade, known, dataset)


class _Group:
    """Images with the streams of noise that their votes come from."""

    def __init__(
        self,
        smoothed: SmoothedClassifier,
        images: Tensor,
        sigmas: list[float],
        indices: list[int],
        seed: int,
    ) -> None:
        self.forward = smoothed.forward
        self.images, self.sigmas, self.indices, self.seed = images, sigmas, indices, seed
        self.classes = smoothed.num_classes
        self.seconds = np.zeros(len(images))
        self.votes = 0

    def streams(self, stage: str, n: int) -> list[NoiseStream]:
        """One stream an image, which can give n samples."""
        device, shape = self.forward.device, tuple(self.images.shape[1:])
        return [
            NoiseStream(noise_generator(self.seed, index, stage, device), shape, n)
            for index in self.indices
        ]

    def count(
        self, rows: list[int], n: int, streams: list[NoiseStream], into: np.ndarray
    ) -> Iterator[GroupProgress]:
        """Add n votes of each of some images to ``into`` [M, K]."""
        started = time.perf_counter()
        before = self.votes
        for votes in self.forward.vote_steps(
            self.images[rows],
            torch.tensor([self.sigmas[row] for row in rows]),
            n,
            [streams[row] for row in rows],
        ):
            self.seconds[rows] += (time.perf_counter() - started) / len(rows)
            self.votes = before + votes.done
            if votes.done == votes.total:
                into[rows] += votes.counts
            yield GroupProgress(self.votes)
            started = time.perf_counter()


def _certify(
    group: _Group,
    samples: Samples,
    n0: int,
    alpha: float,
    bound: Bound,
    grade: Grade,
    labels: list[int | None],
    dataset: str | None,
) -> Iterator[GroupProgress]:
    everyone = list(range(len(group.images)))
    selected = np.zeros((len(everyone), group.classes), dtype=np.int64)
    yield from group.count(everyone, n0, group.streams("select", n0), selected)
    candidates = selected.argmax(axis=1)
    counts = np.zeros_like(selected)
    streams = group.streams("estimate", samples.n_max)
    active, done = everyone, 0
    for place in samples.places:
        yield from group.count(active, place - done, streams, counts)
        done = place
        active = [
            row
            for row in active
            if not samples.stops(
                counts[row].tolist(), int(candidates[row]), group.sigmas[row], alpha, bound
            )
        ]
        if not active:
            break
    execution = group.forward.execution(group.images.shape[1:])
    certificates = []
    for row in everyone:
        votes, candidate = tuple(counts[row].tolist()), int(candidates[row])
        n, sigma = sum(votes), group.sigmas[row]
        proof = prove_radius(votes, candidate, sigma, samples.spent(n, alpha), bound)
        certificates.append(
            Certificate(
                dataset=dataset,
                index=group.indices[row],
                label=labels[row],
                prediction=candidate if proof.radius > 0 else ABSTAIN,
                radius=proof.radius,
                sigma=sigma,
                grade=grade,
                counts=votes,
                n0=n0,
                n=n,
                alpha=alpha,
                bound=bound,
                p_lower=proof.p_lower,
                seed=group.seed,
                precision=group.forward.precision,
                model=group.forward.digest,
                seconds=float(group.seconds[row]),
                candidate=candidate,
                schedule=samples.schedule,
                execution=execution,
            )
        )
    yield GroupProgress(group.votes, tuple(certificates))
