"""Published figures hang together."""

from __future__ import annotations

import numpy as np
import pytest

from ddrs_core.runs.results.published import CAVEAT, PublishedResult, list_published


@pytest.mark.parametrize("result", list_published(), ids=lambda result: result.name)
def test_figures_are_possible(result: PublishedResult) -> None:
    assert len(result.radii) == len(result.accuracy)
    assert list(result.accuracy) == sorted(result.accuracy, reverse=True)
    assert all(0 <= share <= 1 for share in result.accuracy)
    assert result.radii[0] == 0
    assert result.source
    assert "published" in result.title


@pytest.mark.parametrize(
    "result", [r for r in list_published() if r.acr is not None], ids=lambda result: result.name
)
def test_the_average_radius_is_the_area_below_the_curve(result: PublishedResult) -> None:
    """The area is bounded from below by the steps at their ends; above, the curve has a tail."""
    steps = np.array(result.accuracy)
    assert result.acr is not None
    assert 0.25 * steps[1:].sum() <= result.acr + 0.005
    assert (
        result.acr <= 0.25 * steps.sum() + 4 * result.sigma * steps[-1]
    )  # no radius exceeds 4 sigma


def test_they_are_found_by_data_set() -> None:
    names = [result.name for result in list_published()]
    assert len(set(names)) == len(names) == 13
    assert {result.dataset for result in list_published("imagenet")} == {"imagenet"}
    assert len(list_published("imagenet")) == 3
    assert list_published("digits") == []


def test_what_they_are_worth_is_said() -> None:
    assert "cannot be compared" in CAVEAT
