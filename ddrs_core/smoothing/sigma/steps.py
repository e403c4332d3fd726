"""What every sigma strategy yields, and the guard that they share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.parameters import Parameter, parameter
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.confidence import Floats

Ints = NDArray[np.int64]
DEFAULT_BUDGET = CertificationBudget(n=10_000)  # that a sigma is chosen for


@dataclass(frozen=True)
class SigmaTask:
    """M images whose sigmas are to be chosen; its arguments have been checked."""

    forward: NoisyForward
    images: Tensor  # [M, C, H, W]
    sigma_0: Floats  # [M]
    indices: list[int]  # numbers of the images, which select their noise
    seed: int
    budget: CertificationBudget  # the certification that the sigmas are chosen for

    def generators(self, purpose: str) -> list[torch.Generator]:
        """The noise of each image for one purpose."""
        return [noise_generator(self.seed, i, purpose, self.forward.device) for i in self.indices]

    def votes(self, sigmas: Floats, samples: int, purpose: str) -> Ints:
        """Votes [M, K] at one noise level for each image [M]; the same noise at every call."""
        found = torch.from_numpy(sigmas)
        return self.forward.votes(self.images, found, samples, self.generators(purpose))


@dataclass(frozen=True, eq=False)
class CurveFit:
    """What a strategy that fits the radius curve knows at a step, for looking at.

    Arrays are [J] over the noise levels for one image, and [M, J] for M of them. Radii are in
    pixel units, those that the planned certification is expected to prove.
    """

    levels: Floats
    held: Ints  # votes for the class so far
    other: Ints  # the most votes for any other class
    n: Ints  # votes drawn so far
    radius: Floats  # the fitted curve
    low: Floats  # 90 % of the posterior's curves lie between these two, pointwise
    high: Floats
    planned: Ints  # votes that each level gets next; none after the last step
    best: Floats  # [2] or [M, 2]: the best level lies between these two with 90 % probability

    def one(self, i: int) -> CurveFit:
        """The fit of image ``i``."""
        return CurveFit(*(getattr(self, part.name)[i] for part in fields(self)))


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
    gradient: float  # dR/dsigma there
    p_a: float
    p_b: float
    prediction: int
    chosen: float | None = None
    reason: str = ""
    fit: CurveFit | None = None  # of strategies that fit the whole curve


@dataclass(frozen=True)
class SigmaBatch:
    """The same step for M images at once; every array is [M]."""

    step: int
    steps: int
    sigma: Floats
    radius: Floats
    gradient: Floats
    p_a: Floats
    p_b: Floats
    prediction: Ints
    chosen: Floats | None = None
    reasons: tuple[str, ...] = ()
    fit: CurveFit | None = None

    def one(self, i: int) -> SigmaStep:
        """The step of image ``i``."""
        return SigmaStep(
            self.step,
            self.steps,
            float(self.sigma[i]),
            float(self.radius[i]),
            float(self.gradient[i]),
            float(self.p_a[i]),
            float(self.p_b[i]),
            int(self.prediction[i]),
            None if self.chosen is None else float(self.chosen[i]),
            self.reasons[i] if self.reasons else "",
            None if self.fit is None else self.fit.one(i),
        )


BETA = "sharpness (inverse temperature) of the softmax; a large one counts votes"
GUARD = "fresh votes for each candidate of the guard; 0: no guard"


def sigma_bounds(low: float, high: float) -> Any:
    """The field of a configuration that holds the smallest and the largest sigma."""
    smallest = Parameter("smallest sigma", "Smallest sigma", above=0.0, step=0.01)
    largest = Parameter("largest sigma", "Largest sigma", above=0.0, step=0.1)
    parts = {"sigma_min": smallest, "sigma_max": largest}
    return parameter((low, high), "smallest and largest sigma", parts=parts)
