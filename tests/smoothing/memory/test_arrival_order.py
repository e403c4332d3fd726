"""Replaying certificates in many orders: against one-by-one settlement, and exact invariants."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing.certificate import ABSTAIN
from ddrs_core.smoothing.memory.arrival_order import (
    Distances,
    KnownPointsMemory,
    replay,
    replay_orders,
    summarise_orders,
)
from ddrs_core.smoothing.memory.distance import distance, distances
from ddrs_core.smoothing.memory.rules import Ball, Outcome, Settlement, settle

Claims = tuple[np.ndarray, list[int], list[float]]


def one_by_one(claims: Claims, order: list[int]) -> list[Settlement]:
    """The definition: look at every indexed ball, settle, store."""
    points, predictions, radii = claims
    stored: list[tuple[Ball, np.ndarray]] = []
    found = []
    for place, row in enumerate(order):
        near = [(ball, distance(centre, points[row])) for ball, centre in stored]
        settlement = settle(predictions[row], radii[row], near)
        if settlement.enters_index:
            stored.append((Ball(place, settlement.prediction, settlement.radius), points[row]))
        found.append(settlement)
    return found


@st.composite
def claims(draw: st.DrawFn) -> Claims:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, n = draw(st.integers(1, 14)), draw(st.sampled_from([1, 2, 8]))
    coarse = draw(st.sampled_from([None, 4]))
    points = rng.random((m, n))
    points = points if coarse is None else np.round(points * coarse) / coarse
    predictions = [int(c) for c in rng.integers(-1, 3, m)]
    scale = draw(st.sampled_from([0.3, 1.0]))
    radii = [0.0 if c == ABSTAIN else float(scale * rng.random()) for c in predictions]
    return points, predictions, radii


@settings(max_examples=100)
@given(claims(), st.randoms(use_true_random=False))
def test_a_replay_is_settling_one_by_one(given_: Claims, random: object) -> None:
    points, predictions, radii = given_
    order = list(range(len(points)))
    random.shuffle(order)  # type: ignore[attr-defined]
    arrivals = list(replay(Distances.between(points), predictions, radii, order))
    assert [arrival.row for arrival in arrivals] == order
    for arrival, wanted in zip(arrivals, one_by_one(given_, order), strict=True):
        found = arrival.settlement
        assert (found.outcome, found.prediction, found.radius, found.by) == (
            wanted.outcome,
            wanted.prediction,
            wanted.radius,
            wanted.by,
        )
        assert set(found.parts) == set(wanted.parts)


@settings(max_examples=50)
@given(claims(), st.integers(0, 1000))
def test_no_order_leads_to_an_overlap(given_: Claims, seed: int) -> None:
    points, predictions, radii = given_
    known = Distances.between(points)
    for result in replay_orders(known, predictions, radii, shuffles=4, seed=seed):
        assert sorted(result.order) == list(range(len(points)))
        assert sum(count for _, count in result.outcomes) == len(points)
        for i, j in itertools.combinations(range(len(points)), 2):
            a, b = result.predictions[i], result.predictions[j]
            if a != b and ABSTAIN not in (a, b):
                together = Fraction(result.radii[i]) + Fraction(result.radii[j])
                ways = [
                    Fraction(u) - Fraction(v) for u, v in zip(points[i], points[j], strict=True)
                ]
                assert together**2 <= sum(way**2 for way in ways)


def test_bounds_are_those_of_single_distances() -> None:
    points = np.random.default_rng(0).random((7, 1, 3, 3)).astype(np.float32)
    known = Distances.between(points)
    for i in range(7):
        assert [known.of(i, j) for j in range(7)] == distances(points, points[i])


def test_who_comes_first_wins() -> None:
    """A large ball of class 0 and a small one of class 1 inside it: first come, first served."""
    points, predictions, radii = (
        np.array([[0.0, 0.0], [0.5, 0.0], [9.0, 0.0]]),
        [0, 1, 1],
        [1.0, 0.4, 1.0],
    )
    results = list(replay_orders(Distances.between(points), predictions, radii, shuffles=200))
    study = summarise_orders(results)
    assert results[0].order == (0, 1, 2)
    assert results[0].predictions.tolist() == [0, 0, 1]
    assert results[0].radii.tolist() == pytest.approx([1.0, 0.5, 1.0])
    assert study.orders == 201
    (changing,) = study.changing
    assert changing.row == 1
    counts = dict(changing.answers)
    assert counts[0] + counts[1] == 201
    assert 60 < counts[0] < 140  # either of the two is first in half of the orders
    assert study.changing_share == pytest.approx(1 / 3)
    for result, mean, changed in zip(results, study.mean_radius, study.changed_share, strict=True):
        small_first = result.order.index(1) < result.order.index(0)
        assert changed == pytest.approx(1 / 3 if small_first else 0)
        assert mean == pytest.approx((0.1 + 0.4 + 1.0 if small_first else 2.5) / 3)
        assert result.mean_radius == mean
    assert study.radius_spread == pytest.approx([0.9, 0.1, 0.0])


def test_balls_that_never_meet_depend_on_no_order() -> None:
    points = np.arange(20.0)[:, None]
    study = summarise_orders(
        list(replay_orders(Distances.between(points), [0, 1] * 10, [0.4] * 20, shuffles=10))
    )
    assert study.changing == ()
    assert not study.changed_share.any()
    assert not study.radius_spread.any()
    assert study.mean_radius == pytest.approx(0.4)


def test_the_same_seed_gives_the_same_orders() -> None:
    known = Distances.between(np.random.default_rng(3).random((30, 2)))
    args = (known, [i % 3 for i in range(30)], [0.2] * 30)
    first, again = ([r.order for r in replay_orders(*args, shuffles=3, seed=5)] for _ in range(2))
    other = [r.order for r in replay_orders(*args, shuffles=3, seed=6)]
    assert first == again
    assert first[1:] != other[1:]


def test_many_orders_of_hundreds_of_images_take_seconds() -> None:
    rng = np.random.default_rng(0)
    known = Distances.between(rng.random((300, 64)))
    started = time.process_time()
    results = list(
        replay_orders(known, rng.integers(0, 10, 300).tolist(), [1.2] * 300, shuffles=20)
    )
    assert time.process_time() - started < 20
    counts = dict(results[0].outcomes)
    assert counts[Outcome.TRIMMED] > 0


def test_what_makes_no_sense_is_refused() -> None:
    known = Distances.between(np.zeros((2, 1)))
    for predictions, radii, order in (
        ([0], [0.1, 0.2], None),
        ([0, 1], [0.1, -0.2], None),
        ([0, -1], [0.1, 0.1], None),
        ([0, 1], [0.1, 0.2], [0, 0]),
        ([0, 1], [0.1, 0.2], [0]),
    ):
        with pytest.raises(InvalidParameterError):
            replay(known, predictions, radii, order)
    with pytest.raises(InvalidParameterError):
        replay_orders(known, [0, 1], [0.1, 0.2], shuffles=0)
    with pytest.raises(InvalidParameterError):
        summarise_orders([])
    memory = KnownPointsMemory(Distances.between(np.zeros((1, 1))))
    memory.add(0, 0, 0.1)
    with pytest.raises(InvalidParameterError):
        memory.add(0, 0, 0.1)
