"""The smoothed classifier g: certify and predict by voting over Gaussian noise.

Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing" (ICML
2019), algorithms CERTIFY and PREDICT.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError, MismatchError
from ddrs_core.models import NoisyForward, VoteCounts, noise_generator
from ddrs_core.smoothing.certificate import ABSTAIN, Bound, Certificate, Grade, prove_radius
from ddrs_core.smoothing.confidence import (
    binomial_p_value,
    check_alpha,
    check_budget,
    check_sigma,
    interval,
)


@dataclass(frozen=True)
class VoteProgress:
    """Votes so far. The interval is pointwise, for watching: only the certificate, which looks
    once, at the end, proves anything.
    """

    stage: Literal["select", "estimate"]
    done: int
    total: int
    counts: tuple[int, ...]  # [K]
    candidate: int  # the leading class, later the class that is being certified
    p_low: float  # two-sided Clopper-Pearson interval at alpha for the candidate
    p_high: float
    certificate: Certificate | None = None  # the last step only


class SmoothedClassifier:
    """g(x) = the class that f most often gives to x + sigma * eps, eps ~ N(0, I).

    Args:
        f: base classifier, [B, C, H, W] with pixels in [0, 1] -> logits [B, K], in eval mode; or
            a :class:`~ddrs_core.models.NoisyForward` that is shared with others.
        num_classes: K.
        precision: ``fp32``, ``bf16`` or ``auto`` (the model card's, where it is native here).
            The network in that precision is the one that is certified.
        batch_size: samples a batch; chosen from the input size when omitted.
    """

    def __init__(
        self,
        f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
        num_classes: int,
        *,
        precision: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        self.forward = as_forward(f, num_classes, precision=precision, batch_size=batch_size)
        self.num_classes = num_classes

    def certify(
        self,
        x: Tensor,
        *,
        sigma: float,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        seed: int = 0,
        bound: Bound | str = Bound.ONE_SIDED,
        grade: Grade | str = Grade.UNCONDITIONAL,
        index: int | None = None,
        label: int | None = None,
        dataset: str | None = None,
    ) -> Certificate:
        """Certify one image; the arguments are those of :meth:`certify_steps`."""
        certificate = None
        for step in self.certify_steps(
            x,
            sigma=sigma,
            n0=n0,
            n=n,
            alpha=alpha,
            seed=seed,
            bound=bound,
            grade=grade,
            index=index,
            label=label,
            dataset=dataset,
        ):
            certificate = step.certificate
        assert certificate is not None
        return certificate

    def certify_steps(
        self,
        x: Tensor,
        *,
        sigma: float,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        seed: int = 0,
        bound: Bound | str = Bound.ONE_SIDED,
        grade: Grade | str = Grade.UNCONDITIONAL,
        index: int | None = None,
        label: int | None = None,
        dataset: str | None = None,
    ) -> Iterator[VoteProgress]:
        """Certify one image, watching the votes come in (Cohen et al., CERTIFY).

        With probability at least 1 - alpha over the noise, if a class is certified, g gives it to
        every image within the radius, g being f smoothed with this sigma.

        Args:
            x: image [C, H, W], pixels in [0, 1].
            sigma: noise level in pixel units.
            n0: samples that choose the class.
            n: fresh samples that bound its probability.
            alpha: probability of a wrong certificate.
            seed: run seed; with ``index`` it determines the noise.
            bound: one-sided (p_A alone) or two-sided (p_A and p_B, alpha/2 each).
            grade: what the radius is worth; ``CONDITIONAL`` when sigma was chosen for this x.
            index, label, dataset: recorded; the index also selects the noise (None counts as 0).

        Yields:
            :class:`VoteProgress`, several a second; the last one carries the certificate.

        Raises:
            InvalidParameterError, MismatchError: for arguments that make no sense.
        """
        bound, grade = Bound(bound), Grade(grade)
        sigma = check_sigma(sigma)
        check_budget(n0, n, alpha, parts=bound.parts)
        image = as_batch(x)
        self.forward.check_images(image)
        return self._certify(image, sigma, n0, n, alpha, seed, bound, grade, index, label, dataset)

    def _certify(
        self,
        image: Tensor,
        sigma: float,
        n0: int,
        n: int,
        alpha: float,
        seed: int,
        bound: Bound,
        grade: Grade,
        index: int | None,
        label: int | None,
        dataset: str | None,
    ) -> Iterator[VoteProgress]:
        started = time.perf_counter()
        candidate = ABSTAIN
        counts: tuple[int, ...] = ()
        stages: tuple[tuple[Literal["select", "estimate"], int], ...] = (
            ("select", n0),
            ("estimate", n),
        )
        for stage, samples in stages:
            for votes in self._count(image, sigma, samples, seed, index, stage):
                counts = tuple(int(c) for c in votes.counts[0])
                watched = candidate if stage == "estimate" else int(np.argmax(counts))
                low, high = interval(counts[watched], votes.done, alpha)
                progress = VoteProgress(
                    stage, votes.done, samples, counts, watched, float(low), float(high)
                )
                if stage == "select" or votes.done < samples:
                    yield progress
            if stage == "select":
                candidate = progress.candidate
        proof = prove_radius(counts, candidate, sigma, alpha, bound)
        certificate = Certificate(
            dataset=dataset,
            index=index,
            label=label,
            prediction=candidate if proof.radius > 0 else ABSTAIN,
            radius=proof.radius,
            sigma=sigma,
            grade=grade,
            counts=counts,
            n0=n0,
            n=n,
            alpha=alpha,
            bound=bound,
            p_lower=proof.p_lower,
            seed=seed,
            precision=self.forward.precision,
            model=self.forward.digest,
            seconds=time.perf_counter() - started,
            candidate=candidate,
            execution=self.forward.execution(image.shape[1:]),
        )
        yield VoteProgress(
            "estimate", n, n, counts, candidate, progress.p_low, progress.p_high, certificate
        )

    def predict(
        self,
        x: Tensor,
        *,
        sigma: float,
        n: int = 1_000,
        alpha: float = 0.001,
        seed: int = 0,
        index: int | None = None,
    ) -> int:
        """The class of g at ``x`` [C, H, W], or ``ABSTAIN`` (-1) (Cohen et al., PREDICT).

        The answer differs from g(x) with probability at most alpha.

        Raises:
            InvalidParameterError, MismatchError: for arguments that make no sense.
        """
        sigma = check_sigma(sigma)
        check_alpha(alpha)
        if n < 1:
            raise InvalidParameterError(f"N must be at least 1, not {n}.")
        votes = list(self._count(as_batch(x), sigma, n, seed, index, "predict"))[-1].counts[0]
        second, first = np.argsort(votes, kind="stable")[-2:]
        p_value = binomial_p_value(int(votes[first]), int(votes[second]))
        return int(first) if p_value <= alpha else ABSTAIN

    def _count(
        self, image: Tensor, sigma: float, n: int, seed: int, index: int | None, stage: str
    ) -> Iterator[VoteCounts]:
        generator = noise_generator(seed, index or 0, stage, self.forward.device)
        return self.forward.vote_steps(image, torch.tensor([sigma]), n, [generator])


def as_forward(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    num_classes: int | None = None,
    *,
    precision: str = "auto",
    batch_size: int | None = None,
) -> NoisyForward:
    """Wrap a classifier for fast sampling, unless it is wrapped already."""
    if isinstance(f, NoisyForward):
        return f
    return NoisyForward(f, num_classes, precision=precision, batch_size=batch_size)


def as_batch(x: Tensor) -> Tensor:
    """View one image [C, H, W] as a batch [1, C, H, W].

    Raises:
        MismatchError: if it has another number of dimensions.
    """
    if x.ndim != 3:
        raise MismatchError(f"One image of shape [C, H, W] is expected, not {list(x.shape)}.")
    return x.unsqueeze(0)
