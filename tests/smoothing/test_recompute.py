"""A certificate is believed as far as its own votes prove it, and no farther."""

from __future__ import annotations

import math
from dataclasses import replace
from time import process_time

import numpy as np
import pytest

from ddrs_core.smoothing import ABSTAIN, Bound, Certificate, Grade
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.certificate import prove_radius
from ddrs_core.smoothing.recompute import recompute


def made(
    counts: tuple[int, ...],
    candidate: int = 0,
    sigma: float = 0.25,
    alpha: float = 0.001,
    bound: Bound = Bound.ONE_SIDED,
    schedule: str = "",
) -> Certificate:
    """What the program makes of some votes."""
    n = sum(counts)
    spent = LookSchedule.from_text(schedule).spent(n, alpha) if schedule else alpha
    proof = prove_radius(counts, candidate, sigma, spent, bound)
    return Certificate(
        dataset=None,
        index=None,
        label=None,
        radius=proof.radius,
        sigma=sigma,
        counts=counts,
        prediction=candidate if proof.radius > 0 else ABSTAIN,
        grade=Grade.CONDITIONAL,
        n0=100,
        n=n,
        alpha=alpha,
        bound=bound,
        p_lower=proof.p_lower,
        seed=0,
        precision="fp32",
        model="abc",
        seconds=0.0,
        candidate=candidate,
        schedule=schedule,
    )


def random_certificates(count: int) -> list[Certificate]:
    """Of all kinds that the program makes."""
    rng = np.random.default_rng(0)
    looks = LookSchedule(20_000).check()
    certificates = []
    for _ in range(count):
        adaptive = rng.random() < 0.3
        n = int(rng.choice(looks.looks)) if adaptive else int(rng.choice([100, 1_000, 100_000]))
        shares = rng.dirichlet(rng.choice([0.05, 0.5, 2.0], 4))
        counts = tuple(int(c) for c in rng.multinomial(n, shares))
        certificates.append(
            made(
                counts,
                int(rng.integers(4)),
                float(rng.uniform(0.01, 2)),
                float(rng.choice([0.001, 1e-9, 0.05])),
                list(Bound)[int(rng.integers(2))],
                looks.to_text() if adaptive else "",
            )
        )
    return certificates


def test_what_the_program_makes_is_what_its_votes_prove() -> None:
    certificates = random_certificates(400)
    assert {c.abstained for c in certificates} == {True, False}
    for c, found in zip(certificates, recompute(certificates), strict=True):
        assert not found.problem
        assert found.prediction == c.prediction
        assert found.radius == pytest.approx(c.radius, rel=1e-9, abs=1e-12)
        assert found.p_lower == pytest.approx(c.p_lower, rel=1e-9)


def test_unanimous_votes_prove_what_cohen_et_al_say() -> None:
    """sigma * Phi^-1(alpha^(1/N)): 2.463 sigma for N = 1,000."""
    claimed = replace(made((1000, 0)), radius=1.3, p_lower=1.0)
    (found,) = recompute([claimed])
    assert found.radius == pytest.approx(2.463 * 0.25, abs=1e-3 * 0.25)
    assert "1,000 of 1,000 votes" in found.problem
    assert "0.615" in found.problem
    assert "1.3" in found.problem


def test_votes_that_prove_no_class_prove_no_radius_however_small() -> None:
    for radius in (0.0, 1e-300, 1e-13, 0.0125):
        (found,) = recompute([replace(made((520, 480)), prediction=0, radius=radius)])
        assert (found.prediction, found.radius) == (ABSTAIN, 0.0)
        assert "prove no class" in found.problem


def test_a_claim_below_what_is_proved_is_sound() -> None:
    """As one that was printed with fewer digits, rounded down."""
    c = made((990, 10))
    (found,) = recompute([replace(c, radius=c.radius / 2, p_lower=c.p_lower / 2)])
    assert not found.problem


def test_a_certificate_without_a_candidate_is_counted_for_its_answer() -> None:
    c = made((5, 990, 5), 1)
    (found,) = recompute([replace(c, candidate=ABSTAIN)])
    assert not found.problem
    assert (found.prediction, found.radius) == (1, pytest.approx(c.radius))


GOOD = made((990, 10))
LOOKS = LookSchedule(20_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"radius": 50.0},
        {"radius": 1e308},
        {"radius": math.inf},
        {"radius": math.nan},
        {"radius": -0.1},
        {"radius": GOOD.radius * 1.000001},
        {"sigma": 0.0},
        {"sigma": 1e300},
        {"sigma": -0.25},
        {"sigma": math.nan},
        {"sigma": 0.2},
        {"counts": (990, 20)},
        {"counts": (1010, -10)},
        {"counts": ()},
        {"counts": (1000,) * 2, "n": 2000, "radius": 0.1},
        {"counts": (10, 990)},
        {"n": -1000},
        {"n": 0},
        {"n": 999},
        {"n0": 0},
        {"n0": -5},
        {"n": 10**4000},
        {"counts": (10**4000, 10)},
        {"candidate": 10**4000},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"alpha": math.nan},
        {"alpha": 1e-6},
        {"bound": Bound.TWO_SIDED},
        {"p_lower": 0.999},
        {"p_lower": math.nan},
        {"p_lower": 2.0},
        {"candidate": 1},
        {"candidate": 2},
        {"candidate": -2},
        {"prediction": 1},
        {"prediction": 2},
        {"prediction": -2},
        {"prediction": ABSTAIN},
        {"schedule": "now and then"},
        {"schedule": LOOKS.to_text()},
    ],
    ids=lambda changes: ",".join(f"{k}={str(v)[:12]}" for k, v in changes.items()),
)
def test_no_number_can_be_changed_to_claim_more(changes: dict) -> None:
    sound, forged, later = GOOD, replace(GOOD, **changes), made((0, 1000), 1)
    first, found, last = recompute([sound, forged, later])
    assert found.problem
    assert len(found.problem) < 300
    assert not first.problem
    assert not last.problem


def test_the_bound_of_an_interim_look_is_lower_than_that_of_a_fixed_number() -> None:
    """Whoever drops the schedule of a certificate claims more than its look may spend."""
    n = LOOKS.looks[2]
    adaptive = made((n - 5, 5), schedule=LOOKS.to_text())
    fixed = made((n - 5, 5))
    assert adaptive.radius < fixed.radius
    (found,) = recompute([replace(fixed, schedule=adaptive.schedule)])
    assert found.problem
    assert found.radius == pytest.approx(adaptive.radius)


def test_a_hundred_thousand_certificates_are_a_matter_of_seconds() -> None:
    certificates = random_certificates(1000) * 100
    started = process_time()
    recompute(certificates)
    assert process_time() - started < 20
