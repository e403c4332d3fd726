"""How often a Clopper-Pearson bound is false, exactly: the other side of its promise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc

from ddrs_core.smoothing.confidence import Floats, lower_bound


def false_probability(p: ArrayLike, n: int, alpha: float) -> Floats:
    """Probability that the lower bound from n votes lies above the true p: at most alpha.

    Args:
        p: true probabilities, of any shape.
        n: votes.
        alpha: what the bound promises.

    >>> false_probability([0.9, 0.99], n=100, alpha=0.1).round(4)
    array([0.0576, 0.    ])
    """
    true = np.asarray(p, dtype=np.float64)
    bounds = lower_bound(np.arange(n + 1), n, alpha)  # grows with the count
    enough = np.searchsorted(bounds, true, side="right")  # smallest count whose bound is false
    return np.where(enough > n, 0.0, bdtrc(np.clip(enough - 1, 0, n), n, true))
