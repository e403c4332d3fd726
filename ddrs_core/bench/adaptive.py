"""How many samples adaptive certification saves, and whether its table is that of fixed N.

Every image gets its votes once. Fixed N counts them all; the adaptive rule, and as a yardstick a
beta-binomial mixture, look at the same votes and say where they would have stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import betaln

from ddrs_core.models import NoiseStream, noise_generator
from ddrs_core.runs.certify.config import CertifyConfig
from ddrs_core.runs.certify.run import CertifyRun
from ddrs_core.smoothing import Bound, CertificationBudget, StopAtRadii
from ddrs_core.smoothing.certificate import prove_radius
from ddrs_core.smoothing.confidence import (
    Floats,
    radius_cap,
    radius_one_sided,
    radius_two_sided,
)
from ddrs_core.smoothing.stopping import TABLE_RADII, predict_final_radius

_REACH = 0.8  # of what unanimous votes prove: radii beyond are left out of the table
_MIXTURE_PRIOR = (0.5, 0.5)


@dataclass(frozen=True)
class ImageVotes:
    """The votes of one image at every look."""

    index: int
    label: int | None
    candidate: int
    sigma: float
    counts: NDArray[np.int64]  # [looks, K]; after the last that was drawn they are repeated
    drawn: int


@dataclass(frozen=True)
class AdaptiveBench:
    """Shares of the samples of fixed N, and differences in points (hundredths) of the table."""

    dataset: str
    model: str
    sigma: float
    images: int
    n: int
    alpha: float
    bound: str
    sure: float
    drawn: float  # share of n that was drawn for the comparison
    radii: tuple[float, ...]
    table_fixed: tuple[float, ...]
    table_adaptive: tuple[float, ...]
    table_mixture: tuple[float, ...]
    share_adaptive: float
    share_mixture: float
    worst_adaptive: float  # points
    worst_mixture: float  # points
    acr_fixed: float
    acr_adaptive: float  # a floor


def bench_adaptive(
    config: CertifyConfig, sure: float = 0.0
) -> Iterator[ImageVotes | AdaptiveBench]:
    """Compare adaptive certification of the images of a run with fixed N, at one fixed sigma.

    Args:
        config: images, model, sigma, N and alpha.
        sure: an image is not drawn to the end once its rank among the radii is known at fixed N
            but for this probability; 0: always draw all N.

    Yields:
        The votes of each image as they come, at last the comparison.

    Raises:
        DDRSError: as for :class:`~ddrs_core.runs.certify.run.CertifyRun`.
    """
    run = CertifyRun(config)
    budget = replace(config.budget, stop=StopAtRadii())
    n, alpha = budget.n, budget.alpha
    votes = []
    for index in run.plan:
        votes.append(_draw(run, index, budget, sure))
        yield votes[-1]
    cap = float(radius_cap(config.sigma, n, alpha / budget.bound.parts))
    radii = tuple(r for r in TABLE_RADII if r <= _REACH * cap)
    ends = [_end(v, budget) for v in votes]
    fixed = [_radius(v, len(budget.looks) - 1, alpha, budget.bound) for v in votes]
    adaptive = [
        _radius(v, end, budget.spent(budget.looks[end]), budget.bound)
        for v, end in zip(votes, ends, strict=True)
    ]
    mixture_ends, mixture = _mixture(votes, budget)
    tables = [_table(votes, found, radii) for found in (fixed, adaptive, mixture)]
    correct = np.array([v.candidate == v.label for v in votes])
    looks = np.array(budget.looks)
    yield AdaptiveBench(
        dataset=config.dataset,
        model=config.model,
        sigma=config.sigma,
        images=len(votes),
        n=n,
        alpha=alpha,
        bound=budget.bound.value,
        sure=sure,
        drawn=float(np.mean([v.drawn for v in votes]) / n),
        radii=radii,
        table_fixed=tables[0],
        table_adaptive=tables[1],
        table_mixture=tables[2],
        share_adaptive=float(looks[ends].mean() / n),
        share_mixture=float(looks[mixture_ends].mean() / n),
        worst_adaptive=_worst(tables[1], tables[0]),
        worst_mixture=_worst(tables[2], tables[0]),
        acr_fixed=float((correct * fixed).mean()),
        acr_adaptive=float((correct * adaptive).mean()),
    )


def _draw(run: CertifyRun, index: int, budget: CertificationBudget, sure: float) -> ImageVotes:
    config, forward = run.config, run.smoothed.forward
    image, sigma = run.dataset[index][0].unsqueeze(0), torch.tensor([config.sigma])

    def stream(stage: str, n: int) -> list[NoiseStream]:
        generator = noise_generator(budget.seed, index, stage, forward.device)
        return [NoiseStream(generator, tuple(image.shape[1:]), n)]

    def count(n: int, streams: list[NoiseStream]) -> NDArray[np.int64]:
        steps = forward.vote_steps(image, sigma, n, streams, report_every=None)
        return [step.counts for step in steps][-1][0]

    candidate = int(count(budget.n0, stream("select", budget.n0)).argmax())
    votes, rows, done = stream("estimate", budget.n), [], 0
    total = np.zeros(run.smoothed.num_classes, dtype=np.int64)
    for look in budget.looks:
        total = total + count(look - done, votes)
        done = look
        rows.append(total)
        if sure and look < budget.n and _is_sure(total, candidate, config, sure):
            break
    rows += [total] * (len(budget.looks) - len(rows))
    return ImageVotes(
        index, run.dataset.label(index), candidate, config.sigma, np.stack(rows), done
    )


def _is_sure(counts: NDArray[np.int64], candidate: int, config: CertifyConfig, sure: float) -> bool:
    """Whether the rank at fixed N among all radii is known, but for probability ``sure``."""
    budget, votes = config.budget, counts.tolist()
    part = sure / (2 * budget.bound.parts)
    most, least = (
        predict_final_radius(
            votes, candidate, config.sigma, budget.n, budget.alpha, budget.bound, tail
        )
        for tail in (part, 1 - part)
    )
    return _place(most) == _place(least)


def _place(radius: float) -> int:
    """How many of the table's radii are certified."""
    return sum(radius >= r if r else radius > 0 for r in TABLE_RADII)


def _end(votes: ImageVotes, budget: CertificationBudget) -> int:
    """The look at which the adaptive rule stops."""
    for look, counts in enumerate(votes.counts):
        if counts.sum() < budget.looks[look] or budget.stops(
            counts.tolist(), votes.candidate, votes.sigma
        ):
            return look
    return len(votes.counts) - 1


def _radius(votes: ImageVotes, look: int, alpha: float, bound: Bound) -> float:
    counts = votes.counts[look].tolist()
    return prove_radius(counts, votes.candidate, votes.sigma, alpha, bound).radius


def _mixture(
    votes: Sequence[ImageVotes], budget: CertificationBudget
) -> tuple[list[int], list[float]]:
    """The same rule with a beta-binomial mixture (Robbins): where it stops, and what it proves."""
    alpha, bound, stop = budget.alpha, budget.bound, StopAtRadii()
    ends, radii = [], []
    for v in votes:
        for look, counts in enumerate(v.counts):
            n, proved = int(counts.sum()), _mixture_radius(v, look, alpha, bound)
            possible = (
                predict_final_radius(counts.tolist(), v.candidate, v.sigma, budget.n, alpha, bound)
                if n < budget.n
                else 0.0
            )
            cap = float(radius_cap(v.sigma, budget.n, alpha / bound.parts))
            stops = n >= budget.n or n < budget.looks[look]
            if stops or stop.is_settled(proved, possible, cap):
                break
        ends.append(look)
        radii.append(proved)
    return ends, radii


def _mixture_radius(votes: ImageVotes, look: int, alpha: float, bound: Bound) -> float:
    counts, share = votes.counts[look], alpha / bound.parts
    held, n = int(counts[votes.candidate]), int(counts.sum())
    p_lower = _mixture_bound(held, n, share)
    if bound is Bound.ONE_SIDED:
        return float(radius_one_sided(votes.sigma, p_lower))
    other = int(np.delete(counts, votes.candidate).max())
    p_other = 1 - _mixture_bound(n - other, n, share)
    return float(radius_two_sided(votes.sigma, p_lower, p_other))


def _mixture_bound(held: int, n: int, alpha: float) -> float:
    """The lower end of the confidence sequence of a beta prior, by bisection in p."""
    a, b = _MIXTURE_PRIOR
    evidence = betaln(held + a, n - held + b) - betaln(a, b) + np.log(alpha)
    low, high = 0.0, held / n
    for _ in range(60):
        p = (low + high) / 2
        likelihood = held * np.log(max(p, 1e-300)) + (n - held) * np.log1p(-min(p, 1 - 1e-16))
        low, high = (p, high) if likelihood < evidence else (low, p)
    return low


def _table(
    votes: Sequence[ImageVotes], found: Sequence[float], radii: Sequence[float]
) -> tuple[float, ...]:
    correct = np.array([v.candidate == v.label for v in votes])
    proved: Floats = np.array(found)
    return tuple(float((correct & (proved >= r if r else proved > 0)).mean()) for r in radii)


def _worst(table: Sequence[float], reference: Sequence[float]) -> float:
    return 100 * max(abs(a - b) for a, b in zip(table, reference, strict=True))
