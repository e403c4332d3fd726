"""The numbers of the lesson on what a certificate does not say."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, norm

from ddrs_core.dashboard.compare.view import parse_query as compare_query
from ddrs_core.dashboard.learn.lessons import limits
from ddrs_core.data import load_dataset
from ddrs_core.runs.results.comparison import missing_baseline
from ddrs_core.runs.results.references import reference_results

RESULTS = Path(__file__).resolve().parents[3] / "assets" / "results"


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    found: dict[str, Any] = limits.facts()
    return found


def read(path: Path) -> np.ndarray[Any, Any]:
    """Radii of a log as its text says, 0 where the class is wrong."""
    with path.open() as file:
        lines = (line for line in file if not line.startswith("#"))
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return np.array([float(row["radius"]) if row["correct"] == "1" else -1.0 for row in rows])


def test_curves_and_radii_are_those_of_the_shipped_logs(facts: dict[str, Any]) -> None:
    logs = {name: read(RESULTS / "study" / f"{log}.tsv") for name, log in limits._LOGS.items()}
    logs["tuned"] = read(RESULTS / "tuned/digits-gaussian-0.50-tuned-0.3.tsv")
    for name, shares in facts["accuracy"].items():
        expected = [(logs[name] >= r).mean() for r in limits.RADII]
        np.testing.assert_allclose(shares, expected, atol=1e-9)
    more = np.array(facts["accuracy"]["tuned"]) > facts["accuracy"]["own"]
    assert more.tolist() == [True, False, False, True, True]  # as the claim says
    means = [np.maximum(logs[name], 0).mean() for name in ("best", "tuned")]
    np.testing.assert_allclose(facts["mean"][1:], means, atol=1e-6)
    near = logs["near"]
    assert round(float((near >= 0.75).mean()), 3) == 0.436  # what the claims say
    assert round(float((near >= 0.745).mean()), 3) == 0.45
    assert int(((near >= 0.745) & (near < 0.75)).sum()) == 7
    assert facts["runs"]["all"] == (logs["training"] >= 0.5).mean() == 0.53
    assert max(facts["runs"]["parts"]) == 0.7
    assert np.mean(facts["runs"]["parts"]) == pytest.approx(0.53, abs=0.04)


def test_the_link_to_the_comparison_has_the_tuned_baseline() -> None:
    view, _ = compare_query(dict(limits.LESSON.real[0].query))
    sets = [reference_results(name) for name in view.shown]
    assert missing_baseline(sets) == ()
    assert [s.method for s in sets] == ["ds", "tuned", "fixed"]
    assert (view.a, view.b) == tuple(view.shown[:2])


def test_the_constant_classifier_has_the_mean_of_its_cap(facts: dict[str, Any]) -> None:
    labels = load_dataset("digits", "test").labels
    share = (labels == 2).mean()
    assert share == max((labels == k).mean() for k in range(10)) == facts["right"][0]
    cap = limits.CONSTANT_SIGMA * norm.ppf(limits.ALPHA ** (1 / limits.CONSTANT_VOTES))
    assert facts["mean"][0] == pytest.approx(share * cap)
    assert facts["mean"][0] > 3 * facts["mean"][1]


def test_certificates_follow_from_their_votes_and_distances_from_pixels(
    facts: dict[str, Any],
) -> None:
    for one in [*facts["ruler"], *facts["nonsense"]]:
        if one["answer"] >= 0:
            bound = beta.ppf(0.001, k := one["counts"][one["answer"]], limits.VOTES - k + 1)
            assert one["radius"] == pytest.approx(0.25 * norm.ppf(bound), rel=1e-9)
    first, *_, last = facts["ruler"]
    for one in facts["ruler"]:
        way = np.array(one["pixels"]) - np.array(first["pixels"])
        assert one["distance"] == pytest.approx(np.linalg.norm(way), abs=2e-3)
        assert one["answer"] == first["answer"] or one["distance"] > first["radius"]
    assert last["answer"] != first["answer"] == 4
    assert last["distance"] > 4 * first["radius"]
    assert all(one["answer"] >= 0 for one in facts["nonsense"])
