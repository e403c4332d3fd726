"""Figures of the memory are valid Plotly, true to scale, and say what they show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddrs_core.figures.memory.balls import class_hue, class_symbol
from ddrs_core.figures.memory.bank import (
    bank_gaps_figure,
    bank_growth_figure,
    bank_radii_figure,
    bank_sigmas_figure,
    changing_images_figure,
    order_study_figure,
)
from ddrs_core.figures.memory.meeting import DrawnBall, collision_figure, walk_figure
from ddrs_core.figures.memory.settlement import plane_figure, ruler_figure
from ddrs_core.figures.palette import Figure
from ddrs_core.smoothing.certificate import Bound, Certificate
from ddrs_core.smoothing.grade import Grade
from ddrs_core.smoothing.memory.arrival_order import Distances, replay_orders, summarise_orders
from ddrs_core.smoothing.memory.collisions import WalkPoint
from ddrs_core.smoothing.memory.distance import distance
from ddrs_core.smoothing.memory.geometry import deciding_parts, plane_through
from ddrs_core.smoothing.memory.rules import Ball, Outcome, Settlement, settle
from tests.figures.valid import named, validate_with_axes

NAMES = ("cat", "dog", "bird")


def settled(
    prediction: int, radius: float, *balls: tuple[int, float, list[float]]
) -> tuple[Settlement, list[np.ndarray]]:
    """A query at the origin, and stored balls by class, radius and centre."""
    centres = [np.array(centre) for *_, centre in balls]
    near = [
        (Ball(i, c, r), distance(centre, np.zeros(3)))
        for i, ((c, r, _), centre) in enumerate(zip(balls, centres, strict=True))
    ]
    return settle(prediction, radius, near), centres


CASES = {
    Outcome.UNTOUCHED: settled(0, 0.5),
    Outcome.TRIMMED: settled(0, 1.0, (1, 0.5, [1.0, 0, 0]), (2, 0.5, [0, 1.3, 0])),
    Outcome.ADOPTED: settled(0, 0.3, (1, 0.9, [0.0, 0.6, 0]), (2, 0.1, [-0.3, 0, 0.1])),
    Outcome.ENLARGED: settled(0, 0.1, (0, 2.0, [0.0, 0.0, 1.0])),
    Outcome.RESCUED: settled(-1, 0.0, (2, 0.7, [0.1, 0.1, 0.1])),
}


def plane_of(outcome: Outcome, **more: str) -> tuple[Settlement, Figure]:
    settlement, centres = CASES[outcome]
    parts = deciding_parts(settlement)
    plane = plane_through(np.zeros(3), *(centres[part.ball.id] for part in parts))
    dimmed = [
        (Ball(7, 2, 1.0), plane.section([0.2, 0.2, 0.2], 1.0)),
        (Ball(8, 1, 0.1), plane.section([9.0, 9.0, 9.0], 0.1)),
    ]
    return settlement, plane_figure(settlement, plane, parts, dimmed, NAMES, **more)


def test_what_nobody_has_certified_is_not_called_by_an_outcome() -> None:
    settlement, figure = plane_of(Outcome.RESCUED, answered="the memory answers")
    said = str([(t.get("name"), t.get("hovertemplate")) for t in figure["data"]])
    assert f"the memory answers: {NAMES[settlement.prediction]}" in said
    assert "rescued" not in said


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_plane_is_true_to_scale(outcome: Outcome) -> None:
    settlement, figure = plane_of(outcome)
    assert settlement.outcome is outcome
    validate_with_axes(figure)
    assert figure["layout"]["yaxis"]["scaleanchor"] == "x"
    assert figure["layout"]["yaxis"]["scaleratio"] == 1
    circles = named(figure)
    answer = circles[f"{outcome}: {NAMES[settlement.prediction]}"]
    np.testing.assert_allclose(np.hypot(answer["x"], answer["y"]), settlement.radius)
    assert answer["line"]["dash"] == "solid"
    assert answer["line"]["color"] == class_hue(settlement.prediction)
    claimed = [trace for name, trace in circles.items() if name.startswith("claimed")]
    assert len(claimed) == (settlement.claimed_radius > 0)
    for trace in claimed:
        np.testing.assert_allclose(np.hypot(trace["x"], trace["y"]), settlement.claimed_radius)
        assert trace["line"]["dash"] == "dash"
    for part in settlement.parts[:2]:
        trace = circles[f"ball {part.ball.id}: {NAMES[part.ball.prediction]}"]
        centre = np.array([np.mean(trace["x"][:-1]), np.mean(trace["y"][:-1])])
        assert np.hypot(*centre) == pytest.approx(part.distance.high)
        apart = np.hypot(trace["x"] - centre[0], trace["y"] - centre[1])
        np.testing.assert_allclose(apart, part.ball.radius)
        assert "distance" in trace["hovertemplate"]
        assert "slack" in trace["hovertemplate"]


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.UNTOUCHED])
def test_the_bold_line_is_as_long_as_the_settled_radius(outcome: Outcome) -> None:
    settlement, figure = plane_of(outcome)
    line = named(figure)["to the surface that decided"]
    assert np.hypot(line["x"][1], line["y"][1]) == pytest.approx(settlement.radius)


def test_a_ball_that_the_plane_misses_is_not_drawn() -> None:
    _, figure = plane_of(Outcome.TRIMMED)
    assert len([trace for trace in figure["data"] if trace.get("opacity") == 0.4]) == 1
    assert not any("ball 8" in trace["hovertemplate"] for trace in figure["data"])


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_ruler_has_a_row_for_each_ball(outcome: Outcome) -> None:
    settlement, _ = CASES[outcome]
    figure = ruler_figure(settlement, NAMES)
    validate_with_axes(figure)
    bars = [trace for trace in figure["data"] if trace["mode"] == "lines+markers"]
    assert len(bars) == len(settlement.parts)
    for part in settlement.parts:
        (bar,) = [b for b in bars if b["y"][0].startswith(f"ball {part.ball.id}:")]
        d, r = part.distance.high, part.ball.radius
        assert bar["x"] == pytest.approx([d - r, d, d + r])
    overlaps = [trace for trace in figure["data"] if trace["mode"] == "lines"]
    assert len(overlaps) == sum(part.conflicts for part in settlement.parts)
    uprights = {s["x0"] for s in figure["layout"]["shapes"] if s["type"] == "line"}
    assert {0.0, settlement.radius, -settlement.radius} <= uprights


def test_classes_look_different() -> None:
    looks = {(class_hue(c), class_symbol(c)) for c in range(-1, 40)}
    assert len(looks) == 41


def test_two_balls_meet_at_their_true_distance() -> None:
    first = DrawnBall(0, 0.8, 0, 0.8, "ball 1")
    second = DrawnBall(1, 0.5, 1, 0.2, "ball 2")
    figure = collision_figure(first, second, 1.0, NAMES)
    validate_with_axes(figure)
    reach = {
        (trace["line"].get("dash", "solid"), round(float(np.min(trace["x"])), 6))
        for trace in figure["data"]
        if trace["mode"] == "lines"
    }
    assert reach == {("solid", -0.8), ("dash", 0.5), ("solid", 0.8)}  # the settled ones touch
    assert figure["layout"]["yaxis"]["scaleanchor"] == "x"


def test_gaps_are_counted_on_both_sides_of_zero() -> None:
    figure = bank_gaps_figure([-0.3, 0.2, 0.5], [0.0, 0.2, 0.5])
    validate_with_axes(figure)
    assert [int(np.sum(trace["y"])) for trace in figure["data"]] == [3, 3]
    assert figure["layout"]["shapes"][0]["x0"] == 0
    validate_with_axes(bank_gaps_figure([], []))


def test_growth_adds_up() -> None:
    outcomes = ["untouched", "trimmed", "untouched", "abstained", "adopted", "trimmed"]
    figure = bank_growth_figure(outcomes)
    validate_with_axes(figure)
    ends = {trace["name"]: int(trace["y"][-1]) for trace in figure["data"]}
    assert ends == {"untouched": 2, "trimmed": 2, "adopted": 1, "abstained": 1}
    total = sum(trace["y"] for trace in figure["data"])
    np.testing.assert_array_equal(total, np.arange(1, 7))
    validate_with_axes(bank_growth_figure([]))


def test_histograms_hold_every_ball() -> None:
    rng = np.random.default_rng(0)
    claimed, sigmas = rng.gamma(2, 0.2, 100), rng.uniform(0.1, 0.5, 100)
    figure = bank_radii_figure(claimed, claimed / 2)
    validate_with_axes(figure)
    assert [int(trace["y"].sum()) for trace in figure["data"]] == [100, 100]
    sigma_figure = bank_sigmas_figure(sigmas)
    validate_with_axes(sigma_figure)
    assert int(sigma_figure["data"][0]["y"].sum()) == 100
    validate_with_axes(bank_radii_figure([], []))


def test_orders_are_points() -> None:
    known = Distances.between(np.array([[0.0], [0.5], [9.0]]))
    study = summarise_orders(
        list(replay_orders(known, [0, 1, 1], [1.0, 0.4, 1.0], shuffles=20, seed=1))
    )
    figure = order_study_figure(study)
    validate_with_axes(figure)
    traces = named(figure)
    assert len(traces["shuffled"]["x"]) == 20
    assert traces["as given"]["y"].tolist() == [0]
    images = changing_images_figure(study, [10, 11, 12])
    validate_with_axes(images)
    assert all(trace["x"] == ["image 11"] for trace in images["data"])
    assert sum(trace["y"][0] for trace in images["data"]) == pytest.approx(1)


def test_a_walk_is_drawn_along_its_line() -> None:
    points = []
    for t, (settlement, _) in zip(np.linspace(0, 1, 5), CASES.values(), strict=True):
        certificate = Certificate(
            None,
            None,
            None,
            settlement.claimed,
            settlement.claimed_radius,
            0.25,
            Grade.CONDITIONAL,
            (9, 1, 0),
            10,
            10,
            0.001,
            Bound.ONE_SIDED,
            0.6,
            0,
            "fp32",
            "m",
            0.1,
        )
        points.append(WalkPoint(float(t), torch.zeros(1, 1, 3), certificate, settlement))
    figure = walk_figure(points, 4.0, NAMES)
    validate_with_axes(figure)
    assert figure["layout"]["yaxis"]["scaleanchor"] == "x"
    centres = [trace["x"][0] for trace in figure["data"] if trace["mode"] == "markers"]
    assert centres == pytest.approx([0, 1, 2, 3, 4])
    validate_with_axes(walk_figure([], 0.0))
