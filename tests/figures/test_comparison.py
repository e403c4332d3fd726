"""Figures of results are valid Plotly, and points lead back to their images."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from ddrs_core.figures.comparison import (
    certified_accuracy_figure,
    curve_styles,
    radius_against_radius_figure,
)
from ddrs_core.figures.palette import GRADE_COLOURS, Figure, encode_figure
from ddrs_core.figures.sigma_choices import (
    radius_against_sigma_figure,
    sigma_by_class_figure,
    sigma_by_correctness_figure,
)
from ddrs_core.figures.tuning import tuning_figure
from ddrs_core.runs.certify.tuned import LevelScore
from ddrs_core.runs.certify.tuning_files import Tuning
from ddrs_core.runs.results.comparison import certified_accuracy, envelope
from ddrs_core.runs.results.paired import pair
from ddrs_core.runs.results.published import list_published
from ddrs_core.runs.results.results import ResultRow, ResultSet
from ddrs_core.smoothing import Grade
from tests.figures.valid import validate_with_axes


def named(figure: Figure) -> dict[str, Figure]:
    """The traces, without the grade that stands behind a curve's name."""
    return {trace["name"].split(" · ")[0]: trace for trace in figure["data"]}


def results_of(m: int, seed: int = 0, **facts: object) -> ResultSet:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(m):
        abstained = rng.random() < 0.1
        radius = 0.0 if abstained else float(rng.gamma(2.0, 0.2))
        label, prediction = int(rng.integers(0, 10)), int(rng.integers(0, 3))
        prediction = -1 if abstained else (label if prediction else (label + 1) % 10)
        sigma = float(rng.uniform(0.1, 0.7))
        rows.append(ResultRow(3 * i, label, prediction, radius, prediction == label, 1.0, sigma))
    known = {"alpha": 0.001, "n": 10_000, "training": "gaussian", "method": "ds", "sigma": 0.25}
    return ResultSet(f"s{seed}", f"set {seed}", tuple(rows), **{**known, **facts})  # type: ignore[arg-type]


def test_the_curve_shows_certified_accuracy() -> None:
    sets = [results_of(200, 0), results_of(200, 1, method="fixed", training="macer")]
    figure = certified_accuracy_figure(
        sets, envelope=envelope(sets), references=list_published("cifar10")[:2]
    )
    validate_with_axes(figure)
    traces = named(figure)
    for results in sets:
        trace = traces[results.title]
        np.testing.assert_allclose(trace["y"][:-1], certified_accuracy(results, trace["x"][:-1]))
        assert trace["y"][-1] == 0
    assert traces["set 0"]["name"] == "set 0 · CONDITIONAL"
    assert traces["envelope (not a classifier)"]["line"]["dash"] == "dot"
    published = [t for name, t in traces.items() if "published" in name]
    assert len(published) == 2
    assert all(t["line"]["width"] < 1.25 for t in published)


def test_curves_have_the_hue_of_their_grade_and_differ() -> None:
    methods = ("ds", "fixed", "ds-memory", "tuned", "unknown") + ("fixed",) * 4
    styles = curve_styles([results_of(5, i, method=m) for i, m in enumerate(methods)])
    assert [style.colour for style in styles[:3]] == [
        GRADE_COLOURS[grade]
        for grade in (Grade.CONDITIONAL, Grade.UNCONDITIONAL, Grade.FOR_QUERIES_AFTER)
    ]
    assert len(set(styles)) == len(styles)


def test_lower_bounds_are_dotted_and_meet_the_curve_at_settled_radii() -> None:
    schedule = "looks n_max=10000 radii=0,0.25,0.5 reach=0.9"
    floor = results_of(200, 0, alpha=None, acr_is_floor=True, schedule=schedule)
    curve, settled = certified_accuracy_figure([floor])["data"]
    assert curve["line"]["dash"] == "dot"
    assert settled["marker"]["symbol"] == "circle-open"
    np.testing.assert_allclose(settled["y"], certified_accuracy(floor, (0, 0.25, 0.5)))
    points = radius_against_radius_figure(pair(floor, floor), floor, floor)["data"]
    assert all(trace["marker"]["symbol"].endswith("-open") for trace in points)


def test_the_legend_has_the_order_of_the_sets() -> None:
    """Plotly's default reverses it where areas are filled."""
    figure = certified_accuracy_figure([results_of(20, i, alpha=0.01) for i in range(2)])
    shown = [t["name"] for t in figure["data"] if t.get("showlegend", True)]
    assert [name[:5] for name in shown] == ["set 0", "set 1"]
    assert figure["layout"]["legend"]["traceorder"] == "normal"


def test_the_band_lies_below_its_curve_and_is_left_out_where_it_does_not_hold() -> None:
    traces = named(certified_accuracy_figure([results_of(200, 0, alpha=0.01)]))
    assert (traces["set 0: sure"]["y"] <= traces["set 0"]["y"]).all()
    assert (traces["set 0: sure"]["y"] < traces["set 0"]["y"]).any()
    assert len(certified_accuracy_figure([results_of(200, 0, alpha=None)])["data"]) == 1


def test_a_point_leads_back_to_its_image() -> None:
    a, b = results_of(100, 0), results_of(100, 1)
    labels = {row.index: row.label for row in a.rows}
    b = replace(b, rows=tuple(replace(r, label=labels[r.index]) for r in b.rows))
    pairs = pair(a, b)
    figure = radius_against_radius_figure(pairs, a, b)
    validate_with_axes(figure)
    shown = np.concatenate([trace["customdata"] for trace in figure["data"]])
    assert sorted(shown) == sorted(pairs.indices)
    rows_a = {row.index: row for row in a.rows}
    rows_b = {row.index: row for row in b.rows}
    for trace in figure["data"]:
        for index, x, y in zip(trace["customdata"], trace["x"], trace["y"], strict=True):
            assert y == (rows_a[index].radius if rows_a[index].correct else 0)
            assert x == (rows_b[index].radius if rows_b[index].correct else 0)


def test_caps_are_drawn_where_they_are_known() -> None:
    ds, fixed = results_of(50, 0), results_of(50, 0, method="fixed", sigma=0.25)
    assert len(radius_against_radius_figure(pair(ds, ds), ds, ds)["layout"]["shapes"]) == 1
    shapes = radius_against_radius_figure(pair(ds, fixed), ds, fixed)["layout"]["shapes"]
    assert len(shapes) == 2
    assert shapes[1]["x0"] == pytest.approx(0.25 * 3.199, abs=0.001)


def test_titles_are_text_and_no_markup() -> None:
    a, b = (replace(results_of(30), title=f"<b>{i}</b> & more") for i in range(2))
    figures = (certified_accuracy_figure([a, b]), radius_against_radius_figure(pair(a, b), a, b))
    for figure in figures:
        assert "<b>" not in encode_figure(figure)
        assert "&lt;b&gt;0&lt;/b&gt; &amp; more" in encode_figure(figure)


def medians(figure: Figure) -> list[Figure]:
    """The part of every box that stands for its images."""
    return [trace for trace in figure["data"] if trace["mode"] == "markers"]


def test_noise_levels_by_class_and_by_answer() -> None:
    results = results_of(300)
    by_class = sigma_by_class_figure(results, [f"name {c}" for c in range(10)])
    validate_with_axes(by_class)
    assert [box["name"] for box in medians(by_class)] == [f"name {c}" for c in range(10)]
    by_answer = sigma_by_correctness_figure(results)
    validate_with_axes(by_answer)
    assert [box["name"] for box in medians(by_answer)] == ["right", "wrong", "abstained"]
    for figure in (by_class, by_answer):
        assert sum(box["customdata"][0] for box in medians(figure)) == 300
    whiskers, half, median = by_class["data"][:3]
    sigmas = results.sigmas[results.labels == 0]
    drawn = [whiskers["y"][0], half["y"][0], median["y"][0], half["y"][1], whiskers["y"][1]]
    assert drawn == pytest.approx(np.quantile(sigmas, [0.05, 0.25, 0.5, 0.75, 0.95]))


def test_radius_against_sigma() -> None:
    results = results_of(300)
    figure = radius_against_sigma_figure(results)
    validate_with_axes(figure)
    shown = np.concatenate([t["customdata"] for t in figure["data"] if "customdata" in t])
    assert sorted(shown) == sorted(results.indices)


def test_logs_without_sigma_and_without_rows_give_empty_figures() -> None:
    rows = tuple(replace(row, sigma=None) for row in results_of(10).rows)
    for results in (replace(results_of(10), rows=rows), results_of(0)):
        for figure in (
            certified_accuracy_figure([results]),
            sigma_by_class_figure(results),
            sigma_by_correctness_figure(results),
            radius_against_sigma_figure(results),
            radius_against_radius_figure(pair(results, results), results, results),
        ):
            validate_with_axes(figure)


def test_ten_thousand_images_are_fast() -> None:
    a = results_of(10_000)
    started = time.process_time()
    encode_figure(certified_accuracy_figure([a, a]))
    encode_figure(radius_against_radius_figure(pair(a, a), a, a))
    encode_figure(sigma_by_class_figure(a))
    encode_figure(radius_against_sigma_figure(a))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_tuning_is_drawn_with_its_levels_and_those_of_images(adaptive: bool) -> None:
    pairs = tuple((r, max(0.0, 0.9 - r)) for r in (0.0, 0.25, 0.5, 0.75, 1.0))
    scores = [LevelScore(s, 1_000, s * (1 - s), pairs) for s in (0.15, 0.3, 0.6, 0.9)]
    scores += [LevelScore(s, 10_000, 1.1 * s * (1 - s), pairs) for s in (0.3, 0.6)]
    tuning = Tuning(
        *("digits", "digest", 0.5, 200, 100, 10_000, 0.001, "two-sided", adaptive, "fp32", "cpu"),
        tuned=0.3,
        scores=tuple(scores),
    )
    results = results_of(50)
    figure = tuning_figure(tuning, 0.5, results.sigmas)
    validate_with_axes(figure)
    drawn = [t for t in figure["data"] if t["name"].startswith("ACR")]
    assert [len(t["x"]) for t in drawn] == [4, 2]
    assert all(("≥" in t["name"]) == adaptive for t in drawn)
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [0.5, 0.3]
    bars = named(figure)["σ* of images"]
    assert sum(bars["y"]) == pytest.approx(1)
    left, right = figure["layout"]["xaxis"]["range"]
    assert left <= 0 < max(0.9, results.sigmas.max()) <= right
    validate_with_axes(tuning_figure(replace(tuning, tuned=None, scores=tuning.scores[:2])))


def test_many_classes_and_unknown_ones_have_boxes_that_can_be_read() -> None:
    results = results_of(400)
    rows = [replace(r, label=i % 200, correct=False) for i, r in enumerate(results.rows)]
    rows += [replace(rows[0], index=10_000 + i, label=3) for i in range(5)]
    many = sigma_by_class_figure(replace(results, rows=tuple(rows)))
    boxes = medians(many)
    assert len(boxes) == 16
    assert boxes[-1]["name"] == "185 others"
    assert "class 3" in [box["name"] for box in boxes]
    assert sum(box["customdata"][0] for box in boxes) == 405
    blind = [replace(r, label=None, correct=None) for r in results.rows]
    figure = sigma_by_class_figure(replace(results, rows=tuple(blind)))
    assert figure["layout"]["xaxis"]["title"]["text"] == "certified class"
    answered = {f"class {r.prediction}" for r in blind if r.prediction >= 0}
    assert {box["name"] for box in figure["data"]} == answered


def test_without_labels_the_curve_counts_every_class_and_says_so() -> None:
    results = results_of(100)
    blind = [replace(r, label=None, correct=None) for r in results.rows]
    figure = certified_accuracy_figure([replace(results, rows=tuple(blind))])
    (curve,) = figure["data"]  # no band
    assert curve["name"] == "set 0 (any class) · CONDITIONAL"
    assert max(curve["y"]) == np.mean([r.prediction >= 0 for r in blind])
