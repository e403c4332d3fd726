"""The shipped memory bank, as lessons use it: read once, the same for everybody."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ddrs_core.dashboard.common.banks import shipped_bank
from ddrs_core.smoothing.memory.arrival_order import Distances
from ddrs_core.store import StoredBall


class DemoBank(NamedTuple):
    """Balls in the order of their arrival, and their images [m, C, H, W]."""

    balls: tuple[StoredBall, ...]
    images: NDArray[np.float32]
    between: Distances


@cache
def demo_bank() -> DemoBank:
    """All balls of the bank that comes with the project."""
    bank = shipped_bank()
    balls = tuple(bank.balls(limit=bank.record().stored))
    images = np.array([bank.image(ball.serial) for ball in balls], dtype=np.float32)
    return DemoBank(balls, images, Distances.between(images))
