"""How the methods of ``bench sigma`` choose the noise level of each image, and what that costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import GRADIENT_PASSES, NoisyForward, noise_generator
from ddrs_core.models.inference.votes import VoteCounts, VoteLoop
from ddrs_core.parameters import with_values
from ddrs_core.smoothing import (
    CertificationBudget,
    StrategyConfig,
    choose_sigmas,
    get_preset,
    list_presets,
    sigma_grid,
)
from ddrs_core.smoothing.certificate import most_of_others
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.sigma.guard import expected_radius
from ddrs_core.smoothing.sigma.steps import Ints

ORACLE_LEVELS, ORACLE_VOTES = 20, 3_000
_COSTLY = ("authors-package",)  # only when asked for
_WIDEST = "surface"  # the preset whose range all methods get


@dataclass(frozen=True)
class Choice:
    """The levels [M] that one method chose, and what an image cost on average."""

    sigmas: Floats
    passes: float = 0.0
    seconds: float = 0.0


def level_range(sigma_0: float) -> tuple[float, float]:
    """The smallest and the largest level of every method."""
    return get_preset(_WIDEST).at(sigma_0).bounds


def default_presets() -> tuple[str, ...]:
    """All but those that take minutes an image."""
    return tuple(p.name for p in list_presets() if p.name not in _COSTLY)


def strategies_at(sigma_0: float, presets: Sequence[str]) -> dict[str, StrategyConfig]:
    """The configurations of presets for a start, all with the same range of levels.

    Raises:
        UnknownNameError: if there is no preset of a name.
        InvalidParameterError: if one is named twice.
    """
    if len(set(presets)) < len(presets):
        raise InvalidParameterError("A preset is listed more than once.")
    bounds = dict(zip(("sigma_min", "sigma_max"), level_range(sigma_0), strict=True))
    return {name: with_values(get_preset(name).at(sigma_0), bounds).check() for name in presets}


def choose_by_strategy(
    forward: NoisyForward,
    images: Tensor,
    indices: Sequence[int],
    strategy: StrategyConfig,
    sigma_0: float,
    budget: CertificationBudget,
) -> Choice:
    """The levels that a strategy chooses for images [M, C, H, W]."""
    started, m = time.perf_counter(), len(images)
    counting = _CountingForward(forward)
    *_, last = choose_sigmas(
        counting,
        images,
        [sigma_0] * m,
        strategy,
        seed=budget.seed,
        indices=indices,
        budget=budget,
    )
    assert last.chosen is not None
    return Choice(last.chosen, counting.passes / m, (time.perf_counter() - started) / m)


def choose_best(
    forward: NoisyForward,
    images: Tensor,
    indices: Sequence[int],
    sigma_0: float,
    budget: CertificationBudget,
) -> tuple[Choice, Ints]:
    """The oracle: of 20 levels the one at which 3,000 votes promise the largest radius.

    A level is left out where even unanimous votes would promise less than another level does,
    which changes no choice.

    Returns:
        The choice for images [M, C, H, W], and the class [M] that leads at the level nearest to
        ``sigma_0``, for which the radius is meant. That level is kept where none promises any.
    """
    started, m = time.perf_counter(), len(images)
    levels = sigma_grid(*level_range(sigma_0), ORACLE_LEVELS)
    home = int(np.abs(np.log(levels / sigma_0)).argmin())
    most = expected_radius(ORACLE_VOTES, 0, ORACLE_VOTES, levels, budget)
    leading: Ints = np.zeros(m, dtype=np.int64)
    best, chosen, drawn = np.zeros(m), np.full(m, levels[home]), 0
    for level in (home, *(j for j in reversed(range(len(levels))) if j != home)):
        rows = np.flatnonzero(most[level] > best)
        if not len(rows):
            continue
        votes = forward.votes(
            images[rows],
            torch.full((len(rows),), levels[level]),
            ORACLE_VOTES,
            [
                noise_generator(budget.seed, indices[row], "oracle", forward.device)
                for row in rows.tolist()
            ],
        )  # all levels see the same noise vectors
        drawn += len(rows) * ORACLE_VOTES
        if level == home:
            leading = votes.argmax(axis=1)
        held, other = (
            numbers[np.arange(len(rows)), leading[rows]]
            for numbers in (votes, most_of_others(votes))
        )
        at_level = np.full(len(rows), levels[level])
        promised = expected_radius(held, other, ORACLE_VOTES, at_level, budget)
        better = rows[promised > best[rows]]
        best[rows] = np.maximum(best[rows], promised)
        chosen[better] = levels[level]
    return Choice(chosen, drawn / m, (time.perf_counter() - started) / m), leading


class _CountingForward(NoisyForward):
    """A forward pass that counts what is evaluated; a gradient counts as ``GRADIENT_PASSES``."""

    def __init__(self, forward: NoisyForward) -> None:
        self.__dict__.update(forward.__dict__)
        self.passes = 0.0

    def logits(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            self.passes += GRADIENT_PASSES * len(x)
        return super().logits(x)

    def _count(
        self, loop: VoteLoop, report_every: float | None, start: VoteCounts | None
    ) -> Iterator[VoteCounts]:
        self.passes += len(loop.images) * loop.n
        return super()._count(loop, report_every, start)
