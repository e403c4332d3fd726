"""Sigma from a response surface: every vote at any noise level tells something about one curve.

For the class c that leads at sigma_0, R(sigma) = sigma * Phi^-1(p_c(sigma)) is a smooth curve. In
units of sigma_0 and over u = log(sigma / sigma_0) it is modelled as a Gaussian process: a quadratic
in u, which is exact for a linear classifier, plus a smooth residual that is small or large. Votes
are binomial observations of it (probit link), and Laplace's approximation gives the posterior and
what the votes say of the residual's size. Further votes go to the levels where draws from the
posterior have their maximum (Thompson sampling), and sigma is the maximum of the radius that the
certification to come would prove. Forward passes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from ddrs_core.models import NoisyForward
from ddrs_core.parameters import Configuration, parameter
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.sigma.base import choose_sigma
from ddrs_core.smoothing.sigma.steps import SigmaBatch, SigmaStep, SigmaTask, sigma_bounds
from ddrs_core.smoothing.sigma.surface_fit import SurfaceFit
from ddrs_core.smoothing.sigma.surface_votes import LEVELS, SurfaceVotes

_BLOCK = 10  # votes that a level gets at a time
_START = 0.07  # of the votes: those at sigma_0
_SWEEP = 0.28  # of the votes: those of the first round
_CHECK = 0.02  # of the votes: those of each of two checks


@dataclass(frozen=True)
class SurfaceConfig(Configuration):
    """Parameters of the response surface."""

    name: ClassVar[str] = "surface"
    title: ClassVar[str] = "Surface fit"
    fits_curve: ClassVar[bool] = True

    votes: int = parameter(
        1_500, "votes for one image, at most", "Votes", low=500, high=1_000_000, step=200
    )
    rounds: int = parameter(
        4, "rounds of votes after the first one", "Rounds", low=1, high=100, step=1
    )
    regret: float = parameter(
        0.01,
        "voting ends when the expected loss against the best level is below this share of the "
        "radius",
        "Regret",
        low=0.0,
        high=0.5,
        step=0.01,
    )
    bounds: tuple[float, float] = sigma_bounds(0.05, 1.5)

    @property
    def steps(self) -> int:
        """The first round and those that follow it."""
        return self.rounds + 1

    @property
    def depends_on_budget(self) -> bool:
        """The radius that it maximises is the one to be proved."""
        return True

    def passes(self) -> float:
        """Forward passes for one image, at most."""
        return self.votes

    def run(self, task: SigmaTask) -> Iterator[SigmaBatch]:
        """Choose the sigma of M images at once; each has its own curve, noise and end."""
        votes = SurfaceVotes(task, self.bounds)
        votes.start(round(_START * self.votes))
        votes.sweep(max(_BLOCK, round(2 * _SWEEP * self.votes / LEVELS)))
        checked = max(_BLOCK, round(_CHECK * self.votes))
        left = self.votes - int(votes.n[0].sum()) - 2 * checked  # the same for every image
        blocks = left // (self.rounds * _BLOCK)
        fit = SurfaceFit(votes, task.budget)
        done = np.zeros(len(task.images), dtype=bool)
        for step in range(1, self.steps + 1):
            fit.update()
            done |= fit.regret < self.regret
            if step == self.steps or done.all() or not blocks:
                chosen, reasons = fit.checked_choice(checked)
                yield fit.batch(self.steps, self.steps, chosen, reasons)
                return
            plan = fit.plan(blocks)
            plan[done] = 0
            yield fit.batch(step, self.steps, planned=plan * _BLOCK)
            votes.add(plan, _BLOCK, f"surface {step}")


def surface_sigma(
    f: nn.Module | NoisyForward | Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    sigma_0: float,
    config: SurfaceConfig | None = None,
    seed: int = 0,
    index: int = 0,
    budget: CertificationBudget | None = None,
) -> Iterator[SigmaStep]:
    """The response surface for one image ``x`` [C, H, W]; see :func:`choose_sigmas`.

    >>> from ddrs_core.data import load_dataset
    >>> from ddrs_core.models import load_model
    >>> f, (x, _) = load_model("digits-gaussian-0.50", "cpu"), load_dataset("digits")[3]
    >>> *_, last = surface_sigma(f, x, sigma_0=0.5)
    >>> 0.2 < last.chosen < 0.4
    True
    """
    return choose_sigma(
        f, x, sigma_0, config or SurfaceConfig(), seed=seed, index=index, budget=budget
    )
