"""Balls that meet, on the way between two images and in a set of certificates."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError, MismatchError
from ddrs_core.smoothing import CertificationBudget, SearchConfig, SmoothedClassifier
from ddrs_core.smoothing.certificate import ABSTAIN
from ddrs_core.smoothing.grade import Grade
from ddrs_core.smoothing.memory.arrival_order import Distances, replay
from ddrs_core.smoothing.memory.collisions import (
    WalkConfig,
    WalkPoint,
    find_collisions,
    from_both_ends,
    from_left_to_right,
    walk,
)
from ddrs_core.smoothing.memory.distance import distance
from ddrs_core.smoothing.memory.rules import Ball, Outcome, overlap


class Halves(nn.Module):
    """Class 1 where the first pixel is above 1/2: no noise level changes the smoothed class."""

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        s = x.flatten(1)[:, 0] - 0.5
        return torch.stack([-s, s], dim=1)


class Island(nn.Module):
    """Class 0 where the first pixel is within 0.3 of 1/2: large noise sees the sea, class 1."""

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        s = 0.3 - (x.flatten(1)[:, 0] - 0.5).abs()
        return torch.stack([s, -s], dim=1)


def image(first: float, second: float = 0.5) -> Tensor:
    return torch.tensor([[[first, second]]])


def test_circles_that_touch_and_circles_that_cross() -> None:
    points = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [3.0, 4.0]])
    known = Distances.between(points)  # a rectangle with diagonals of 5
    found = find_collisions(known, [0, 1, 2, ABSTAIN], [2.0, 1.5, 3.0, 0.0])
    assert [(p.first, p.second) for p in found] == [(0, 2), (0, 1)]
    assert [p.gap for p in found] == pytest.approx([4 - 5, 3 - 3.5])
    assert [p.depth for p in found] == pytest.approx([1, 0.5])
    everything = find_collisions(known, [0, 1, 2, ABSTAIN], [2.0, 1.5, 3.0, 0.0], within=math.inf)
    assert [(p.first, p.second) for p in everything] == [(0, 2), (0, 1), (1, 2)]
    assert everything[-1].gap == pytest.approx(5 - 4.5)
    assert not everything[-1].overlaps
    assert find_collisions(known, [0, 0, 0, 0], [9.0] * 4) == []
    apart = find_collisions(known, [0, 1, 0, 0], [2.0, 1.0 - 1e-9, 0.0, 0.0])
    assert apart == []


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(2, 20))
def test_all_pairs_are_found_and_sorted(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    points, classes, radii = rng.random((m, 3)), rng.integers(-1, 3, m), rng.random(m) * 0.5
    radii[classes == ABSTAIN] = 0.0
    found = find_collisions(Distances.between(points), classes.tolist(), radii.tolist())
    wanted = {
        (i, j)
        for i, j in itertools.combinations(range(m), 2)
        if ABSTAIN not in (classes[i], classes[j])
        and overlap(
            Ball(0, int(classes[i]), radii[i]),
            Ball(1, int(classes[j]), radii[j]),
            distance(points[i], points[j]),
        )
    }
    assert {(pair.first, pair.second) for pair in found} == wanted
    gaps = [pair.gap for pair in found]
    assert gaps == sorted(gaps)
    assert all(pair.overlaps for pair in found)


def test_ways_to_walk_visit_the_same_points() -> None:
    assert from_left_to_right(5) == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert from_both_ends(5) == (0.0, 1.0, 0.25, 0.75, 0.5)
    assert sorted(from_both_ends(6)) == list(from_left_to_right(6))
    with pytest.raises(InvalidParameterError):
        from_both_ends(1)


def points_of(
    f: nn.Module, a: Tensor, b: Tensor, ts: tuple[float, ...], c: WalkConfig
) -> list[WalkPoint]:
    steps = list(walk(SmoothedClassifier(f, 2), a, b, ts, c))
    assert steps[-1].done == steps[-1].total == len(ts)
    return [step.point for step in steps if step.point is not None]


def test_on_the_way_through_one_classifier_nothing_collides() -> None:
    config = WalkConfig(sigma_0=0.25, budget=CertificationBudget(n=1000))
    ts = from_both_ends(11)
    points = points_of(Halves(), image(0.1), image(0.9), ts, config)
    assert tuple(point.t for point in points) == ts
    for point in points:
        s = float(point.image.flatten()[0])
        assert s == pytest.approx(0.1 + 0.8 * point.t, abs=1e-6)
        assert point.certificate.grade is Grade.UNCONDITIONAL
        assert point.certificate.radius <= abs(s - 0.5) + 1e-6
        assert point.settlement.outcome in (Outcome.UNTOUCHED, Outcome.ENLARGED, Outcome.RESCUED)
    assert points[0].settlement.prediction == 0
    assert points[1].settlement.prediction == 1


def test_sigmas_of_their_own_make_balls_collide() -> None:
    """At the middle of the island small noise certifies it; on the shore, large noise the sea."""
    config = WalkConfig(
        sigma_0=0.4, budget=CertificationBudget(n=2000), strategy=SearchConfig(bounds=(0.05, 1.5))
    )
    points = points_of(Island(), image(0.5), image(0.9), from_left_to_right(9), config)
    assert {point.certificate.prediction for point in points} >= {0, 1}
    assert {point.settlement.outcome for point in points} & {Outcome.TRIMMED, Outcome.ADOPTED}
    images = np.stack([point.image.numpy() for point in points])
    again = replay(
        Distances.between(images),
        [point.certificate.prediction for point in points],
        [point.certificate.radius for point in points],
    )
    assert [a.settlement for a in again] == [point.settlement for point in points]
    assert {point.certificate.grade for point in points} == {Grade.CONDITIONAL}
    assert len({point.certificate.index for point in points}) == 9  # noise of their own


def test_walks_that_make_no_sense_are_refused() -> None:
    smoothed, config = SmoothedClassifier(Halves(), 2), WalkConfig(sigma_0=0.25)
    with pytest.raises(MismatchError):
        walk(smoothed, image(0.1), torch.zeros(1, 2, 1), (0.0, 1.0), config)
    for ts in ((), (0.0, 1.1), (math.nan,)):
        with pytest.raises(InvalidParameterError):
            walk(smoothed, image(0.1), image(0.9), ts, config)
    with pytest.raises(InvalidParameterError):
        walk(smoothed, image(0.1), image(1.9), (0.0, 1.0), config)
    with pytest.raises(InvalidParameterError):
        walk(smoothed, image(0.1), image(0.9), (0.0,), WalkConfig(sigma_0=-1.0))
    with pytest.raises(InvalidParameterError):
        find_collisions(Distances.between(np.zeros((2, 1))), [0], [0.1])
    with pytest.raises(InvalidParameterError):
        find_collisions(Distances.between(np.zeros((2, 1))), [0, -1], [0.1, 0.1])
