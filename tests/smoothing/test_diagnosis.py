"""The kinds of failure against certificates whose votes, and the truth behind them, are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import ABSTAIN, Bound, Certificate, Grade
from ddrs_core.smoothing.certificate import prove_radii, prove_radius
from ddrs_core.smoothing.confidence import radius_cap
from ddrs_core.smoothing.diagnosis import (
    MOST_VOTES,
    FailureKind,
    diagnose,
    radii_with,
    samples_needed,
    suggested_radius,
)

SIGMA, ALPHA = 0.5, 0.001


def certificate(
    counts: list[int],
    *,
    label: int | None = 0,
    clean: int | None = 0,
    candidate: int | None = None,
    bound: Bound = Bound.ONE_SIDED,
    **more: object,
) -> Certificate:
    chosen = int(np.argmax(counts)) if candidate is None else candidate
    proof = prove_radius(counts, chosen, SIGMA, ALPHA, bound)
    fields = {
        "dataset": "digits",
        "index": 0,
        "label": label,
        "prediction": chosen if proof.radius > 0 else ABSTAIN,
        "radius": proof.radius,
        "sigma": SIGMA,
        "grade": Grade.UNCONDITIONAL,
        "counts": tuple(counts),
        "n0": 100,
        "n": sum(counts),
        "alpha": ALPHA,
        "bound": bound,
        "p_lower": proof.p_lower,
        "seed": 0,
        "precision": "fp32",
        "model": "m",
        "seconds": 0.0,
        "candidate": chosen,
        "clean": clean,
    }
    return Certificate(**{**fields, **more})  # type: ignore[arg-type]


def kind(c: Certificate, radius: float = 0.5) -> FailureKind:
    return diagnose(c, radius).kind


def test_each_rule_names_its_kind() -> None:
    assert kind(certificate([990, 10])) is FailureKind.CERTIFIED
    assert kind(certificate([990, 10], failure="cut off")) is FailureKind.DAMAGED
    assert kind(certificate([600, 400], clean=1)) is FailureKind.WRONG_CLEAN
    assert kind(certificate([100, 900])) is FailureKind.WRONG_NOISY
    assert kind(certificate([505, 495])) is FailureKind.UNDECIDED_TWO
    assert kind(certificate([400, 350, 250])) is FailureKind.UNDECIDED_MANY
    assert kind(certificate([1000, 0]), 1.4) is FailureKind.CAPPED
    assert kind(certificate([850, 150])) is FailureKind.TOO_FEW_SAMPLES
    assert kind(certificate([800, 200])) is FailureKind.TOO_CLOSE
    settled = certificate([990, 10], grade=Grade.FOR_QUERIES_AFTER, radius=0.2, prediction=0)
    assert kind(settled) is FailureKind.MEMORY


def test_certified_but_wrong_is_marked() -> None:
    for clean, expected in ((1, FailureKind.WRONG_CLEAN), (0, FailureKind.WRONG_NOISY)):
        found = diagnose(certificate([10, 990], clean=clean), 0.5)
        assert (found.kind, found.certified_but_wrong) == (expected, True)
    assert not diagnose(certificate([850, 150]), 0.5).certified_but_wrong


def test_without_a_label_the_leading_class_counts() -> None:
    c = certificate([10, 990], label=None, clean=0)
    assert kind(c) is FailureKind.CERTIFIED
    assert kind(c, 1.2) is FailureKind.TOO_CLOSE


@pytest.mark.parametrize("bound", Bound)
@pytest.mark.parametrize("margin", [0.52, 0.6, 0.8])
def test_samples_needed_certify_half_of_the_time(bound: Bound, margin: float) -> None:
    """A linear classifier gives p = Phi(margin / sigma): with N drawn votes the radius reaches the
    target about as often as not, with a tenth rarely and with ten times nearly always."""
    target, p = 0.5, float(norm.cdf(margin / SIGMA))
    n = 1_000_000
    c = certificate([round(p * n), n - round(p * n)], bound=bound)
    assert suggested_radius(c) == pytest.approx(margin, abs=1e-3)
    needed = samples_needed(c, target)
    assert needed is not None
    rng = np.random.default_rng(1)

    def share(wanted: int) -> float:
        held = rng.binomial(wanted, p, 2_000)
        _, radius = prove_radii(held, wanted - held, wanted, SIGMA, ALPHA, bound)
        return float((radius >= target).mean())

    assert 0.35 < share(needed) < 0.65
    assert share(10 * needed) > 0.99
    assert share(needed // 10) < 0.1


def test_unanimous_votes_need_the_n_of_the_cap() -> None:
    needed = samples_needed(certificate([1000, 0]), 1.4)
    assert needed is not None
    assert radius_cap(SIGMA, needed, ALPHA) >= 1.4 > radius_cap(SIGMA, needed - 1, ALPHA)


def test_what_no_number_of_samples_proves() -> None:
    assert samples_needed(certificate([800, 200]), 0.5) is None
    assert samples_needed(certificate([500, 500]), 0.0) is None


@given(
    counts=st.lists(st.integers(0, 2_000), min_size=2, max_size=6).filter(lambda c: sum(c) > 20),
    label=st.one_of(st.none(), st.integers(0, 1)),
    clean=st.one_of(st.none(), st.integers(0, 1)),
    radius=st.floats(0, 2),
    bound=st.sampled_from(Bound),
)
def test_every_certificate_has_one_kind_and_the_numbers_agree(
    counts: list[int], label: int | None, clean: int | None, radius: float, bound: Bound
) -> None:
    c = certificate(counts, label=label, clean=clean, bound=bound)
    found = diagnose(c, radius)
    certified = c.prediction != ABSTAIN and c.correct is not False and c.radius >= radius
    assert (found.kind is FailureKind.CERTIFIED) == certified
    assert found.reason.endswith(".")
    if found.kind in (FailureKind.TOO_FEW_SAMPLES, FailureKind.CAPPED):
        assert found.suggested is not None
        assert found.suggested >= radius
        assert found.samples_needed is None or found.samples_needed > c.n
    if found.samples_needed is not None and not math.isinf(found.suggested or 0):
        assert found.suggested is not None
        assert found.suggested >= radius
        assert found.samples_needed <= MOST_VOTES


def test_an_adaptive_run_names_the_cap_of_its_last_look() -> None:
    c = certificate([512, 0], schedule="looks n_max=100000 first=512 growth=15 last=0.5")
    found = diagnose(c, 1.6)
    assert found.kind is FailureKind.TOO_FEW_SAMPLES
    assert "Sampling ended after 512 of 100,000 votes" in found.reason
    assert diagnose(c, 1.95).kind is FailureKind.CAPPED


@pytest.mark.parametrize("radius", [-0.1, math.nan, math.inf])
def test_a_radius_that_makes_no_sense_is_refused(radius: float) -> None:
    with pytest.raises(InvalidParameterError, match="radius"):
        diagnose(certificate([990, 10]), radius)


@pytest.mark.parametrize("bound", Bound)
def test_more_votes_with_the_same_shares_prove_what_they_would(bound: Bound) -> None:
    c = certificate([700, 250, 50], bound=bound)
    wanted = [prove_radius([k * v for v in c.counts], 0, SIGMA, ALPHA, bound) for k in (1, 10, 100)]
    found = radii_with(c, [1_000, 10_000, 100_000])
    assert found == pytest.approx([proof.radius for proof in wanted])
    assert c.radius == pytest.approx(found[0])
    assert np.all(found < suggested_radius(c))
