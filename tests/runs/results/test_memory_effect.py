"""What a memory changed, against hand-made settlements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ddrs_core.runs.results.memory_effect import memory_effect
from ddrs_core.runs.results.results import ResultSet, from_certificates
from ddrs_core.smoothing import ABSTAIN, Bound, Certificate, Grade


def claim(votes: int, candidate: int, label: int) -> Certificate:
    """The certificate of an image with so many of 1,000 votes for one of two classes."""
    counts = (votes, 1000 - votes) if candidate == 0 else (1000 - votes, votes)
    made = Certificate(
        "digits",
        0,
        label,
        ABSTAIN,
        0.0,
        0.5,
        Grade.FOR_QUERIES_AFTER,
        counts,
        100,
        1000,
        0.001,
        Bound.ONE_SIDED,
        0.5,
        0,
        "fp32",
        "no such digest",
        1.5,
        candidate,
    )
    radius = made.recompute_radius()
    return replace(made, radius=radius, prediction=candidate if radius > 0 else ABSTAIN)


def results(*certificates: Certificate) -> ResultSet:
    found = [replace(c, index=i) for i, c in enumerate(certificates)]
    return from_certificates(found, id="a", title="A")


def test_every_kind_of_change_is_counted() -> None:
    sure, unsure = claim(990, 0, label=0), claim(510, 1, label=1)
    assert sure.radius > 0.9
    assert unsure.prediction == ABSTAIN
    found = memory_effect(
        results(
            sure,
            unsure,
            replace(sure, radius=sure.radius - 0.3),
            replace(sure, radius=sure.radius - 0.1),
            replace(sure, radius=sure.radius + 0.25),
            replace(sure, prediction=1, radius=0.2),  # right before, wrong now
            replace(unsure, prediction=1, radius=0.4),  # right now
        )
    )
    assert found is not None
    assert (found.images, found.changed) == (7, 5)
    assert (found.adopted, found.rescued, found.smaller, found.larger) == (1, 1, 2, 1)
    assert found.mean_smaller == pytest.approx(0.2)
    assert found.most_smaller == pytest.approx(0.3)
    assert found.mean_larger == found.most_larger == pytest.approx(0.25)
    assert (found.right_before, found.right_after) == (5, 5)
    assert found.acr_before == pytest.approx(5 * sure.radius / 7)
    assert found.acr_after == pytest.approx((4 * sure.radius - 0.15 + 0.4) / 7)
    said = str(found)
    assert "changed 5 answers" in said
    assert "1 abstention was rescued" in said
    assert "2 radii were trimmed by 0.200 on average, 0.300 at most" in said
    assert "1 radius was enlarged by 0.250" in said


def test_averages_are_rounded_down_and_floors_are_called_so() -> None:
    sure = claim(990, 0, label=0)
    held = results(replace(sure, radius=0.69969))
    assert "0.6996 with it" in str(memory_effect(held))
    assert "at least 0.6996 with it" in str(memory_effect(replace(held, acr_is_floor=True)))
    unlabelled = results(replace(sure, label=None, radius=0.2))
    assert "Right" not in str(memory_effect(unlabelled))


def test_a_memory_that_was_not_needed_changed_nothing() -> None:
    found = memory_effect(results(claim(990, 0, label=0), claim(510, 0, label=1)))
    assert found is not None
    assert found.changed == 0
    assert str(found) == "Of 2 images the memory changed no answer."


def test_without_a_memory_or_without_votes_there_is_nothing_to_say() -> None:
    without = results(replace(claim(990, 0, label=0), grade=Grade.CONDITIONAL))
    assert memory_effect(without) is None
    held = results(claim(990, 0, label=0))
    assert memory_effect(replace(held, rows=(replace(held.rows[0], certificate=None),))) is None
    assert memory_effect(replace(held, rows=())) is None


def test_another_rounding_is_no_change() -> None:
    """Other versions of scipy, on other processors, differ in the last digits."""
    sure = claim(990, 0, label=0)
    found = memory_effect(
        results(*(replace(sure, radius=sure.radius * (1 + by)) for by in (-1e-13, 1e-13, 0.0)))
    )
    assert found is not None
    assert found.changed == 0
