"""The validated choice of sigma: fresh votes compare candidates with the start."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ddrs_core.quantities import counted
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import most_of_others, prove_radii
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.sigma.steps import SigmaTask


def expected_radius(
    held: ArrayLike, other: ArrayLike, samples: int, sigmas: Floats, budget: CertificationBudget
) -> Floats:
    """The radius that ``budget`` would probably certify, from a small number of votes.

    The shares of votes are shrunk as by Jeffreys' prior, (k + 1/2) / (n + 1), and then bounded as
    if they had been seen in all N samples; so few samples do not favour a large sigma merely
    because unanimity is easily had.

    Args:
        held: votes for the class.
        other: the most votes for any other class.
        samples: all votes.
        sigmas: noise levels.
        budget: N, alpha and the bound.
    """
    held, other = (
        (np.asarray(votes) + 0.5) / (samples + 1.0) * budget.n for votes in (held, other)
    )
    return prove_radii(held, other, budget.n, sigmas, budget.alpha, budget.bound)[1]


def select_by_validation(
    task: SigmaTask, sigma_0: Floats, candidates: Floats, samples: int
) -> tuple[Floats, tuple[str, ...]]:
    """Choose among candidate sigmas by fresh votes, in favour of sigma_0.

    Args:
        sigma_0: [M], within the bounds; its class is the one that must be kept.
        candidates: [J, M].
        samples: votes for each candidate; all see the same noise vectors.

    Returns:
        The sigma [M] with the largest promised radius among those that vote for the class at
        sigma_0, and the reasons, one an image: they speak of the levels compared here, and of no
        others. Noise used here is never used to certify.
    """
    tried = np.concatenate([sigma_0[None], candidates])  # [J + 1, M]
    votes = np.stack([task.votes(row, samples, "guard") for row in tried])  # [J + 1, M, K]
    kept_class = votes[0].argmax(axis=1)
    same = votes.argmax(axis=2) == kept_class
    held, other = (
        np.take_along_axis(numbers, kept_class[None, :, None], axis=2)[..., 0]
        for numbers in (votes, most_of_others(votes))
    )
    expected = expected_radius(held, other, samples, tried, task.budget)
    promised = np.where(same, expected, 0.0)
    best = promised.argmax(axis=0)  # the first, sigma_0, wins a tie
    reasons = tuple(_selection_reason(tried[:, i], promised[:, i]) for i in range(len(sigma_0)))
    return np.take_along_axis(tried, best[None], axis=0)[0], reasons


def _selection_reason(tried: Floats, promised: Floats) -> str:
    """Why the guard chose as it did among the levels ``tried`` [J + 1], the start first."""
    levels = sorted({f"{sigma:.4f}" for sigma in tried}, key=float)
    start = f"{tried[0]:.4f}"
    if len(levels) == 1:
        return f"Kept {start}: the strategy ended there, and no other noise level was tried."
    tried_levels = counted(len(levels), "noise level")
    compared = f"of the {tried_levels} that fresh votes compared ({', '.join(levels)})"
    if promised.max() <= 0:
        return f"Kept {start}: {compared}, none promised a radius for the class that leads there."
    if promised.argmax() == 0:
        return f"Kept {start}: {compared}, no other promised a larger radius for the same class."
    return f"{compared.capitalize()}, it promised the largest radius for the class at the start."
