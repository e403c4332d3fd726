"""Sigma from a response surface: every vote at any noise level tells something about one curve.

For the class c that leads at sigma_0, R(sigma) = sigma * Phi^-1(p_c(sigma)) is a smooth curve. In
units of sigma_0 and over u = log(sigma / sigma_0) it is modelled as a Gaussian process: a quadratic
in u, which is exact for a linear classifier, plus a smooth residual. Votes are binomial
observations of it (probit link), and Laplace's approximation gives the posterior. Further votes go
to the levels where draws from the posterior have their maximum (Thompson sampling), and sigma is
the maximum of the radius that the certification to come would prove. Forward passes only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from torch import Tensor, nn

from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.parameters import Configuration, parameter
from ddrs_core.quantities import counted
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.confidence import Floats, lower_bound, radius_one_sided, upper_bound
from ddrs_core.smoothing.sigma.base import choose_sigma
from ddrs_core.smoothing.sigma.steps import Ints, SigmaBatch, SigmaStep, SigmaTask, sigma_bounds

_LEVELS = 41  # of the grid; every second one gets votes in the first round
_MEAN = np.array([0.8, -1.0, -0.8])  # of the quadratic, before any vote
_SPREAD = np.array([1.0, 0.7, 0.5])
_RESIDUAL, _LENGTH = 0.4, 0.45  # size and length of the residual, in sigma_0 and in u
_DRAWS = 128  # from the posterior
_BLOCK = 10  # votes that a level gets at a time
_START = 0.07  # of the votes: those at sigma_0
_SWEEP = 0.28  # of the votes: those of the first round
_CHECK = 0.03  # of the votes: those of each of two checks
_DOUBT = 0.01  # of the intervals that the final check compares
_STEPS = 25  # of Newton's method at most
_RANK = 12  # directions of the prior that matter
_INTERVAL = 0.9  # of sigma*, for looking
_LARGEST_Z = 6.0


@dataclass(frozen=True)
class SurfaceConfig(Configuration):
    """Parameters of the response surface."""

    name: ClassVar[str] = "surface"
    title: ClassVar[str] = "Response surface"

    votes: int = parameter(
        1_400, "votes for one image, at most", "Votes", low=500, high=1_000_000, step=200
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
        votes = _Votes(task, self.bounds)
        votes.start(round(_START * self.votes))
        votes.sweep(max(_BLOCK, round(2 * _SWEEP * self.votes / _LEVELS)))
        checked = max(_BLOCK, round(_CHECK * self.votes))
        left = self.votes - int(votes.n[0].sum()) - 2 * checked  # the same for every image
        blocks = left // (self.rounds * _BLOCK)
        fit = _Fit(votes, task.budget)
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
            yield fit.batch(step, self.steps)
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


class _Votes:
    """Votes for one class of each of M images, on a grid of levels of each image's own."""

    def __init__(self, task: SigmaTask, bounds: tuple[float, float]) -> None:
        self.task = task
        self.bounds = bounds
        self.starts = starts = task.sigma_0.clip(*bounds)  # [M]
        u = np.linspace(np.log(bounds[0] / starts), np.log(bounds[1] / starts), _LEVELS, axis=1)
        self.home = np.abs(u).argmin(axis=1)  # [M], the level that is sigma_0
        self.rows = np.arange(len(starts))
        u[self.rows, self.home] = 0.0
        self.u = u  # [M, J]
        self.levels = starts[:, None] * np.exp(u)
        self.held = np.zeros(u.shape, dtype=np.int64)  # votes for the class
        self.n = np.zeros(u.shape, dtype=np.int64)
        self.prediction: Ints = np.zeros(len(starts), dtype=np.int64)

    def draw(self, rows: Ints, levels: Floats, n: int, stage: str) -> Ints:
        """``n`` fresh votes [R, K] of images ``rows`` [R] at their ``levels`` [R]."""
        task, numbers, generators = self.task, Counter[int](), []
        for row in rows.tolist():
            purpose = f"{stage} {numbers[row]}"
            numbers[row] += 1
            device = task.forward.device
            generators.append(noise_generator(task.seed, task.indices[row], purpose, device))
        return task.forward.votes(task.images[rows], torch.from_numpy(levels), n, generators)

    def start(self, n: int) -> None:
        """Votes at sigma_0."""
        self._first = self.draw(self.rows, self.starts, n, "surface start")  # [M, K]

    def sweep(self, n: int) -> None:
        """Votes at every second level; then the class of each image is known.

        It is the leading one at sigma_0. Where that one has no clear majority at any level, it is
        the class that reaches the largest radius beyond doubt at a level below: far above the
        noise of their training, networks give one class to everything.
        """
        m, columns = len(self.starts), np.arange(0, _LEVELS, 2)
        rows, places = np.repeat(self.rows, len(columns)), np.tile(columns, m)
        swept = self.draw(rows, self.levels[rows, places], n, "surface sweep")
        votes = np.zeros((m, _LEVELS, swept.shape[1]), dtype=np.int64)
        votes[rows, places] = swept
        votes[self.rows, self.home] += self._first
        first = self._first.argmax(axis=1)
        near = votes.copy()  # together with the neighbours that were swept
        near[:, 2:] += votes[:, :-2]
        near[:, :-2] += votes[:, 2:]
        low = lower_bound(near, np.maximum(near.sum(axis=2, keepdims=True), 1), _DOUBT)
        reached = radius_one_sided(self.levels[:, :, None], low)
        below = (reached * (self.u <= 0)[:, :, None]).max(axis=1)  # [M, K]
        lost = (reached.max(axis=1)[self.rows, first] <= 0) & (below.max(axis=1) > 0)
        self.prediction = np.where(lost, below.argmax(axis=1), first)
        self.held = np.take_along_axis(votes, self.prediction[:, None, None], axis=2)[..., 0]
        self.n = votes.sum(axis=2)

    def add(self, blocks: Ints, n: int, stage: str) -> None:
        """``blocks`` [M, J] times ``n`` further votes."""
        rows, places = blocks.nonzero()
        repeats = blocks[rows, places]
        rows, places = np.repeat(rows, repeats), np.repeat(places, repeats)
        if len(rows):
            votes = self.draw(rows, self.levels[rows, places], n, stage)
            np.add.at(self.held, (rows, places), votes[np.arange(len(rows)), self.prediction[rows]])
            np.add.at(self.n, (rows, places), n)


class _Fit:
    """The posterior of the curves, and what it says of the radius to be certified."""

    def __init__(self, votes: _Votes, budget: CertificationBudget) -> None:
        self.votes, self.budget = votes, budget
        u = votes.u
        quadratic = np.stack([np.ones_like(u), u, u * u], axis=2)  # [M, J, 3]
        self.prior = quadratic @ _MEAN  # [M, J], in sigma_0
        scaled = quadratic * _SPREAD
        apart = (u[:, :, None] - u[:, None, :]) / _LENGTH
        covariance = scaled @ scaled.transpose(0, 2, 1) + _RESIDUAL**2 * np.exp(-(apart**2) / 2)
        values, vectors = np.linalg.eigh(covariance)
        self.basis = vectors[:, :, -_RANK:] * np.sqrt(values[:, None, -_RANK:].clip(0.0))
        self.weights = np.zeros((len(u), _RANK))
        self.scale = np.exp(-u)  # z = radius * scale
        self.draws = np.zeros((len(u), _DRAWS, u.shape[1]))  # of the radius, in sigma_0
        self.noise = np.stack(
            [
                torch.empty((_DRAWS, _RANK), dtype=torch.float64)
                .normal_(generator=noise_generator(votes.task.seed, i, "surface draws"))
                .numpy()
                for i in votes.task.indices
            ]
        )  # [M, T, rank]

    def update(self) -> None:
        """Laplace's approximation with all votes so far, one image after the other: what an
        image gets must not depend on its company."""
        for i in range(len(self.weights)):
            self._update(i)
        scale = self.scale[:, None]
        worth = self._proved(self.draws * scale) / scale  # [M, T, J], in sigma_0
        self.mean_worth = worth.mean(axis=1)  # [M, J]
        self.best = worth.argmax(axis=2)  # [M, T]
        self.place = self.mean_worth.argmax(axis=1)  # [M]
        best = worth.max(axis=2).mean(axis=1)
        lost = best - self.mean_worth.max(axis=1)
        self.regret = lost / np.maximum(best, 1e-9) + (best <= 0)  # relative, [M]

    def _update(self, i: int) -> None:
        votes, basis, scale = self.votes, self.basis[i], self.scale[i]
        seen = votes.n[i] > 0
        held, n = votes.held[i][seen], votes.n[i][seen]
        features = basis[seen] * scale[seen, None]  # of z
        offset = (self.prior[i] * scale)[seen]
        weights = self.weights[i]
        for _ in range(_STEPS):
            z = (offset + features @ weights).clip(-_LARGEST_Z, _LARGEST_Z)
            p, q = ndtr(z), ndtr(-z)
            density = np.exp(-(z * z) / 2) / np.sqrt(2 * np.pi)
            score = (held / p - (n - held) / q) * density
            information = n * density**2 / (p * q)
            precision = np.eye(_RANK) + (features.T * information) @ features
            step = np.linalg.solve(precision, features.T @ score - weights)
            step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
            weights = weights + step
            if float(np.abs(step).max()) < 1e-4:
                break
        self.weights[i] = weights
        half = np.linalg.cholesky(precision)
        spread = np.linalg.solve(half.T, self.noise[i].T).T  # [T, rank]
        self.draws[i] = self.prior[i] + (weights + spread) @ basis.T

    def _proved(self, z: Floats) -> Floats:
        """Phi^-1 of the bound that the certification proves where the probability is Phi(z)."""
        budget = self.budget
        grid, proved = _proved_curve(budget.n, budget.spent(budget.n) / budget.bound.parts)
        return np.interp(z, grid, proved)

    def plan(self, blocks: int) -> Ints:
        """How many blocks of votes each level of each image gets next, [M, J].

        An image gets ``blocks`` of them, in proportion to the draws that are highest at a level.
        """
        planned = np.zeros(self.votes.n.shape, dtype=np.int64)
        for i, best in enumerate(self.best):
            share = np.bincount(best, minlength=_LEVELS) * (blocks / _DRAWS)
            planned[i] = share
            rest = np.argsort(planned[i] - share, kind="stable")[: blocks - planned[i].sum()]
            planned[i][rest] += 1
        return planned

    def checked_choice(self, n: int) -> tuple[Floats, tuple[str, ...]]:
        """The level with the largest expected radius, unless fresh votes speak against it."""
        votes, rows = self.votes, self.votes.rows
        chosen = self._between(self.place)
        fresh = [
            votes.draw(rows, levels, n, f"surface check {name}")
            for name, levels in (("chosen", chosen), ("start", votes.starts))
        ]
        held, held_start = (f[rows, votes.prediction] for f in fresh)
        high = upper_bound(held, n, _DOUBT)
        least = radius_one_sided(votes.starts, lower_bound(held_start, n, _DOUBT))
        is_less = radius_one_sided(chosen, high) < least
        worse = is_less | (high < ndtr(self._z_at(chosen)))
        found = np.where(worse, self._by_level(), chosen).clip(*votes.bounds)
        return found, self._reasons(worse, found)

    def _between(self, place: Ints) -> Floats:
        """The top of the parabola through a level and its neighbours, [M]."""
        rows, middle = self.votes.rows, place.clip(1, _LEVELS - 2)
        u = np.stack([self.votes.u[rows, middle + k] for k in (-1, 0, 1)])
        y = np.stack([self.mean_worth[rows, middle + k] for k in (-1, 0, 1)])
        left, right = (y[1] - y[0]) / (u[1] - u[0]), (y[2] - y[1]) / (u[2] - u[1])
        bend = right - left
        top = (u[0] + u[1]) / 2 - left * (u[2] - u[0]) / 2 / np.where(bend < 0, bend, -np.inf)
        top = np.where(
            (bend < 0) & (place == middle), top.clip(u[0], u[2]), self.votes.u[rows, place]
        )
        return self.votes.starts * np.exp(top)

    def _z_at(self, sigmas: Floats) -> Floats:
        """z of the posterior's mean at a level of each image, [M]."""
        u = np.log(sigmas / self.votes.starts)
        radius = self.draws.mean(axis=1)
        at = [np.interp(x, self.votes.u[i], radius[i]) for i, x in enumerate(u.tolist())]
        return np.array(at) * np.exp(-u)

    def _by_level(self) -> Floats:
        """Where the curve does not fit: the level whose own votes prove most beyond doubt."""
        votes = self.votes
        low = lower_bound(votes.held, np.maximum(votes.n, 1), _DOUBT)
        reached = radius_one_sided(votes.levels, low)
        best = np.where(reached.max(axis=1) > 0, reached.argmax(axis=1), votes.home)
        return votes.levels[votes.rows, best]

    def _reasons(self, worse: NDArray[np.bool_], chosen: Floats) -> tuple[str, ...]:
        """Why each image got its level, as a sentence."""
        lows, highs = self._interval()
        reasons = []
        for i, sigma in enumerate(chosen.tolist()):
            votes = counted(int(self.votes.n[i].sum()), "vote")
            if worse[i]:
                reasons.append(
                    f"Fresh votes contradicted the curve fitted to {votes}, so that single levels "
                    f"decided: at {sigma:.4f} the votes themselves prove most."
                )
                continue
            at_start = max(self.mean_worth[i, self.votes.home[i]], 1e-9)
            gain = self.mean_worth[i].max() / at_start - 1
            more = f", {gain:.0%} more than at the start" if 0.005 < gain < 10 else ""
            reasons.append(
                f"The curve fitted to {votes} has its largest radius near {sigma:.4f}{more}; the "
                f"best level lies between {lows[i]:.4f} and {highs[i]:.4f} ({_INTERVAL:.0%})."
            )
        return tuple(reasons)

    def _interval(self) -> tuple[Floats, Floats]:
        """Where the best level lies, [M] each."""
        tail = (1 - _INTERVAL) / 2
        places = np.quantile(self.best, [tail, 1 - tail], axis=1, method="nearest")
        low, high = (self.votes.levels[self.votes.rows, p] for p in places.astype(np.int64))
        return low, high

    def batch(
        self, step: int, steps: int, chosen: Floats | None = None, reasons: tuple[str, ...] = ()
    ) -> SigmaBatch:
        """The state of the search as a step."""
        votes = self.votes
        sigma = self._between(self.place) if chosen is None else chosen
        p = ndtr(self._z_at(sigma))
        radius = self.mean_worth.max(axis=1) * votes.starts
        flat = np.zeros(len(sigma))  # the gradient at a maximum
        return SigmaBatch(
            step, steps, sigma, radius, flat, p, 1 - p, votes.prediction, chosen, reasons
        )


@lru_cache(16)
def _proved_curve(n: int, alpha: float) -> tuple[Floats, Floats]:
    """z of a probability, and z of the lower bound that its expected votes among n prove."""
    z = np.linspace(-_LARGEST_Z, _LARGEST_Z, 1201)
    bound = lower_bound(ndtr(z) * n, n, alpha).clip(1e-12, alpha ** (1 / n))
    return z, ndtri(bound)
