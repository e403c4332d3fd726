"""Votes along a segment, where the probability at each point is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scipy.stats import norm
from torch import Tensor

from ddrs_core.models import NoisyForward
from ddrs_core.smoothing.segment import votes_on_segment
from tests.conftest import Line


def test_the_votes_follow_the_margin_of_a_linear_classifier(
    line: Line, at_margin: Callable[[float], Tensor]
) -> None:
    first, second = at_margin(0.6), at_margin(-0.2)
    forward = NoisyForward(line, 2)
    steps = list(votes_on_segment(forward, first, second, sigma=0.4, points=5, votes=4_000))
    assert [len(step.positions) for step in steps] == [1, 2, 3, 4, 5]
    for t, counts in zip(steps[-1].positions, steps[-1].counts, strict=True):
        expected = norm.cdf((0.6 - 0.8 * t) / 0.4)
        assert sum(counts) == 4_000
        assert counts[1] / 4_000 == pytest.approx(expected, abs=0.035)
