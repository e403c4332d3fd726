"""The rules of the memory, against a slow reference in exact arithmetic."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing.certificate import ABSTAIN
from ddrs_core.smoothing.memory.directed_rounding import add_upward, sub_downward
from ddrs_core.smoothing.memory.distance import distance, distances
from ddrs_core.smoothing.memory.rules import Ball, Outcome, Settlement, overlap, settle

Points = list[tuple[np.ndarray, int, float]]  # input, class, certified radius

_NEARLY = Decimal("1e-11")  # closer to a tie than this, rounding may decide


def squared(x: np.ndarray, y: np.ndarray) -> Fraction:
    """The exact square of the distance of two points of double precision."""
    differences = [Fraction(a) - Fraction(b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    return sum((d * d for d in differences), Fraction(0))


def root(square: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        return (Decimal(square.numerator) / Decimal(square.denominator)).sqrt()


@dataclass(frozen=True)
class Stored:
    """A ball of the memory."""

    centre: np.ndarray
    ball: Ball
    indexed: bool


class Memory:
    """All that a memory needs: remember, look at everything, settle."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []

    def add(self, x: np.ndarray, prediction: int, radius: float) -> Settlement:
        indexed = [s for s in self.stored if s.indexed]
        found = distances(np.stack([s.centre for s in indexed]), x) if indexed else []
        near = list(zip([s.ball for s in indexed], found, strict=True))
        settlement = settle(prediction, radius, near)
        if settlement.is_stored:
            ball = Ball(len(self.stored), settlement.prediction, settlement.radius)
            self.stored.append(Stored(x, ball, settlement.enters_index))
        return settlement


def check_exactly(memory: Memory) -> None:
    """No two balls of different class overlap: (R_i + R_j)^2 <= d^2 as rational numbers."""
    for a, b in itertools.combinations(memory.stored, 2):
        if a.ball.prediction != b.ball.prediction:
            together = Fraction(a.ball.radius) + Fraction(b.ball.radius)
            assert together**2 <= squared(a.centre, b.centre)
    for ball in (s.ball for s in memory.stored):
        assert ball.radius >= 0


def reference(
    memory: Memory, x: np.ndarray, prediction: int, radius: float
) -> tuple[set[Outcome], int | None, Decimal, bool]:
    """Outcome, class and radius straight from the definition; and whether it was a near tie.

    All stored balls are looked at, those that enter no index too.
    """
    near_tie = False
    with localcontext() as context:
        context.prec = 60
        held, own = Decimal(radius), prediction
        entries = [
            (root(squared(s.centre, x)), Decimal(s.ball.radius), s.ball) for s in memory.stored
        ]
        outcome = Outcome.UNTOUCHED
        if prediction != ABSTAIN:
            gaps = []
            for d, r, ball in entries:
                if ball.prediction != prediction:
                    near_tie |= abs(d - (r + held)) < _NEARLY or abs(d - r) < _NEARLY
                    if d < r + Decimal(radius):
                        gaps.append((d - r, ball))
            if gaps:
                v, ball = min(gaps, key=lambda pair: pair[0])
                if v > 0:
                    outcome, held = Outcome.TRIMMED, v
                else:
                    outcome, own, held = Outcome.ADOPTED, ball.prediction, -v
        inside = [(r - d, ball) for d, r, ball in entries if d < r]
        near_tie |= any(abs(d - r) < _NEARLY for d, r, _ in entries)
        if prediction == ABSTAIN:
            if inside:
                most, ball = max(inside, key=lambda pair: pair[0])
                return {Outcome.RESCUED}, ball.prediction, most, near_tie
            return {Outcome.UNTOUCHED}, ABSTAIN, Decimal(0), near_tie
        same = [gap for gap, ball in inside if ball.prediction == own]
        if own == prediction and same and max(same) > held:
            near_tie |= max(same) - held < _NEARLY
            outcome, held = Outcome.ENLARGED, max(same)
        return {outcome}, own, held, near_tie


def run_checked(points: Points) -> Memory:
    memory = Memory()
    for x, prediction, radius in points:
        outcomes, own, held, near_tie = reference(memory, x, prediction, radius)
        settlement = memory.add(x, prediction, radius)
        if not near_tie:
            assert settlement.outcome in outcomes
            assert settlement.prediction == own
            assert abs(Decimal(settlement.radius) - held) < _NEARLY
        assert Decimal(settlement.radius) <= held + _NEARLY
        assert (settlement.by is None) == (settlement.outcome is Outcome.UNTOUCHED)
        check_exactly_last(memory)
    return memory


def check_exactly_last(memory: Memory) -> None:
    if not memory.stored:
        return
    *others, new = memory.stored
    for other in others:
        if other.ball.prediction != new.ball.prediction:
            together = Fraction(other.ball.radius) + Fraction(new.ball.radius)
            assert together**2 <= squared(other.centre, new.centre)


@st.composite
def sequences(draw: st.DrawFn) -> Points:
    """Random points with radii of the size of their distances, abstentions among them."""
    seed, dimension = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([2, 3, 8, 64]))
    rng = np.random.default_rng(seed)
    size, classes = draw(st.integers(2, 14)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from([np.float64, np.float32]))
    points = rng.random((size, dimension)).astype(kind).astype(np.float64)
    scale = math.sqrt(dimension / 6)  # the usual distance of two of them
    found: Points = []
    for x in points:
        prediction = int(rng.integers(-1, classes))
        radius = 0.0 if prediction == ABSTAIN else float(rng.random() * scale)
        found.append((x, prediction, radius))
    return found


@settings(max_examples=300)
@given(sequences())
def test_random_sequences(points: Points) -> None:
    run_checked(points)


@st.composite
def hard_sequences(draw: st.DrawFn) -> Points:
    """Points on a coarse grid, with radii that make balls touch, coincide or nest, give or take
    the last bit."""
    dimension = draw(st.sampled_from([1, 2, 3]))
    coordinate = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0, 1e-9, 1e-300])
    points = draw(st.lists(st.tuples(*[coordinate] * dimension), min_size=2, max_size=8))
    radii = [0.0, 0.1, 0.2, 0.3, 0.1 + 0.2, 0.25, 0.5, math.sqrt(2) / 10, 1e-9, 5e-324, 1e-300, 1.0]
    found: Points = []
    for point in points:
        prediction = draw(st.integers(-1, 2))
        radius = draw(st.sampled_from(radii))
        radius = draw(
            st.sampled_from(
                [radius, math.nextafter(radius, 2.0), max(0.0, math.nextafter(radius, -1.0))]
            )
        )
        found.append((np.array(point), prediction, 0.0 if prediction == ABSTAIN else radius))
    return found


@settings(max_examples=500)
@given(hard_sequences())
@example([(np.array([0.1]), 0, 0.2), (np.array([0.1]), 1, 0.2), (np.array([0.3]), 1, 0.1)])
@example([(np.array([0.0]), 0, 0.1), (np.array([0.3]), 1, 0.2), (np.array([0.1]), -1, 0.0)])
def test_touching_equal_and_nested_balls(points: Points) -> None:
    memory = Memory()
    for x, prediction, radius in points:
        *_, held, near_tie = reference(memory, x, prediction, radius)
        settlement = memory.add(x, prediction, radius)
        assert near_tie or abs(Decimal(settlement.radius) - held) < _NEARLY
    check_exactly(memory)


@pytest.mark.parametrize("seed", range(6))
def test_all_orders_of_a_small_set(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points: Points = [
        (rng.random(2), int(rng.integers(0, 2)), float(rng.random() * 0.6)) for _ in range(5)
    ]
    answers = set()
    for order in itertools.permutations(points):
        memory = run_checked(list(order))
        answers.add(tuple(sorted((s.centre[0], s.ball.prediction) for s in memory.stored)))
    assert answers  # the invariant held in every order; what differs is who came first


def test_answers_do_depend_on_the_order_of_arrival() -> None:
    big, small = (np.array([0.0, 0.0]), 0, 1.0), (np.array([0.5, 0.0]), 1, 0.4)
    first, second = Memory(), Memory()
    for memory, order in ((first, (big, small)), (second, (small, big))):
        for point in order:
            memory.add(*point)
    assert [s.ball.prediction for s in first.stored] == [0, 0]
    assert [s.ball.prediction for s in second.stored] == [1, 0]
    assert second.stored[1].ball.radius == pytest.approx(0.1)


def test_one_smoothed_classifier_never_contradicts_itself() -> None:
    """Certificates of one classifier, the sign of a coordinate, are neither trimmed nor adopted."""
    rng = np.random.default_rng(0)
    memory = Memory()
    outcomes = []
    for x in rng.standard_normal((200, 3)):
        margin = abs(float(x[0]))
        outcomes.append(memory.add(x, int(x[0] > 0), margin * float(rng.random())).outcome)
    assert set(outcomes) <= {Outcome.UNTOUCHED, Outcome.ENLARGED}
    assert Outcome.ENLARGED in outcomes


def test_an_abstention_inside_a_ball_gets_what_the_ball_proves() -> None:
    memory = Memory()
    memory.add(np.zeros(2), 1, 0.5)
    inside = memory.add(np.array([0.3, 0.0]), ABSTAIN, 0.0)
    assert (inside.outcome, inside.prediction) == (Outcome.RESCUED, 1)
    assert inside.radius == pytest.approx(0.2)
    outside = memory.add(np.array([0.6, 0.0]), ABSTAIN, 0.0)
    assert (outside.outcome, outside.prediction, outside.radius) == (Outcome.UNTOUCHED, ABSTAIN, 0)
    assert not outside.is_stored
    assert len(memory.stored) == 2


@settings(max_examples=200)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.floats(-1e-160, 1e-160), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
def test_a_distance_lies_between_its_bounds(values: list[float], random: object) -> None:
    x = np.array(values)
    y = x.copy()
    random.shuffle(y)  # type: ignore[attr-defined]
    found = distance(x, y)
    exact = squared(x, y)
    assert Fraction(found.low) ** 2 <= exact <= Fraction(found.high) ** 2
    assert found.high - found.low <= 1e-13 * found.high + 3e-150


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_sums_err_on_their_side_by_one_step_at_most(a: float, b: float) -> None:
    up, down = add_upward(a, b), sub_downward(a, b)
    assert Fraction(up) >= Fraction(a) + Fraction(b)
    assert Fraction(math.nextafter(up, -math.inf)) < Fraction(a) + Fraction(b)
    assert Fraction(down) <= Fraction(a) - Fraction(b)
    assert Fraction(math.nextafter(down, math.inf)) > Fraction(a) - Fraction(b)


@pytest.mark.parametrize(
    ("prediction", "radius"),
    [(0, -0.1), (0, math.nan), (0, math.inf), (-2, 0.1), (ABSTAIN, 0.1)],
)
def test_claims_that_make_no_sense_are_refused(prediction: int, radius: float) -> None:
    with pytest.raises(InvalidParameterError):
        settle(prediction, radius, [])


def test_overlap_is_about_classes_that_differ() -> None:
    a, b = Ball(0, 0, 0.5), Ball(1, 1, 0.5)
    assert overlap(a, b, distance([0.0], [0.9]))
    assert not overlap(a, b, distance([0.0], [1.1]))
    assert not overlap(a, Ball(1, 0, 0.5), distance([0.0], [0.9]))
