"""What a set of results knows about itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ddrs_core.models import get_card
from ddrs_core.runs.results.results import from_certificates, trained_how
from ddrs_core.smoothing import ABSTAIN, Bound, Certificate, Grade
from ddrs_core.smoothing.alpha_spending import LookSchedule


def certificate(index: int = 0, label: int | None = 0, **changes: object) -> Certificate:
    made = Certificate(
        "digits",
        index,
        label,
        0,
        0.3,
        0.5,
        Grade.UNCONDITIONAL,
        (990, 10),
        100,
        1000,
        0.001,
        Bound.ONE_SIDED,
        0.97,
        0,
        "fp32",
        "no such digest",
        1.5,
        0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_rows_and_arrays_say_the_same() -> None:
    found = [
        certificate(4),
        certificate(7, label=1),
        certificate(9, label=None),
        certificate(11, prediction=ABSTAIN, radius=0.0),
    ]
    results = from_certificates(found, id="a", title="A")
    assert results.indices.tolist() == [4, 7, 9, 11]
    assert results.labels.tolist() == [0, 1, -1, 0]
    assert results.correct.tolist() == [True, False, False, False]
    assert results.labelled.tolist() == [True, True, False, True]
    assert results.abstained.tolist() == [False, False, False, True]
    assert [row.certificate for row in results.rows] == found


def test_what_all_certificates_share_is_known_and_contradictions_are_said() -> None:
    same = from_certificates([certificate(0), certificate(1)], id="a", title="A")
    assert (same.n, same.n0, same.alpha, same.seed, same.sigma) == (1000, 100, 0.001, 0, 0.5)
    assert (same.method, same.notes, same.acr_is_floor) == ("fixed", (), False)
    mixed = from_certificates(
        [certificate(0), certificate(1, alpha=0.01, n=2000)], id="a", title="A"
    )
    assert (mixed.n, mixed.alpha) == (None, None)
    assert "alpha" in mixed.notes[0]
    assert "n." in mixed.notes[0]


@pytest.mark.parametrize(
    ("grade", "method"),
    [
        (Grade.UNCONDITIONAL, "fixed"),
        (Grade.CONDITIONAL, "ds"),
        (Grade.FOR_QUERIES_AFTER, "ds-memory"),
    ],
)
def test_the_grade_tells_the_method(grade: Grade, method: str) -> None:
    assert from_certificates([certificate(grade=grade)], id="a", title="A").method == method


def test_settings_tell_what_a_certificate_does_not_hold() -> None:
    settings = {"strategy": "ds ascent lr=0.1", "sigma_0": "0.25", "split": "train"}
    results = from_certificates([certificate(sigma=0.4)], id="a", title="A", settings=settings)
    assert (results.method, results.sigma, results.split) == ("ds", 0.25, "train")


def test_adaptive_sampling_makes_the_mean_radius_a_floor_unless_it_aims_at_a_width() -> None:
    looks = LookSchedule(1000, first=128).to_text()
    found = [certificate(i, n=n, schedule=looks) for i, n in enumerate((128, 1000))]
    assert from_certificates(found, id="a", title="A").n == 1000
    for rule, floor in (("radii=0,0.25 reach=0.9", True), ("width=0.05", False)):
        settings = {"schedule": f"{looks} {rule} doubt=0.01"}
        results = from_certificates(found, id="a", title="A", settings=settings)
        assert results.acr_is_floor == floor
        assert results.notes == ()


def test_the_model_tells_how_it_was_trained() -> None:
    for name, training, moved in (
        ("digits-gaussian-0.50", "gaussian", False),
        ("digits-macer-ds2-0.25", "macer", True),
    ):
        assert trained_how(name) == (name, training, moved)
        assert trained_how(get_card(name).digest) == (name, training, moved)
    assert trained_how("mine-smoothadv-ds2-0.12") == ("mine-smoothadv-ds2-0.12", "smoothadv", True)
    assert trained_how("0123") == ("0123", "unknown", None)


def test_nothing_is_a_set_too() -> None:
    results = from_certificates([], id="a", title="A")
    assert results.rows == ()
    assert results.radii.shape == (0,)
    assert results.n is None
