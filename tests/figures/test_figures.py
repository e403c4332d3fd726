"""Figures are valid Plotly and show what they are given."""

from __future__ import annotations

import base64
import dataclasses
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binomtest, norm

from ddrs_core.figures import (
    Figure,
    curve_figure,
    encode_figure,
    interval_figure,
    quantiles,
    sigmas_figure,
    training_figure,
    trajectory_figure,
    votes_figure,
)
from ddrs_core.smoothing import Bound, CurveFit, SigmaStep, VoteProgress
from ddrs_core.smoothing.confidence import radius_cap
from ddrs_core.smoothing.sigma.radius_curve import read_curve
from ddrs_core.training import EpochSummary, SigmaSummary
from tests.figures.valid import validate

NAMES = ("cat", "dog", "owl")


def steps(count: int) -> list[SigmaStep]:
    return [
        SigmaStep(k, 10, 0.5 + 0.01 * k, 0.3, 0.1, 0.9, 0.1, 1, 0.55 if k == 10 else None, "")
        for k in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [0, 1, 7, 10])
def test_trajectory(count: int) -> None:
    figure = trajectory_figure(steps(count), 10, 0.5)
    validate(figure)
    assert len(figure["data"][0]["x"]) == count
    assert figure["layout"]["xaxis"]["range"] == [0, 11]  # fixed while it runs


def test_the_trajectory_marks_the_step_that_is_shown() -> None:
    marks = trajectory_figure(steps(10), 10, 0.5, shown=4)["data"][2]
    assert marks["x"] == [4]
    assert marks["y"] == [pytest.approx(0.54)]


def _boxes(figure: Figure, width: float, height: float) -> list[tuple[float, ...]]:
    """Left, right, bottom and top of each label in the plot area, in pixels."""
    low, high = figure["layout"]["yaxis"]["range"]
    left, right = figure["layout"]["xaxis"]["domain"]
    width *= right - left
    found = []
    for label in figure["layout"]["annotations"]:
        size = label["font"]["size"]
        wide, tall = 0.75 * size * len(label["text"]), 1.5 * size
        y = height * (label["y"] - low) / (high - low)
        left = 0.0 if label["xanchor"] == "left" else width * label["x"] - wide
        y = y if label["yanchor"] == "bottom" else y - tall
        found.append((left, left + wide, y, y + tall))
    return found


@given(st.floats(0.01, 3.0), st.floats(-1.0, 1.0), st.sampled_from([0.0, 1e-9, 1e-3, 1.0]))
def test_the_names_of_the_levels_never_overlap(start: float, way: float, scale: float) -> None:
    """Nor do they stand in the way of the curve where it leaves its start and nears its end."""
    end = max(0.005, start + way * scale * start)
    done = SigmaStep(2, 2, (start + end) / 2, 0.3, 0.1, 0.9, 0.1, 1, end, "")
    figure = trajectory_figure([SigmaStep(1, 2, start, 0.3, 0.1, 0.9, 0.1, 1), done], 2, start)
    for width in (360, 1200):
        a, b = _boxes(figure, width, 300)
        assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
    first, second = figure["layout"]["annotations"]
    assert (first["y"], second["y"]) == (start, end)
    if end > start:
        assert (first["yanchor"], second["yanchor"]) == ("top", "bottom")
    if end < start:
        assert (first["yanchor"], second["yanchor"]) == ("bottom", "top")


def test_curve() -> None:
    grid = np.geomspace(0.1, 1.0, 5)
    counts = np.array([[100, 0, 0], [95, 5, 0], [80, 20, 0], [60, 40, 0], [40, 60, 0]])
    curve = read_curve(grid, counts, radius_cap(grid, 1000, 0.001), 200)
    figure = curve_figure(curve, NAMES, (0.1, 1.0), sigma_0=0.5, current=0.3, chosen=0.2)
    validate(figure)
    named = {trace.get("name"): trace for trace in figure["data"]}
    assert {
        "estimate",
        "95 % band",
        "cap",
        "other class",
        "σ₀",
        "now",
        "σ*",
    } <= set(named)
    assert list(named["other class"]["x"]) == [1.0]
    assert np.all(curve.low <= curve.radius)
    assert np.all(curve.radius <= curve.high)
    validate(curve_figure(None, NAMES, (0.1, 1.0), sigma_0=0.5))


LEVELS = np.geomspace(0.05, 1.1, 41)


def fit(best: tuple[float, float] = (0.2, 0.4)) -> CurveFit:
    """A curve with its top, .6, at .3; 40 votes at every second level, and more to come at two."""
    radius = 0.6 - 0.1 * np.log(LEVELS / 0.3) ** 2
    n = np.where(np.arange(41) % 2 == 0, 40, 0)
    held = np.where(LEVELS < 0.3, n, n * 3 // 4)
    planned = np.where(np.arange(41) // 2 == 11, (np.arange(41) % 2 + 1) * 20, 0)
    return CurveFit(
        LEVELS,
        held,
        n - held,
        n,
        radius,
        radius - 0.1,
        radius + 0.1,
        planned,
        np.array(best, dtype=float),
    )


def test_a_fitted_curve_is_where_the_step_says() -> None:
    figure = curve_figure(None, NAMES, (0.05, 1.2), sigma_0=0.5, current=0.3, fit=fit())
    validate(figure)
    named = {trace["name"]: trace for trace in figure["data"] if "name" in trace}
    top = figure["layout"]["yaxis"]["range"][1]
    assert top > 0.6
    assert (min(named["σ*, 90 %"]["x"]), max(named["σ*, 90 %"]["x"])) == (0.2, 0.4)
    assert list(named["fit"]["x"]) == LEVELS.tolist()
    assert max(named["fit"]["y"]) == pytest.approx(0.6, abs=0.001)
    upper, lower = (t for t in figure["data"] if t.get("line", {}).get("width") == 0)
    assert np.all(lower["y"] < named["fit"]["y"])
    assert np.all(named["fit"]["y"] < upper["y"])
    assert "tonexty" in lower["fill"]
    coming = named["next votes"]
    assert list(coming["x"]) == LEVELS[22:24].tolist()
    assert coming["text"] == ["20", "40"]
    assert coming["marker"]["size"][0] < coming["marker"]["size"][1]
    assert all(0 < y < 0.1 * top for y in coming["y"])
    assert named["now"]["y"] == [pytest.approx(0.6, abs=0.001)]  # on the fitted curve
    validate(curve_figure(None, NAMES, (0.05, 1.2), sigma_0=0.5, fit=fit((0.3, 0.3))))


def test_the_votes_of_neighbouring_levels_are_one_point_with_its_interval() -> None:
    figure = curve_figure(None, NAMES, (0.05, 1.2), sigma_0=0.5, fit=fit(), bound=Bound.ONE_SIDED)
    votes = next(trace for trace in figure["data"] if trace.get("name") == "votes, fit")
    counted = [tuple(map(int, text.split(" of "))) for text in votes["text"]]
    assert sum(n for _, n in counted) == 21 * 40
    for sigma, radius, symbol, up, down, (held, n) in zip(
        votes["x"],
        votes["y"],
        votes["marker"]["symbol"],
        votes["error_y"]["array"],
        votes["error_y"]["arrayminus"],
        counted,
        strict=True,
    ):
        assert 0.05 <= sigma <= 1.1
        assert (symbol == "circle-open") == (held == n)
        low, high = binomtest(held, n).proportion_ci(0.95, "exact")
        assert radius - down == pytest.approx(max(0.0, sigma * norm.ppf(low)))
        if held < n:
            assert radius == pytest.approx(sigma * norm.ppf(held / n))
            assert radius + up == pytest.approx(sigma * norm.ppf(high))


def test_the_curve_stays_behind_the_fit() -> None:
    grid = np.geomspace(0.1, 1.0, 5)
    counts = np.array([[100, 0, 0], [95, 5, 0], [80, 20, 0], [60, 40, 0], [40, 60, 0]])
    curve = read_curve(grid, counts, radius_cap(grid, 1000, 0.001), 200)
    figure = curve_figure(curve, NAMES, (0.05, 1.2), sigma_0=0.5, chosen=0.3, fit=fit())
    validate(figure)
    names = [trace.get("name") for trace in figure["data"]]
    assert names.index("estimate") < names.index("fit")
    legend = [t["name"] for t in figure["data"] if "name" in t and t.get("showlegend", True)]
    assert "95 % band" not in legend
    assert max(map(len, legend)) <= len("other class")


def test_rounds_have_intervals_and_whole_numbers() -> None:
    rounds = [
        SigmaStep(k, 5, 0.3 + 0.01 * k, 0.6, 0.0, 0.9, 0.1, 1, fit=fit((0.2, 0.6 - 0.05 * k)))
        for k in (1, 2)
    ]
    rounds.append(dataclasses.replace(rounds[-1], step=5, chosen=0.32))  # the third, and the last
    figure = trajectory_figure(rounds, 5, 0.5, shown=2, rounds=True)
    validate(figure)
    sigma, radius, mark, _ = figure["data"]
    assert sigma["x"].tolist() == [1, 2, 3]
    assert mark["x"] == [2]
    bars = sigma["error_y"]
    assert (sigma["y"] - bars["arrayminus"]).tolist() == pytest.approx([0.2] * 3)
    assert (sigma["y"] + bars["array"]).tolist() == pytest.approx([0.55, 0.5, 0.5])
    assert (radius["y"] + radius["error_y"]["array"]).tolist() == pytest.approx([0.7] * 3, abs=0.01)
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < 0.2 < 0.55 < high
    axis = figure["layout"]["xaxis"]
    assert (axis["title"]["text"], axis["range"], axis["dtick"]) == (
        "round",
        [0.5, pytest.approx(5.8)],
        1,
    )


def test_votes_show_the_ten_leading_classes() -> None:
    figure = votes_figure([3, 90, 7], NAMES, label=1)
    validate(figure)
    assert figure["data"][0]["y"] == ["cat", "dog (label)", "owl"]
    assert list(figure["data"][0]["x"]) == pytest.approx([0.03, 0.9, 0.07])
    many = votes_figure(list(range(100)), tuple(f"c{i}" for i in range(100)))
    validate(many)
    assert many["data"][0]["y"] == [*(f"c{i}" for i in range(90, 100)), "89 other classes"]


def test_interval() -> None:
    votes = [VoteProgress("estimate", n, 100, (n - 2, 2, 0), 0, 0.7, 0.99) for n in (10, 50, 100)]
    waiting = [VoteProgress("select", 10, 10, (9, 1, 0), 0, 0.5, 0.99)]
    figure = interval_figure({"sigma_0": votes, "sigma*": waiting}, 100)
    validate(figure)
    assert [len(t["x"]) for t in figure["data"]] == [3, 3, 3]


def epochs(count: int, *, loss: float = 0.5) -> list[EpochSummary]:
    """Epochs in which ever more of 100 images leave the middle bin for the last one."""
    edges = (0.0, 0.25, 0.5, 0.75, 1.0)
    return [
        EpochSummary(
            k,
            10,
            loss,
            0.8,
            0.1,
            1.0,
            SigmaSummary(0.6, edges, (0, 0, 100 - 5 * k, 5 * k), ((3, 0.9),)),
        )
        for k in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [0, 1, 7, 10])
def test_a_training_run_by_epoch(count: int) -> None:
    figure = training_figure(epochs(count), 10, shown=3, now=(count + 0.5, 0.4, 0.9))
    validate(figure)
    assert len(figure["data"][0]["x"]) == count
    assert figure["layout"]["xaxis"]["range"] == [0, pytest.approx(10.2)]  # fixed while it runs
    assert len(figure["data"]) == (6 if count >= 3 else 4)


def test_a_diverged_run_can_be_drawn() -> None:
    figure = training_figure(epochs(3, loss=float("nan")), 10)
    validate(figure)
    assert figure["layout"]["yaxis"]["range"] == [0, pytest.approx(1.08)]


def test_the_histogram_is_that_of_the_epoch_that_is_shown() -> None:
    figure = sigmas_figure(epochs(7), 10, 0.6, (0.0, 1.0), shown=4)
    validate(figure)
    assert list(figure["data"][0]["y"]) == pytest.approx([0, 0, 0.8, 0.2])
    assert sum(figure["data"][0]["customdata"]) == 100
    assert list(sigmas_figure(epochs(7), 10, 0.6, (0.0, 1.0))["data"][0]["y"])[3] == 0.35
    medians = figure["data"][1]
    assert list(medians["y"]) == list(range(1, 8))
    assert np.all(np.diff(medians["x"]) > 0)  # ever more images move up


def test_the_picture_has_a_row_for_every_epoch_and_no_wider_range_than_the_axis() -> None:
    figure = sigmas_figure(epochs(7), 10, 0.6, (0.0, 1.0))
    (picture,) = figure["layout"]["images"]
    assert (picture["x"], picture["sizex"]) == (0.0, 1.0)
    assert (picture["y"], picture["sizey"]) == (0.5, 7)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture["source"].split(",")[1]))))
    height, width = pixels.shape[0] // 7, pixels.shape[1] // 4
    alpha = pixels[height // 2 :: height, width // 2 :: width, 3]  # [epochs, bins]
    assert alpha.shape == (7, 4)
    assert np.all(alpha[:, :2] == 0)
    assert np.all(alpha[:, 2] == 255)
    assert np.all(np.diff(alpha[:, 3].astype(int)) > 0)


def test_nothing_is_drawn_where_nothing_is_known() -> None:
    figure = sigmas_figure([], 10, 0.6, (0.1, 1.0))
    validate(figure)
    assert figure["layout"]["images"] == []
    assert figure["layout"]["xaxis"]["range"] == [0.1, 1.0]


def test_quantiles_of_a_histogram() -> None:
    even = SigmaSummary(0.5, (0.0, 0.5, 1.0), (50, 50), ())
    assert list(quantiles(even, (0.1, 0.5, 0.9))) == pytest.approx([0.1, 0.5, 0.9])
    one = SigmaSummary(0.5, (0.0, 0.5, 1.0), (0, 7), ())
    assert list(quantiles(one, (0.5,))) == pytest.approx([0.75])


def test_arrays_travel_as_bytes_and_nan_is_refused() -> None:
    sent = json.loads(encode_figure({"data": [{"x": np.arange(3), "y": np.ones(3)}]}))["data"][0]
    assert np.frombuffer(base64.b64decode(sent["x"]["bdata"]), np.int32).tolist() == [0, 1, 2]
    assert sent["y"]["dtype"] == "f4"
    with pytest.raises(ValueError, match="JSON"):
        encode_figure({"layout": {"width": float("nan")}})


def test_of_many_classes_those_with_most_votes_are_named_apart_and_the_rest_is_one_bar() -> None:
    names = tuple(f"a photograph of the animal {i:04d}" for i in range(1000))
    counts = [0] * 1000
    counts[7], counts[8] = 600, 200
    for c in range(20, 60):
        counts[c] = 5
    figure = votes_figure(counts, names, label=8)
    bars = figure["data"][0]
    assert len(set(bars["y"])) == len(bars["y"]) == 11
    assert max(map(len, bars["y"])) < 40
    assert sum(bars["x"]) == pytest.approx(1)
    assert bars["y"][-1] == "32 other classes"
    assert sum("(label)" in name for name in bars["y"]) == 1
