"""The numbers of the lesson on the memory, by the rules as the paper states them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, norm

from ddrs_core.dashboard.learn.demo_bank import demo_bank
from ddrs_core.dashboard.learn.lessons import memory
from ddrs_core.smoothing import round_down
from ddrs_core.smoothing.memory.arrival_order import replay_orders, summarise_orders
from ddrs_core.smoothing.memory.rules import Outcome


@pytest.fixture(scope="module", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDRS_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def test_the_pair_contradicts_itself_and_each_may_be_trimmed() -> None:
    pair = memory.stored_pair()
    assert pair["classes"] == [9, 3]
    assert sum(pair["radii"]) > pair["distance"] > max(pair["radii"])


def test_certificates_of_the_walk_are_proved_by_their_votes() -> None:
    for point in memory.walked():
        c = point.certificate
        k = c.counts[c.prediction]
        bound = beta.ppf(c.alpha, k, c.n - k + 1) if k < c.n else c.alpha ** (1 / c.n)
        assert c.radius == pytest.approx(c.sigma * norm.ppf(bound), rel=1e-9)


def test_every_order_is_settled_by_algorithm_2() -> None:
    facts = memory.facts()
    points = facts["points"]
    at = np.array([np.array(point["pixels"]) for point in points])
    for order in facts["orders"]:
        stored: list[tuple[int, int, float]] = []  # row, class, radius
        for arrival in order:
            row, claimed = arrival["row"], points[arrival["row"]]
            answer, radius = claimed["claimed"], claimed["radius"]
            slack = [(math.dist(at[row], at[i]) - r, c) for i, c, r in stored]
            others = [
                s
                for s, (_, c, _) in zip(slack, stored, strict=True)
                if c != answer and s[0] < radius
            ]
            if others:
                nearest, other = min(others)
                radius, answer = (nearest, answer) if nearest > 0 else (-nearest, other)
            same = [-s for s, c in slack if c == answer and -s > radius]
            radius = max([radius, *same])
            assert arrival["answer"] == answer
            assert arrival["radius"] == pytest.approx(radius, abs=2e-3)  # pixels have three digits
            stored.append((row, answer, radius))


def test_what_the_texts_say_holds() -> None:
    from_nine, from_three = memory.facts()["orders"][:2]
    assert {a["answer"] for a in from_nine} == {9}  # whoever is first decides
    assert sum(a["answer"] == 3 for a in from_three) >= 10
    balls, _, between = demo_bank()
    claims = [b.claimed for b in balls], [b.claimed_radius for b in balls]
    study = summarise_orders(list(replay_orders(between, *claims, shuffles=20)))
    assert len(balls) == 481
    (kept,) = [ball for ball in balls if ball.certificate.index == memory.SECOND]
    assert (kept.outcome, round_down(kept.radius)) == (Outcome.TRIMMED, "0.364")
    assert not study.changing
    assert int((study.radius_spread > 0).sum()) == 95
