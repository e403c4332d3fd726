"""Votes at many noise levels for one class of each image, as the response surface needs them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from numpy.typing import ArrayLike

from ddrs_core.models import noise_generator
from ddrs_core.smoothing.certificate import most_of_others, prove_radii
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.sigma.steps import Ints, SigmaTask

LEVELS = 41  # of the grid; every second one gets votes in the first round
DOUBT = 0.01  # of each bound that single levels are compared by
_NEAR = 0.3  # in u: how far apart levels tell of each other's runner-up
_ASSUMED = 4  # votes for it before any is counted; fewer would take chance for a small share


class SurfaceVotes:
    """Votes for one class of each of M images, on a grid of levels of each image's own."""

    def __init__(self, task: SigmaTask, bounds: tuple[float, float]) -> None:
        self.task = task
        self.bounds, self.bound = bounds, task.budget.bound
        self.starts = starts = task.sigma_0.clip(*bounds)  # [M]
        u = np.linspace(np.log(bounds[0] / starts), np.log(bounds[1] / starts), LEVELS, axis=1)
        self.home = np.abs(u).argmin(axis=1)  # [M], the level that is sigma_0
        self.rows = np.arange(len(starts))
        u[self.rows, self.home] = 0.0
        self.u = u  # [M, J]
        self.levels = starts[:, None] * np.exp(u)
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
        m, columns = len(self.starts), np.arange(0, LEVELS, 2)
        rows, places = np.repeat(self.rows, len(columns)), np.tile(columns, m)
        swept = self.draw(rows, self.levels[rows, places], n, "surface sweep")
        self.votes = votes = np.zeros((m, LEVELS, swept.shape[1]), dtype=np.int64)
        votes[rows, places] = swept
        votes[self.rows, self.home] += self._first
        first = self._first.argmax(axis=1)
        near = votes.copy()  # together with the neighbours that were swept
        near[:, 2:] += votes[:, :-2]
        near[:, :-2] += votes[:, 2:]
        n = np.maximum(near.sum(axis=2, keepdims=True), 1)
        reached = self.proved(near, most_of_others(near), n, self.levels[:, :, None])
        below = (reached * (self.u <= 0)[:, :, None]).max(axis=1)  # [M, K]
        lost = (reached.max(axis=1)[self.rows, first] <= 0) & (below.max(axis=1) > 0)
        self.prediction = np.where(lost, below.argmax(axis=1), first)
        self.n = votes.sum(axis=2)

    def add(self, blocks: Ints, n: int, stage: str) -> None:
        """``blocks`` [M, J] times ``n`` further votes."""
        rows, places = blocks.nonzero()
        repeats = blocks[rows, places]
        rows, places = np.repeat(rows, repeats), np.repeat(places, repeats)
        if len(rows):
            votes = self.draw(rows, self.levels[rows, places], n, stage)
            np.add.at(self.votes, (rows, places), votes)
            np.add.at(self.n, (rows, places), n)

    @property
    def held(self) -> Ints:
        """Votes for the class, [M, J]."""
        return self._of_class(self.votes)

    @property
    def other(self) -> Ints:
        """The most votes for any other class, [M, J]."""
        return self._of_class(most_of_others(self.votes))

    def runner_up(self) -> Floats:
        """What share of the votes for other classes the most frequent of them has, [M, J].

        It is smoothed over the levels, and 1 where nothing is known, as with one other class.
        """
        others = self.votes.astype(np.float64)
        others[self.rows, :, self.prediction] = 0.0
        apart = (self.u[:, :, None] - self.u[:, None, :]) / _NEAR
        others = np.exp(-(apart**2) / 2) @ others  # [M, J, K]
        share: Floats = (others.max(axis=2) + _ASSUMED) / (others.sum(axis=2) + _ASSUMED)
        return share

    def proved(self, held: Ints, other: Ints, n: ArrayLike, levels: Floats) -> Floats:
        """The radii that votes prove beyond doubt."""
        return prove_radii(held, other, n, levels, DOUBT * self.bound.parts, self.bound)[1]

    def _of_class(self, votes: Ints) -> Ints:
        return np.take_along_axis(votes, self.prediction[:, None, None], axis=2)[..., 0]
