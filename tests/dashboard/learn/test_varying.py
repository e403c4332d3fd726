"""The numbers of the lesson on how much sigma may vary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2, norm

from ddrs_core.dashboard.learn.lessons import varying


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDRS_HOME", str(tmp_path_factory.mktemp("home")))
        found: dict[str, Any] = varying.facts()
    return found


def test_lengths_of_noise_are_those_of_the_chi_distribution(facts: dict[str, Any]) -> None:
    for d, edge, least in zip(facts["dimensions"], facts["radius"], facts["least"], strict=True):
        assert chi2.cdf(d * edge**2, d) == pytest.approx(0.99, abs=1e-3)
        expected = chi2.cdf(chi2.ppf(0.99, d) / (1 + varying.EXCESS) ** 2, d)
        np.testing.assert_allclose(least, expected, atol=1e-3)


def test_what_the_texts_say_holds(facts: dict[str, Any]) -> None:
    dimensions = facts["dimensions"]
    room = dict(zip(dimensions, facts["room"]["0.99"], strict=True))
    assert round(100 * room[3_072]) == 3
    assert room[150_528] < 0.005
    assert room[3_072] / room[150_528] == pytest.approx(np.sqrt(150_528 / 3_072), rel=0.02)
    assert 0.25 * (1 + room[3_072]) == pytest.approx(0.257, abs=5e-4)
    assert facts["reach"] == pytest.approx(norm.ppf(0.99))
    assert facts["least"][0][10] > 0.5 > facts["least"][dimensions.index(3_072)][10]
    assert 0.4 < facts["outside"]["64"] / facts["different"] < 0.5  # almost half


def test_the_pairs_outside_are_those_beyond_the_drawn_band(facts: dict[str, Any]) -> None:
    far, ratio = (np.array(values) for values in facts["pairs"])
    for d in varying.BANDS:
        low, high = (np.interp(far, facts["distances"], end) for end in facts["bands"][str(d)])
        outside = (ratio != 1) & ((ratio < low) | (ratio > high))
        assert abs(int(outside.sum()) - facts["outside"][str(d)]) <= 6  # of those at its edge
