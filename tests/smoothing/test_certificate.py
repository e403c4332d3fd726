"""A certificate is complete, survives JSON, and is printed rounded down."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from ddrs_core.errors import InvalidParameterError, UnknownNameError
from ddrs_core.smoothing import ABSTAIN, Bound, Certificate, Grade, round_down
from ddrs_core.smoothing.certificate import prove_radius
from ddrs_core.smoothing.confidence import check_budget


def make(**changes: object) -> Certificate:
    fields: dict = {
        "dataset": "digits",
        "index": 4,
        "label": 2,
        "prediction": 2,
        "radius": 0.5,
        "sigma": 0.25,
        "grade": Grade.CONDITIONAL,
        "counts": (1, 9, 990),
        "n0": 100,
        "n": 1000,
        "alpha": 0.001,
        "bound": Bound.TWO_SIDED,
        "p_lower": 0.97,
        "seed": 3,
        "precision": "fp32",
        "model": "abc",
        "seconds": 0.1,
        "candidate": 2,
    }
    return Certificate(**{**fields, **changes})


@given(st.floats(0, 1e6), st.integers(0, 6))
@settings(max_examples=200)
def test_printed_radii_are_never_above_and_within_one_unit(value: float, digits: int) -> None:
    printed = float(round_down(value, digits))
    assert printed <= value
    assert value - printed < 10.0**-digits * (1 + 1e-6)


@pytest.mark.parametrize(
    ("value", "printed"),
    [(0.3, "0.300"), (0.9999, "0.999"), (0.0, "0.000"), (1.2345, "1.234"), (7.11e-05, "0.000")],
)
def test_printed_examples(value: float, printed: str) -> None:
    assert round_down(value) == printed


def test_round_trip_through_json() -> None:
    certificate = make()
    text = json.dumps(certificate.to_dict())
    assert Certificate.from_dict(json.loads(text)) == certificate


def test_correct_needs_a_label() -> None:
    assert make(label=None).correct is None
    assert make(label=2).correct is True
    assert make(prediction=ABSTAIN).correct is False


@pytest.mark.parametrize("bound", list(Bound))
def test_unanimous_votes_reach_the_cap_and_no_more(bound: Bound) -> None:
    certificate = make(counts=(0, 0, 1000), bound=bound)
    assert certificate.recompute_radius() == pytest.approx(certificate.radius_cap, rel=1e-9)


def test_two_sided_bounds_pay_with_many_classes() -> None:
    # 60 % of the votes, the rest spread thinly: p_B is far below 1 - p_A.
    counts = [600] + [4] * 100
    one = prove_radius(counts, 0, 1.0, 0.001, Bound.ONE_SIDED).radius
    two = prove_radius(counts, 0, 1.0, 0.001, Bound.TWO_SIDED).radius
    assert two > 2 * one > 0


def test_two_sided_bounds_certify_without_a_majority() -> None:
    counts = [400] + [6] * 100
    assert prove_radius(counts, 0, 1.0, 0.001, Bound.ONE_SIDED).radius == 0
    assert prove_radius(counts, 0, 1.0, 0.001, Bound.TWO_SIDED).radius > 0


def test_the_other_class_is_the_most_frequent_one() -> None:
    near = prove_radius([700, 290, 10], 0, 1.0, 0.001, Bound.TWO_SIDED)
    spread = prove_radius([700, 150, 150], 0, 1.0, 0.001, Bound.TWO_SIDED)
    assert near.radius < spread.radius
    exact = (norm.ppf(0.7) - norm.ppf(0.29)) / 2  # what infinitely many samples would prove
    assert near.radius < exact


def test_every_grade_is_explained_in_words() -> None:
    assert all(len(grade.meaning.split()) > 10 for grade in Grade)


@pytest.mark.parametrize(
    ("kind", "near", "known"),
    [(Bound, "two-side", "two-sided"), (Grade, "conditional on sigma", Grade.CONDITIONAL.value)],
)
def test_unknown_names_propose_near_ones(kind: type, near: str, known: str) -> None:
    assert kind(known) == known
    for name in (near, "foo", None, 3):
        with pytest.raises(UnknownNameError, match=known):
            kind(name)
    assert near not in list(kind)


def test_unanimous_votes_prove_something_exactly_from_the_named_sample_count() -> None:
    for bound in Bound:
        with pytest.raises(InvalidParameterError, match=r"alpha = 0\.001") as caught:
            check_budget(1, 2, 0.001, parts=bound.parts)
        needed = int(str(caught.value).split("N >= ")[1].split()[0])
        assert needed == {"one-sided": 10, "two-sided": 11}[bound]
        assert prove_radius([needed, 0], 0, 1.0, 0.001, bound).radius > 0
        assert prove_radius([needed - 1, 0], 0, 1.0, 0.001, bound).radius == 0
