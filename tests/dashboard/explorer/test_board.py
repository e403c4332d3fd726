"""What the explorer says of a choice of sigma, against the radius curve beside it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from ddrs_core.dashboard.explorer.board import moment_of
from ddrs_core.dashboard.explorer.jobs import curve_request
from ddrs_core.dashboard.explorer.texts import curve_text, outcome_html
from ddrs_core.dashboard.explorer.view import ExplorerView, default_view
from ddrs_core.models import NoisyForward, load_model
from ddrs_core.smoothing import (
    AscentConfig,
    Bound,
    RadiusCurve,
    SigmaFrame,
    choose_sigmas,
    get_preset,
    radius_curve,
    sigma_grid,
    watch_sigma,
)
from ddrs_core.smoothing.confidence import radius_cap
from ddrs_core.smoothing.sigma.radius_curve import read_curve

_MODEL = "digits-gaussian-0.50"
_EVERYTHING = re.compile(r"\b(best|optimum|optimal|always|never|cannot|maximum|all noise)\b")


@pytest.fixture(scope="module")
def forward() -> NoisyForward:
    return NoisyForward(load_model(_MODEL))


class _Finished:
    """As much of a job as a board needs."""

    def __init__(self, frames: list[object]) -> None:
        self.history = frames


def _run(forward: NoisyForward, view: ExplorerView) -> tuple[str, RadiusCurve, float]:
    x = view.data[view.index][0]
    steps = choose_sigmas(forward, x[None], [view.sigma_0], view.config, indices=[view.index])
    frames = [SigmaFrame(batch.one(0), None) for batch in steps]
    grid = sigma_grid(0.05, 1.5, 13)
    curve = list(radius_curve(forward, x, grid, samples=200, index=view.index))[-1]
    moment = moment_of(_Finished(list(frames)), view)  # type: ignore[arg-type]
    assert moment.chosen is not None
    return outcome_html(view.sigma_0, moment.frames[-1].step, curve), curve, moment.chosen


@pytest.mark.parametrize("preset", ["guarded", "authors-repository", "qcrs"])
def test_the_verdict_agrees_with_the_curve_beside_it(forward: NoisyForward, preset: str) -> None:
    """Where the curve shows a clearly larger radius for the same class, the text names it; it
    never speaks of levels that nobody tried."""
    view = replace(default_view("digits", _MODEL), preset=preset)
    apart = []
    for index in (0, 3):
        sigma_0 = 0.06 if preset == "authors-repository" else 0.5
        config = get_preset(preset).at(sigma_0)
        said, curve, chosen = _run(
            forward, replace(view, index=index, sigma_0=sigma_0, config=config)
        )
        assert not _EVERYTHING.search(said)
        assert "no other noise level promised" not in said
        at = np.log(chosen)
        cut, low, top = np.minimum([curve.radius, curve.low, curve.high], curve.cap)
        high = np.interp(at, np.log(curve.sigmas), top)
        here = curve.prediction[np.abs(np.log(curve.sigmas) - at).argmin()]
        same = np.where(curve.prediction == here, cut, -1)
        best = int(same.argmax())
        apart.append(bool(low[best] > high))
        if apart[-1]:
            lost = 1 - np.interp(at, np.log(curve.sigmas), cut) / cut[best]
            assert f"{lost:.0%} below its highest" in said
            assert f"at σ = {curve.sigmas[best]:.4f}. That is more than the noise" in said
        else:
            assert "below its highest" not in said
    if preset == "authors-repository":  # 100 steps of 1e-4 hardly move from there
        assert any(apart)


def test_the_loss_is_named_where_the_curve_shows_it_beyond_its_noise() -> None:
    sigmas, n = np.array([0.1, 0.2, 0.4, 0.8]), 10_000
    held = np.array([9_990, 9_772, 8_413, 6_000])  # R = .309, .4, .4, .203
    curve = read_curve(sigmas, np.stack([held, n - held], axis=1), radius_cap(sigmas, n, 0.001), n)
    said = curve_text(curve, 0.8)
    assert "0.203 there: 49% below its highest for this class, 0.400" in said
    assert "%" not in curve_text(curve, 0.4)
    few = read_curve(sigmas, np.array([[20, 0], [19, 1], [17, 3], [12, 8]]), curve.cap, 20)
    assert "no more than its noise" in curve_text(few, 0.8)
    low_cap = read_curve(sigmas, curve.counts, radius_cap(sigmas, 20, 0.001), n)
    assert low_cap.radius[1] > low_cap.cap[1]  # what cannot be proved is no loss
    assert "σ = 0.4000" in curve_text(low_cap, 0.8)


def test_every_view_shows_the_round_that_is_looked_at(forward: NoisyForward) -> None:
    view = replace(default_view("digits", _MODEL), index=3, preset="surface")
    view = replace(view, config=get_preset("surface").at(0.5), sigma_0=0.5)
    frames = list(watch_sigma(forward, view.data[3][0], sigma_0=0.5, config=view.config, index=3))
    job = _Finished(list(frames))
    for shown in range(1, len(frames) + 1):
        moment = moment_of(job, view, shown)  # type: ignore[arg-type]
        assert moment.fit is frames[shown - 1].step.fit is not None
        assert moment.sigma == frames[shown - 1].step.sigma
    assert moment_of(_Finished([]), view).fit is None  # type: ignore[arg-type]
    last = frames[-1].step
    assert "ended early" not in outcome_html(0.5, last, None)
    assert "ended early" in outcome_html(0.5, last, None, early=True)


@pytest.mark.parametrize("bound", Bound)
def test_the_dashed_cap_is_what_the_certification_could_prove(bound: Bound) -> None:
    view = default_view("digits", _MODEL).with_budget(n=1_000, bound=bound)
    curve = next(iter(curve_request(view).start())).curve
    expected = radius_cap(curve.sigmas, view.budget.n, view.budget.alpha / bound.parts)
    assert curve.cap == pytest.approx(expected)


def test_an_unfinished_curve_is_not_spoken_of(forward: NoisyForward) -> None:
    view = replace(default_view("digits", _MODEL), config=AscentConfig(steps=2, samples=2))
    frames = list(watch_sigma(forward, view.data[0][0], sigma_0=0.5, config=view.config))
    moment = moment_of(_Finished(list(frames)), view)  # type: ignore[arg-type]
    grid = sigma_grid(0.05, 1.5, 3)
    curve = list(radius_curve(forward, view.data[0][0], grid, samples=50))[-1]
    assert "The curve R(σ) estimates" in outcome_html(view.sigma_0, moment.frames[-1].step, curve)
    unfinished = read_curve(curve.sigmas, curve.counts, curve.cap, 10**6)
    assert "The curve R" not in outcome_html(view.sigma_0, moment.frames[-1].step, unfinished)
