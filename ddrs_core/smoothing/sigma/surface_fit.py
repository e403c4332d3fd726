"""The curve that the response surface fits to its votes: the posterior and what it implies."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ddrs_core.models import noise_generator
from ddrs_core.quantities import counted
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import Bound, most_of_others, possible_radii
from ddrs_core.smoothing.confidence import Floats, lower_bound, upper_bound
from ddrs_core.smoothing.sigma.steps import CurveFit, Ints, SigmaBatch
from ddrs_core.smoothing.sigma.surface_votes import DOUBT, LEVELS, SurfaceVotes

_MEAN = np.array([1.0, -0.9, -1.0])  # of the quadratic, before any vote
_SPREAD = np.array([1.0, 0.7, 0.5])
_RESIDUALS, _LENGTH = (0.1, 0.5), 0.45  # sizes of the residual, as likely, and its length in u
_DRAWS = 128  # from the posterior
_STEPS = 25  # of Newton's method at most
_RANK = 12  # directions of the prior that matter
_INTERVAL = 0.9  # of sigma* and of the curve, for looking
_LARGEST_Z = 6.0


class SurfaceFit:
    """The posterior of the curves, and what it says of the radius to be certified."""

    def __init__(self, votes: SurfaceVotes, budget: CertificationBudget) -> None:
        self.votes, self.budget = votes, budget
        u = votes.u
        quadratic = np.stack([np.ones_like(u), u, u * u], axis=2)  # [M, J, 3]
        self.prior = quadratic @ _MEAN  # [M, J], in sigma_0
        scaled = quadratic * _SPREAD
        apart = (u[:, :, None] - u[:, None, :]) / _LENGTH
        smooth = np.exp(-(apart**2) / 2)
        self.bases = []  # for each size of the residual, [M, J, rank]
        for size in _RESIDUALS:
            covariance = scaled @ scaled.transpose(0, 2, 1) + size**2 * smooth
            values, vectors = np.linalg.eigh(covariance)
            self.bases.append(vectors[:, :, -_RANK:] * np.sqrt(values[:, None, -_RANK:].clip(0.0)))
        self.weights = np.zeros((len(_RESIDUALS), len(u), _RANK))
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
        for i in range(len(self.draws)):
            self._update(i)
        scale = self.scale[:, None]
        self.worth = worth = self._proved(self.draws * scale) / scale  # [M, T, J], in sigma_0
        self.mean_worth = worth.mean(axis=1)  # [M, J]
        self.best = worth.argmax(axis=2)  # [M, T]
        self.place = self.mean_worth.argmax(axis=1)  # [M]
        best = worth.max(axis=2).mean(axis=1)
        lost = best - self.mean_worth.max(axis=1)
        self.regret = lost / np.maximum(best, 1e-9) + (best <= 0)  # relative, [M]

    def _update(self, i: int) -> None:
        """Draws from the posterior, shared among the sizes of the residual by their evidence."""
        found = [self._laplace(i, k) for k in range(len(self.bases))]
        evidence = np.array([e for e, _ in found])
        share = np.exp(evidence - evidence.max())
        ends = np.round(_DRAWS * np.cumsum(share / share.sum())).astype(int)
        start = 0
        for k, end in enumerate(ends.tolist()):
            half = np.linalg.cholesky(found[k][1])
            spread = np.linalg.solve(half.T, self.noise[i, start:end].T).T  # [T, rank]
            weights = self.weights[k, i] + spread
            self.draws[i, start:end] = self.prior[i] + weights @ self.bases[k][i].T
            start = end

    def _laplace(self, i: int, k: int) -> tuple[float, Floats]:
        """The mode for one size of the residual, into ``weights``: its evidence and precision."""
        votes, basis, scale = self.votes, self.bases[k][i], self.scale[i]
        seen = votes.n[i] > 0
        held, n = votes.votes[i, seen, votes.prediction[i]], votes.n[i, seen]
        features = basis[seen] * scale[seen, None]  # of z
        offset = (self.prior[i] * scale)[seen]
        weights = self.weights[k, i]
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
        self.weights[k, i] = weights
        z = (offset + features @ weights).clip(-_LARGEST_Z, _LARGEST_Z)
        likelihood = float(held @ np.log(ndtr(z)) + (n - held) @ np.log(ndtr(-z)))
        _, volume = np.linalg.slogdet(precision)
        return likelihood - float(weights @ weights) / 2 - volume / 2, precision

    def _proved(self, z: Floats) -> Floats:
        """The radius over sigma that the certification proves where p_A is Phi(z), [M, T, J].

        For two-sided bounds p_B is the runner-up's share of the rest, whatever the draw.
        """
        budget = self.budget
        grid, proved = _proved_curve(budget.n, budget.spent(budget.n) / budget.bound.parts)
        lower = np.interp(z, grid, proved)
        if budget.bound is Bound.ONE_SIDED:
            return lower
        p_b = self.votes.runner_up()[:, None] * ndtr(-z)
        return (lower + np.interp(-ndtri(p_b), grid, proved)) / 2

    def plan(self, blocks: int) -> Ints:
        """How many blocks of votes each level of each image gets next, [M, J].

        An image gets ``blocks`` of them, in proportion to the draws that are highest at a level.
        """
        planned = np.zeros(self.votes.n.shape, dtype=np.int64)
        for i, best in enumerate(self.best):
            share = np.bincount(best, minlength=LEVELS) * (blocks / _DRAWS)
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
        (held, other), (held_start, other_start) = (
            (f[rows, votes.prediction], most_of_others(f)[rows, votes.prediction]) for f in fresh
        )
        doubt, bound = DOUBT * votes.bound.parts, votes.bound
        most = possible_radii(held, other, n, chosen, doubt, bound)
        is_less = most < votes.proved(held_start, other_start, n, votes.starts)
        worse = is_less | (upper_bound(held, n, DOUBT) < ndtr(self._z_at(chosen)))
        found = np.where(worse, self._by_level(), chosen).clip(*votes.bounds)
        return found, self._reasons(worse, found)

    def _between(self, place: Ints) -> Floats:
        """The top of the parabola through a level and its neighbours, [M]."""
        rows, middle = self.votes.rows, place.clip(1, LEVELS - 2)
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
        reached = votes.proved(votes.held, votes.other, np.maximum(votes.n, 1), votes.levels)
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
        self,
        step: int,
        steps: int,
        chosen: Floats | None = None,
        reasons: tuple[str, ...] = (),
        *,
        planned: Ints | None = None,
    ) -> SigmaBatch:
        """The state of the search as a step; ``planned`` [M, J] votes come next."""
        votes = self.votes
        sigma = self._between(self.place) if chosen is None else chosen
        p = ndtr(self._z_at(sigma))
        radius = self.mean_worth.max(axis=1) * votes.starts
        flat = np.zeros(len(sigma))  # the gradient at a maximum
        return SigmaBatch(
            step,
            steps,
            sigma,
            radius,
            flat,
            p,
            1 - p,
            votes.prediction,
            chosen,
            reasons,
            self._curves(planned),
        )

    def _curves(self, planned: Ints | None) -> CurveFit:
        votes, starts = self.votes, self.votes.starts[:, None]
        tail = round(_DRAWS * (1 - _INTERVAL) / 2)
        ordered = np.sort(self.worth, axis=1)
        return CurveFit(
            votes.levels,
            votes.held,
            votes.other,
            votes.n.copy(),
            self.mean_worth * starts,
            ordered[:, tail] * starts,
            ordered[:, -1 - tail] * starts,
            np.zeros_like(votes.n) if planned is None else planned,
            np.stack(self._interval(), axis=1),
        )


@lru_cache(16)
def _proved_curve(n: int, alpha: float) -> tuple[Floats, Floats]:
    """z of a probability, and z of the lower bound that its expected votes among n prove."""
    z = np.linspace(-_LARGEST_Z, _LARGEST_Z, 1201)
    bound = lower_bound(ndtr(z) * n, n, alpha).clip(1e-12, alpha ** (1 / n))
    return z, ndtri(bound)
