"""Worlds of the plane on their way to the browser, and the numbers of the lessons about them."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest
from scipy.special import ndtri
from starlette.requests import Request
from starlette.responses import Response

from ddrs_core.dashboard.learn.lessons import one_sigma, own_sigma
from ddrs_core.dashboard.learn.worlds import (
    BANDS,
    ROUTES,
    encode_world,
    get_world,
    parse_problem,
    to_query,
    world_url,
)
from ddrs_core.errors import DDRSError
from ddrs_core.smoothing.plane import (
    ASCENT,
    BUDGET,
    GRID,
    SIGMAS,
    PlaneConfig,
    PlanePoints,
    PlaneProblem,
    as_images,
    build_world,
)
from ddrs_core.smoothing.plane.comparison import expected_radii
from ddrs_core.smoothing.sigma.base import choose_sigmas

OWN = PlaneProblem(
    own=((0.2, 0.4, 0), (0.8, 0.6, 1), (0.0, 1.0, 2)), network=PlaneConfig(width=6, steps=60)
)


def array(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def ask(query: str) -> Response:
    return ROUTES[0].endpoint(Request({"type": "http", "query_string": query.encode()}))


def test_a_problem_comes_back_from_its_address() -> None:
    for problem in (PlaneProblem(), BANDS, replace(OWN, network=PlaneConfig(width=6, noise=0.1))):
        assert parse_problem(to_query(problem)) == problem


@pytest.mark.parametrize(
    "query",
    [
        {"data": "../x"},
        {"own": "123"},
        {"own": "zzzzz"},
        {"own": "00ff7"},
        {"own": "00001" * 121},
        {"own": "00001"},  # one class
        {"noise": "nan"},
        {"noise": "-1"},
        {"width": "1e9"},
        {"width": "4096"},
        {"seed": "-1"},
    ],
)
def test_an_address_is_not_trusted(query: dict[str, str]) -> None:
    with pytest.raises(DDRSError):
        parse_problem(query)
    assert ask(urlencode(query)).status_code == 400


def test_the_browser_gets_the_exact_probabilities_and_the_network() -> None:
    world = build_world(OWN)
    facts: dict[str, Any] = json.loads(gzip.decompress(encode_world(world)))
    shape = (3, len(SIGMAS), GRID, GRID)
    z = array(facts["z"], "<i2").reshape(shape).cumsum(axis=-1, dtype=int) / facts["scale"]
    assert np.abs(z - world.z).max() <= 0.5 / facts["scale"] + 1e-9
    hidden = np.array([[0.3, 0.7]])
    for layer in facts["layers"]:
        bias = array(layer["bias"], "<f4")
        outputs = hidden @ array(layer["weight"], "<f4").reshape(len(bias), -1).T + bias
        hidden = np.tanh(outputs)
    side = facts["cells"]
    window = array(facts["window"], "u1").reshape(side, side)
    assert outputs.argmax() == window[int(0.7 * side), int(0.3 * side)]


def test_the_route_sends_it_for_ever() -> None:
    url = urlsplit(world_url(PlaneProblem("rings", network=PlaneConfig(width=4))))
    assert url.path == ROUTES[0].path
    answer = ask(url.query)
    assert json.loads(gzip.decompress(bytes(answer.body)))["classes"] == 2
    assert "immutable" in answer.headers["cache-control"]


def expected_at(sigma: float) -> dict[str, float]:
    """The radius that each point of the lessons is expected to get."""
    world, places = get_world(BANDS), np.array(list(one_sigma.POINTS.values()))
    of_network = world.network(as_images(places)).argmax(1).numpy()
    points = PlanePoints(places, of_network)
    radii = expected_radii(world, points, np.full(len(places), sigma))
    return dict(zip(one_sigma.POINTS, radii.tolist(), strict=True))


def test_algorithm_1_gains_half_at_a_and_goes_too_far_at_b() -> None:
    start, network = expected_at(own_sigma.START), get_world(BANDS).network
    for name, low, high in (("A", 1.4, 1.6), ("B", 0.7, 1.0)):
        x = as_images(np.array([one_sigma.POINTS[name]])).expand(20, -1, -1, -1)
        *_, last = choose_sigmas(network, x, [own_sigma.START] * 20, ASCENT, budget=BUDGET)
        gains = [expected_at(sigma)[name] / start[name] for sigma in last.chosen]
        assert low < np.mean(gains) < high
        assert np.mean([low < gain < high for gain in gains]) >= 0.9


def test_a_sigma_for_every_point_gains_a_third_of_the_mean_radius() -> None:
    means = {row["name"]: row["mean"] for row in own_sigma.table_rows()}
    single = max(means["largest"], means["careful"])
    assert means["surface"] / single == pytest.approx(4 / 3, abs=0.02)


def test_the_lessons_show_what_is_expected_to_be_proved() -> None:
    world, facts = get_world(BANDS), one_sigma.facts()
    i = 12
    radii = expected_radii(world, world.points, np.full(160, facts["levels"][i]))
    assert facts["mean"][i] == pytest.approx(radii.mean(), abs=1e-4)
    assert facts["right"][i] == pytest.approx((radii > 0).mean(), abs=0.01)
    table = facts["proved"]
    z = world.cells.at_points(np.array([[0.56, 0.42]]), np.array([0.05]))
    shown = 0.05 * np.interp(ndtri(z.max()), table["z"], table["proved"])
    assert shown == pytest.approx(0.111, abs=2e-3)
    start = expected_at(own_sigma.START)
    for name, rounds in own_sigma.surface_rounds().items():
        gain = expected_at(rounds[-1]["chosen"])[name] / start[name]
        assert gain > 1.4 if name == "A" else 0.98 < gain < 1 if name == "B" else gain > 1
        votes = [sum(one["n"]) for one in rounds]
        assert votes == sorted(votes)
        assert rounds[-1]["chosen"]
        assert votes[-1] <= own_sigma.SURFACE.votes
