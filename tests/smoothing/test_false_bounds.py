"""The exact share of false Clopper-Pearson bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from ddrs_core.smoothing.false_bounds import false_probability

TRUE = np.array([0.05, 0.5, 0.9, 0.99])


@pytest.mark.parametrize("alpha", [0.1, 0.001])
@pytest.mark.parametrize("n", [10, 100])
def test_it_is_the_share_of_counts_whose_bound_lies_above_p(n: int, alpha: float) -> None:
    """SciPy's own exact interval and the binomial probabilities by their recurrence."""
    counts = np.arange(n + 1)
    interval = [
        binomtest(int(k), n, alternative="greater").proportion_ci(1 - alpha, "exact").low
        for k in counts
    ]
    for p, found in zip(TRUE, false_probability(TRUE, n, alpha), strict=True):
        weight = [(1 - p) ** n]
        for k in range(n):
            weight.append(weight[-1] * (n - k) / (k + 1) * p / (1 - p))
        assert found == pytest.approx(sum(np.array(weight)[np.array(interval) > p]), abs=1e-12)
        assert found <= alpha
