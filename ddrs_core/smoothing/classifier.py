"""The smoothed classifier g: certify and predict by voting over Gaussian noise.

Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing" (ICML
2019), algorithms CERTIFY and PREDICT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError, MismatchError
from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.quantities import counted
from ddrs_core.smoothing.budget import BudgetNumbers, CertificationBudget
from ddrs_core.smoothing.certificate import ABSTAIN, Bound, Certificate
from ddrs_core.smoothing.confidence import binomial_p_value, check_sigma, check_test
from ddrs_core.smoothing.grade import Grade
from ddrs_core.smoothing.voting import BatchProgress, Counts, ImageBatch, StageVotes, VoteProgress


class SmoothedClassifier:
    """g(x) = the class that f most often gives to x + sigma * eps, eps ~ N(0, I).

    Args:
        f: base classifier, [B, C, H, W] with pixels in [0, 1] -> logits [B, K], in eval mode; or
            a :class:`~ddrs_core.models.NoisyForward` that is shared with others.
        num_classes: K.
        precision: ``fp32``, ``bf16`` or ``auto`` (the model card's, where it is native here).
            The network in that precision is the one that is certified.
        batch_size: samples a batch; chosen from the input size when omitted.

    >>> f = lambda x: torch.stack([2 - x.sum((1, 2, 3)), x.sum((1, 2, 3)) - 2], dim=1)
    >>> g = SmoothedClassifier(f, num_classes=2)
    >>> x = torch.full((1, 2, 2), 0.75)  # of class 1, 0.5 from the plane between the classes
    >>> g.predict(x, sigma=0.25)
    1
    >>> certificate = g.certify(x, sigma=0.25, n=10_000)
    >>> certificate.prediction, 0.45 < certificate.radius < 0.5
    (1, True)
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
        bound: Bound | str = Bound.TWO_SIDED,
        grade: Grade | str = Grade.UNCONDITIONAL,
        index: int | None = None,
        label: int | None = None,
        dataset: str | None = None,
    ) -> Certificate:
        """Certify one image (Cohen et al., CERTIFY).

        With probability at least 1 - alpha over the noise, if a class is certified, g gives it to
        every image within the radius, g being f smoothed with this sigma.

        Args:
            x: image [C, H, W], pixels in [0, 1].
            sigma: noise level in pixel units.
            n0: samples that choose the class.
            n: fresh samples that bound its probability.
            alpha: probability of a wrong certificate.
            seed: run seed; with ``index`` it determines the noise.
            bound: two-sided (p_A and p_B, alpha/2 each) or one-sided (p_A alone, as in the paper).
            grade: what the radius is worth; ``CONDITIONAL`` when sigma was chosen for this x.
            index, label, dataset: recorded; the index also selects the noise (None counts as 0).

        Raises:
            InvalidParameterError, MismatchError: for arguments that make no sense.
        """
        *_, last = self.certify_steps(
            x,
            sigma=sigma,
            grade=grade,
            index=index,
            label=label,
            dataset=dataset,
            budget=CertificationBudget(n0, n, alpha, Bound(bound), seed=seed),
        )
        assert last.certificate is not None
        return last.certificate

    def certify_steps(
        self,
        x: Tensor,
        *,
        sigma: float,
        budget: CertificationBudget | None = None,
        grade: Grade | str = Grade.UNCONDITIONAL,
        index: int | None = None,
        label: int | None = None,
        dataset: str | None = None,
        **numbers: Unpack[BudgetNumbers],
    ) -> Iterator[VoteProgress]:
        """As :meth:`certify`, watching the votes come in.

        The budget may be given as a whole, or by the keyword arguments of :meth:`certify`.

        Yields:
            :class:`VoteProgress`, several a second; the last one carries the certificate.
        """
        budget = CertificationBudget.of(budget, **numbers).check()
        steps = self.certify_batch(
            as_batch(x),
            sigmas=[sigma],
            budget=budget,
            grade=grade,
            indices=[index],
            labels=[label],
            dataset=dataset,
        )
        return (VoteProgress.of_one(step, budget) for step in steps)

    def certify_batch(
        self,
        images: Tensor,
        *,
        sigmas: Sequence[float],
        budget: CertificationBudget,
        grade: Grade | str = Grade.UNCONDITIONAL,
        indices: Sequence[int | None] | None = None,
        labels: Sequence[int | None] | None = None,
        dataset: str | None = None,
        skip_wrong: bool = False,
    ) -> Iterator[BatchProgress]:
        """Certify M images (Cohen et al., CERTIFY), each with its own sigma and its own noise.

        The images share batches, and each stops by itself. An image sees the same noise as it
        would alone, and the votes of a short run are the first ones of a longer run. ``seconds``
        of a certificate are its share of the time.

        Args:
            images: [M, C, H, W], pixels in [0, 1].
            sigmas: noise level of each image, in pixel units.
            budget: votes and failure probability of each image.
            grade: what the radii are worth.
            indices, labels, dataset: recorded; an index also selects the noise (None counts as
                0). Indices are 0 to M - 1 when omitted.
            skip_wrong: draw no votes for images whose guessed class is not their label; they
                abstain. Certified accuracy and the average certified radius stay the same.

        Yields:
            :class:`BatchProgress`, several a second; the last carries the certificates, [M].

        Raises:
            InvalidParameterError, MismatchError: for arguments that make no sense.

        >>> from ddrs_core.smoothing import StopAtRadii
        >>> f = lambda x: torch.stack([2 - x.sum((1, 2, 3)), x.sum((1, 2, 3)) - 2], dim=1)
        >>> images = torch.stack([torch.full((1, 2, 2), pixel) for pixel in (0.4, 0.5, 0.75)])
        >>> budget = CertificationBudget(n=10_000, stop=StopAtRadii((0.0, 0.25)))
        >>> *_, last = SmoothedClassifier(f, 2).certify_batch(
        ...     images, sigmas=[0.25] * 3, budget=budget
        ... )
        >>> [c.prediction for c in last.certificates]  # the second lies on the plane
        [0, -1, 1]
        >>> last.certificates[2].n < budget.n
        True
        """
        levels = [check_sigma(float(s)) for s in sigmas]
        self.forward.check_images(images)
        numbers: list[int | None] = [*(range(len(images)) if indices is None else indices)]
        known: list[int | None] = [None] * len(images)
        if labels is not None:
            known = list(labels)
        if not len(images) == len(levels) == len(numbers) == len(known):
            raise InvalidParameterError(
                "Each image needs a sigma, an index and a label: there are "
                f"{counted(len(images), 'image')}, but {len(levels)}, {len(numbers)} and "
                f"{len(known)}."
            )
        batch = ImageBatch(self.forward, images, levels, numbers, known, dataset, Grade(grade))
        return self._certify(batch, budget.check(), skip_wrong)

    def _certify(
        self, batch: ImageBatch, budget: CertificationBudget, skip_wrong: bool
    ) -> Iterator[BatchProgress]:
        # Guess the class from N0 samples.
        select = StageVotes(batch, self.num_classes, budget.seed, "select", budget.n0)
        everyone = list(range(len(batch.images)))
        for counts in select.draw(everyone, budget.n0):
            yield BatchProgress("select", int(counts.sum()), counts, counts.argmax(axis=1))
        candidates = select.counts.argmax(axis=1)
        yield BatchProgress("select", select.drawn, select.counts, candidates)

        # Bound its probability by up to N fresh ones.
        estimate = StageVotes(batch, self.num_classes, budget.seed, "estimate", budget.n)
        active, votes = everyone, select.drawn
        if skip_wrong:
            active = [row for row in everyone if candidates[row] == batch.labels[row]]
        for done, look in pairwise((0, *budget.looks)):
            if not active:
                break
            for counts in estimate.draw(active, look - done):
                votes = select.drawn + int(counts.sum())
                yield BatchProgress("estimate", votes, counts, candidates)
            active = [
                row
                for row in active
                if not budget.stops(
                    estimate.counts[row].tolist(), int(candidates[row]), batch.sigmas[row]
                )
            ]
            votes = select.drawn + estimate.drawn
            if active:
                yield BatchProgress("estimate", votes, estimate.counts, candidates)
        seconds = select.seconds + estimate.seconds
        found = batch.certificates(budget, candidates, estimate.counts, seconds)
        yield BatchProgress("estimate", votes, estimate.counts, candidates, tuple(found))

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
            InvalidParameterError, MismatchError: for arguments that make no sense, such as an n
                of which even unanimous votes would be an abstention.
        """
        sigma = check_sigma(sigma)
        check_test(n, alpha)
        generator = noise_generator(seed, index or 0, "predict", self.forward.device)
        votes = self.forward.votes(as_batch(x), torch.tensor([sigma]), n, [generator])[0]  # [K]
        return predicted_class(votes, alpha)


def predicted_class(votes: Counts, alpha: float) -> int:
    """The class that leads the votes [K] beyond chance, or ``ABSTAIN`` (Cohen et al., PREDICT)."""
    second, first = np.argsort(votes, kind="stable")[-2:]
    p_value = binomial_p_value(int(votes[first]), int(votes[second]))
    return int(first) if p_value <= alpha else ABSTAIN


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
