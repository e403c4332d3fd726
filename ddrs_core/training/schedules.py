"""Learning-rate schedules, as the share of the configured rate.

A new schedule is one function and one line in ``SCHEDULES``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

# share of the run that is over, in [0, 1) -> share of the learning rate
Schedule = Callable[[float], float]


def cosine(done: float) -> float:
    """Half a cosine from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * done))


def step(done: float) -> float:
    """Divided by ten after each third, as in Cohen et al. 2019 (90 epochs)."""
    return float(0.1 ** int(3 * done))


def one_cycle(done: float) -> float:
    """Up for a quarter of the run, and down to 0, both linear (after Smith and Topin 2018)."""
    return 0.04 + 0.96 * done / 0.25 if done < 0.25 else (1 - done) / 0.75


def constant(done: float) -> float:
    """Always 1."""
    return 1.0


SCHEDULES: dict[str, Schedule] = {
    "cosine": cosine,
    "step": step,
    "one-cycle": one_cycle,
    "constant": constant,
}


def learning_rate(lr: float, schedule: str, warmup: float, epochs: int, epoch: float) -> float:
    """The rate at ``epoch`` of ``epochs``, counted from 0; it grows linearly over the first
    ``warmup`` epochs."""
    share = SCHEDULES[schedule](min(1.0, epoch / epochs))
    return lr * share * (min(1.0, (epoch + 1e-3) / warmup) if warmup else 1.0)
