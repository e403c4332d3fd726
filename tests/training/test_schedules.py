"""Learning-rate schedules at the places where their values are known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from ddrs_core.training.schedules import SCHEDULES, learning_rate

DONE = np.linspace(0, 1, 400, endpoint=False)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_share_of_the_rate_is_a_share(name: str) -> None:
    shares = [SCHEDULES[name](done) for done in DONE]
    assert min(shares) > 0
    assert max(shares) <= 1
    assert max(shares) > 0.99  # the configured rate is reached


def test_a_cosine_falls_from_one_to_zero() -> None:
    cosine = SCHEDULES["cosine"]
    assert [cosine(d) for d in (0.0, 1 / 3, 0.5, 2 / 3, 1.0)] == pytest.approx(
        [1.0, 0.75, 0.5, 0.25, 0.0]
    )
    assert all(a > b for a, b in pairwise(cosine(d) for d in DONE))


@pytest.mark.parametrize("epochs", [3, 30, 87, 90])
def test_a_step_divides_by_ten_after_each_third(epochs: int) -> None:
    # Cohen et al. (2019): 90 epochs, the rate falls by 10 every 30.
    rates = [learning_rate(0.1, "step", 0.0, epochs, epoch) for epoch in range(epochs)]
    third = epochs // 3
    assert rates == pytest.approx([0.1] * third + [0.01] * third + [0.001] * third)


def test_one_cycle_rises_for_a_quarter_and_falls_to_zero() -> None:
    cycle = SCHEDULES["one-cycle"]
    assert [cycle(d) for d in (0.0, 0.125, 0.25, 0.625, 1.0)] == pytest.approx(
        [0.04, 0.52, 1.0, 0.5, 0.0]
    )
    values = [cycle(d) for d in DONE]
    assert max(abs(a - b) for a, b in pairwise(values)) < 0.02  # no jumps


def test_constant_is_constant() -> None:
    assert {SCHEDULES["constant"](d) for d in DONE} == {1.0}


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_is_linear_and_then_forgotten(name: str) -> None:
    for epoch in np.linspace(0, 9.99, 50):
        plain = learning_rate(0.2, name, 0.0, 10, epoch)
        warm = learning_rate(0.2, name, 2.0, 10, epoch)
        assert plain == pytest.approx(0.2 * SCHEDULES[name](epoch / 10))
        assert warm == pytest.approx(plain * min(1.0, epoch / 2), abs=2e-4)
        assert warm > 0  # also the very first step learns


def test_the_rate_scales_the_schedule() -> None:
    assert learning_rate(3.0, "cosine", 0.0, 8, 2.0) == pytest.approx(
        3.0 * 0.5 * (1 + math.cos(math.pi / 4))
    )
