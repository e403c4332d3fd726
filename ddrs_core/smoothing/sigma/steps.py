"""What every sigma strategy yields, and the guard that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.parameters import Parameter, parameter
from ddrs_core.quantities import counted
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.confidence import Floats, lower_bound, radius_one_sided

Ints = NDArray[np.int64]
DEFAULT_BUDGET = CertificationBudget(n=10_000)  # that a sigma is chosen for


@dataclass(frozen=True)
class SigmaStep:
    """One step of a sigma strategy for one image.

    ``radius`` is an estimate that steers the search, not a certified radius. The last step
    carries the chosen sigma and the reason for it.
    """

    step: int  # from 1
    steps: int
    sigma: float  # where this step looked
    radius: float
    slope: float  # dR/dsigma there
    p_a: float
    p_b: float
    prediction: int
    chosen: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class SigmaBatch:
    """The same step for M images at once; every array is [M]."""

    step: int
    steps: int
    sigma: Floats
    radius: Floats
    slope: Floats
    p_a: Floats
    p_b: Floats
    prediction: Ints
    chosen: Floats | None = None
    reasons: tuple[str, ...] = ()

    def one(self, i: int) -> SigmaStep:
        """The step of image ``i``."""
        return SigmaStep(
            self.step,
            self.steps,
            float(self.sigma[i]),
            float(self.radius[i]),
            float(self.slope[i]),
            float(self.p_a[i]),
            float(self.p_b[i]),
            int(self.prediction[i]),
            None if self.chosen is None else float(self.chosen[i]),
            self.reasons[i] if self.reasons else "",
        )


BETA = "sharpness (inverse temperature) of the softmax; a large one counts votes"
GUARD = "fresh votes for each candidate of the guard; 0: no guard"


def sigma_bounds(low: float, high: float) -> Any:
    """The field of a configuration that holds the smallest and the largest sigma."""
    smallest = Parameter("smallest sigma", "Smallest sigma", low=1e-4, high=50.0, step=0.01)
    largest = Parameter("largest sigma", "Largest sigma", low=1e-3, high=100.0, step=0.1)
    parts = {"sigma_min": smallest, "sigma_max": largest}
    return parameter((low, high), "smallest and largest sigma", parts=parts)


def check_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    """Raises InvalidParameterError unless 0 < sigma_min < sigma_max, both finite."""
    low, high = (float(b) for b in bounds)
    if not 0 < low < high < float("inf"):
        raise InvalidParameterError(
            f"The bounds of sigma must satisfy 0 < smallest < largest, not {low:g} and {high:g}."
        )
    return low, high


def expected_radius(
    votes: Floats, samples: int, sigmas: Floats, budget: CertificationBudget
) -> Floats:
    """The radius that ``budget`` would probably certify, from a small number of votes.

    The share of votes is shrunk as by Jeffreys' prior, (k + 1/2) / (n + 1), and then bounded as
    if it had been seen in all N samples; so few samples do not favour a large sigma merely
    because unanimity is easily had.
    """
    share = (votes + 0.5) / (samples + 1.0)
    return radius_one_sided(sigmas, lower_bound(share * budget.n, budget.n, budget.alpha))


def select_by_validation(
    forward: NoisyForward,
    images: Tensor,
    sigma_0: Floats,
    candidates: Floats,
    samples: int,
    budget: CertificationBudget,
    seed: int,
    indices: list[int],
) -> tuple[Floats, tuple[str, ...]]:
    """Choose among candidate sigmas by fresh votes, in favour of sigma_0.

    Args:
        images: [M, C, H, W].
        sigma_0: [M], within the bounds; its class is the one that must be kept.
        candidates: [J, M].
        samples: votes for each candidate; all see the same noise vectors.

    Returns:
        The sigma [M] with the largest promised radius among those that vote for the class at
        sigma_0, and the reasons, one an image: they speak of the levels compared here, and of no
        others. Noise used here is never used to certify.
    """
    m = len(images)
    tried = np.concatenate([sigma_0[None], candidates])  # [J + 1, M]
    counts = []
    for row in tried:
        generators = [noise_generator(seed, i, "guard", forward.device) for i in indices]
        counts.append(forward.votes(images, torch.from_numpy(row), samples, generators))
    votes = np.stack(counts)  # [J + 1, M, K]
    kept_class = votes[0].argmax(axis=1)
    same = votes.argmax(axis=2) == kept_class
    held = np.take_along_axis(votes, kept_class[None, :, None], axis=2)[..., 0]
    promised = np.where(same, expected_radius(held.astype(np.float64), samples, tried, budget), 0.0)
    best = promised.argmax(axis=0)  # the first, sigma_0, wins a tie
    reasons = tuple(_selection_reason(tried[:, i], promised[:, i]) for i in range(m))
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
