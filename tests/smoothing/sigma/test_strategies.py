"""Ascent, search and guard against closed forms, finite differences and quadrature."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn

from ddrs_core.data import Dataset
from ddrs_core.errors import InvalidParameterError, UnknownNameError
from ddrs_core.models import GRADIENT_PASSES, Classifier, NoisyForward, load_model
from ddrs_core.parameters import with_values
from ddrs_core.smoothing import (
    STRATEGIES,
    AscentConfig,
    CertificationBudget,
    SearchConfig,
    StrategyConfig,
    ascend_sigma,
    choose_sigmas,
    get_preset,
    list_presets,
    search_sigma,
)
from ddrs_core.smoothing.sigma.guard import expected_radius, select_by_validation
from ddrs_core.smoothing.sigma.soft_radius import soft_radius
from ddrs_core.smoothing.sigma.steps import SigmaTask

# ----------------------------------------------------------------- classifiers on one pixel


class Pocket(nn.Module):
    """Class 0 on the line but for a pocket (NEAR, NEAR_END) beside x and all beyond +-FAR.

    Noise that jumps over the pocket makes the ball larger, until it meets the far walls.
    """

    NEAR, NEAR_END, FAR = 0.3, 0.5, 1.6

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        s = x.flatten(1)[:, 0]
        other = ((s > self.NEAR) & (s < self.NEAR_END)) | (s.abs() > self.FAR)
        return torch.stack([~other, other], dim=1).float()

    @classmethod
    def radius(cls, sigma: np.ndarray) -> np.ndarray:
        near, end, far = cls.NEAR / sigma, cls.NEAR_END / sigma, cls.FAR / sigma
        lost = norm.cdf(end) - norm.cdf(near) + 2 * norm.cdf(-far)
        return sigma * norm.isf(lost)


class SoftPocket(nn.Module):
    """The same with soft walls, so that the mean softmax has a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        s = x.flatten(1)[:, 0]
        inside = torch.sigmoid((s - 0.3) / 0.05) - torch.sigmoid((s - 0.5) / 0.05)
        lost = (inside + torch.sigmoid((s.abs() - 1.6) / 0.1)).clamp(1e-6, 1 - 1e-6)
        return torch.stack([(1 - lost).log(), lost.log()], dim=1)

    @classmethod
    def radius(cls, sigma: np.ndarray) -> np.ndarray:
        z = np.linspace(-8, 8, 20_001)
        weight = norm.pdf(z) * (z[1] - z[0])
        s = torch.from_numpy(np.outer(sigma, z)).reshape(-1, 1)
        kept = cls()(s).softmax(1)[:, 0].numpy().reshape(len(sigma), -1)
        return sigma * norm.ppf(kept @ weight)


class Inside(nn.Module):
    """Class 0 where |s| < 0.3, class 1 elsewhere; its votes at 0 fall as sigma grows."""

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        s = x.flatten(1)[:, 0].abs()
        return torch.stack([0.3 - s, s - 0.3], dim=1)


class Sure(nn.Module):
    """Always class 2 of 4, with probability 1 up to rounding."""

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        s = x.flatten(1).sum(1, keepdim=True) * 0
        return s + torch.tensor([0.0, 0.0, 50.0, 0.0], dtype=x.dtype)


ORIGIN = torch.zeros(1, 1, 1)
GRID = np.geomspace(0.06, 1.5, 400)


def smooth_network() -> nn.Module:
    """[B, 1, 2, 2] -> 3 logits, smooth and in double precision."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = nn.Sequential(nn.Flatten(), nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    return net.double().eval()


# ----------------------------------------------------------------------------- the gradient


def test_gradient_against_central_differences() -> None:
    forward = NoisyForward(smooth_network(), 3)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((4, 1, 2, 2), generator=generator, dtype=torch.float64)
    noise = torch.randn((4, 32, 1, 2, 2), generator=generator, dtype=torch.float64)
    sigma = torch.tensor([0.1, 0.3, 0.8, 1.5], dtype=torch.float64)
    h = 1e-5
    up = soft_radius(forward, images, sigma + h, noise, 0.001).radius
    down = soft_radius(forward, images, sigma - h, noise, 0.001).radius
    gradient = soft_radius(forward, images, sigma, noise, 0.001).gradient
    torch.testing.assert_close(gradient, (up - down) / (2 * h), rtol=1e-6, atol=1e-8)


def test_softmax_is_taken_once_and_then_the_mean() -> None:
    network = smooth_network()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((3, 1, 2, 2), generator=generator, dtype=torch.float64)
    noise = torch.randn((3, 20, 1, 2, 2), generator=generator, dtype=torch.float64)
    sigma = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64)
    value = soft_radius(NoisyForward(network, 3), images, sigma, noise, 1e-6)
    for i in range(3):
        with torch.no_grad():
            mean = network(images[i] + sigma[i] * noise[i]).softmax(1).mean(0)
        e_a, e_b = mean.topk(2).values.tolist()
        assert float(value.p_a[i]) == pytest.approx(e_a, rel=1e-9)
        assert float(value.p_b[i]) == pytest.approx(e_b, rel=1e-9)
        assert int(value.prediction[i]) == int(mean.argmax())
        expected = float(sigma[i]) / 2 * (norm.ppf(e_a) - norm.ppf(e_b))
        assert float(value.radius[i]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("clamp", "rise"), [(0.02, 2.054), (0.001, 3.090)])
def test_a_saturated_clamp_climbs_by_the_quantile(clamp: float, rise: float) -> None:
    lr = 0.01
    steps = list(
        ascend_sigma(Sure(), torch.zeros(1, 2, 2), sigma_0=0.2, lr=lr, steps=5, clamp=clamp)
    )
    for k, step in enumerate(steps):
        assert step.gradient == pytest.approx(norm.isf(clamp), rel=1e-6)
        assert step.sigma == pytest.approx(0.2 + k * lr * norm.isf(clamp), rel=1e-6)
        assert step.prediction == 2
    assert steps[1].sigma - steps[0].sigma == pytest.approx(lr * rise, rel=1e-3)
    assert steps[-1].chosen == pytest.approx(0.2 + 5 * lr * norm.isf(clamp), rel=1e-6)


def test_projection_to_the_bounds() -> None:
    x = torch.zeros(1, 2, 2)
    steps = list(
        ascend_sigma(Sure(), x, sigma_0=0.2, lr=0.1, steps=10, clamp=0.02, bounds=(0.1, 0.5))
    )
    assert max(s.sigma for s in steps) == pytest.approx(0.5)
    assert steps[-1].chosen == pytest.approx(0.5)
    below = list(ascend_sigma(Inside(), ORIGIN, sigma_0=0.05, lr=1e-6, steps=1, bounds=(0.1, 0.5)))
    assert below[0].sigma == pytest.approx(0.1)


def test_the_start_of_the_caller_stays(network: nn.Module, images: Tensor) -> None:
    start, kept, pixels = torch.full((5,), 0.25), torch.full((5,), 0.25), images.clone()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    array = np.full(5, 0.25)
    for config in (
        AscentConfig(lr=0.1, steps=3, guard=20),
        SearchConfig(steps=2, samples=20, guard=20),
    ):
        list(choose_sigmas(network, images, start, config))
        list(choose_sigmas(network, images, array, config))  # type: ignore[arg-type]
        assert torch.equal(start, kept)
        assert (array == 0.25).all()
        assert torch.equal(images, pixels)
        assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
        assert all(p.grad is None for p in network.parameters())
        assert not network.training


# ------------------------------------------------------------------------ many images at once


@pytest.mark.parametrize(
    "config",
    [AscentConfig(lr=0.05, steps=12, samples=16, guard=100), SearchConfig(steps=4, samples=50)],
    ids=["ascent", "search"],
)
def test_a_batch_equals_each_image_alone(
    model: Classifier, test_split: Dataset, config: AscentConfig | SearchConfig
) -> None:
    forward = NoisyForward(model, precision="fp32")
    indices = [3, 40, 41, 200, 499]
    images, _ = test_split.tensors(indices)
    start = [0.25, 0.5, 0.12, 0.25, 0.3]
    together = list(choose_sigmas(forward, images, start, config, indices=indices))
    for i, index in enumerate(indices):
        alone = list(
            choose_sigmas(forward, images[i : i + 1], start[i : i + 1], config, indices=[index])
        )
        assert [b.step for b in alone] == [b.step for b in together]
        for mine, ours in zip(alone, together, strict=True):
            assert mine.sigma[0] == pytest.approx(ours.sigma[i], abs=1e-4)
            assert mine.prediction[0] == ours.prediction[i]
        assert alone[-1].chosen is not None
        assert together[-1].chosen is not None
        assert alone[-1].chosen[0] == pytest.approx(together[-1].chosen[i], abs=1e-4)
        assert alone[-1].reasons[0] == together[-1].reasons[i]


def test_the_seed_decides(model: Classifier, test_split: Dataset) -> None:
    x = test_split[3][0]

    def path(seed: int, index: int) -> list[float]:
        steps = ascend_sigma(model, x, sigma_0=0.6, steps=5, seed=seed, index=index)
        return [s.sigma for s in steps]

    assert path(1, 3) == path(1, 3)
    assert path(1, 3) != path(2, 3)
    assert path(1, 3) != path(1, 4)


def test_only_the_last_step_chooses(model: Classifier, test_split: Dataset) -> None:
    images, _ = test_split.tensors([0, 1])
    for config in (AscentConfig(steps=4), SearchConfig(steps=4, samples=20, guard=20)):
        steps = list(choose_sigmas(model, images, [0.25, 0.25], config))
        assert [s.step for s in steps] == [1, 2, 3, 4]
        assert all(s.chosen is None for s in steps[:-1])
        assert steps[-1].chosen is not None
        assert len(steps[-1].reasons) == 2
        assert all(steps[-1].reasons)


# --------------------------------------------------------------------- known best noise levels


def test_the_pocket_has_an_inner_maximum() -> None:
    for kind in (Pocket, SoftPocket):
        radius = kind.radius(GRID)
        assert 20 < radius.argmax() < len(GRID) - 20
        assert radius.max() > 1.3 * radius[0]


@pytest.mark.parametrize("sigma_0", [0.1, 1.2])
def test_search_finds_the_best_noise_level(sigma_0: float) -> None:
    budget = CertificationBudget(n=10_000, alpha=0.001)
    config = SearchConfig(steps=7, samples=4000, guard=4000)
    steps = list(search_sigma(Pocket(), ORIGIN, sigma_0=sigma_0, config=config, budget=budget))
    chosen = steps[-1].chosen
    assert chosen is not None
    reached = float(Pocket.radius(np.array([chosen]))[0])
    assert reached > 0.93 * Pocket.radius(GRID).max()
    assert reached > float(Pocket.radius(np.array([sigma_0]))[0])


@pytest.mark.slow
@pytest.mark.parametrize("sigma_0", [0.25, 1.0])
def test_ascent_finds_the_best_noise_level(sigma_0: float) -> None:
    config = AscentConfig(lr=0.02, steps=200, samples=256, clamp=1e-4, final_lr=0.05, average=0.25)
    forward = NoisyForward(SoftPocket(), 2)
    steps = list(choose_sigmas(forward, ORIGIN[None], [sigma_0], config))
    assert steps[-1].chosen is not None
    reached = float(SoftPocket.radius(steps[-1].chosen)[0])
    assert reached > 0.97 * SoftPocket.radius(GRID).max()


def test_the_estimated_soft_radius_is_that_of_quadrature() -> None:
    sigma = np.array([0.2, 0.5, 1.0])
    noise = torch.randn((3, 40_000, 1, 1, 1), generator=torch.Generator().manual_seed(0))
    value = soft_radius(
        NoisyForward(SoftPocket(), 2), torch.zeros(3, 1, 1, 1), torch.from_numpy(sigma), noise, 1e-6
    )
    assert value.radius.numpy() == pytest.approx(SoftPocket.radius(sigma), rel=0.05)


# --------------------------------------------------------------------------------- the guard


def guarded(network: nn.Module, x: Tensor, start: float, *tried: float) -> tuple[float, str]:
    sigma_0, budget = np.array([start]), CertificationBudget(n=10_000)
    task = SigmaTask(NoisyForward(network, 2), x[None], sigma_0, [0], 0, budget)
    sigma, reasons = select_by_validation(task, sigma_0, np.array(tried)[:, None], 1000)
    return float(sigma[0]), reasons[0]


def test_the_guard_keeps_the_class() -> None:
    # At sigma 3 the other class has nearly every vote: a larger radius, of the wrong class.
    sigma, reason = guarded(Inside(), ORIGIN, 0.15, 3.0)
    assert sigma == 0.15
    assert "no other promised a larger radius" in reason


def test_the_guard_takes_what_is_better() -> None:
    best = float(GRID[Pocket.radius(GRID).argmax()])
    sigma, reason = guarded(Pocket(), ORIGIN, 0.1, best)
    assert sigma == best
    assert "it promised the largest radius" in reason
    sigma, reason = guarded(Pocket(), ORIGIN, best, 0.1)
    assert sigma == best
    assert "no other promised a larger radius" in reason


def test_the_guard_keeps_the_start_on_a_tie() -> None:
    sigma, reason = guarded(Pocket(), ORIGIN, 0.4, 0.4, 0.4)
    assert sigma == 0.4
    assert "no other noise level was tried" in reason
    even = torch.full((1, 1, 1), 0.3)  # on the wall: half of the votes each, at any small sigma
    sigma, reason = guarded(Inside(), even, 0.01, 0.02)
    assert sigma == 0.01
    assert "none promised a radius" in reason


class Recording(NoisyForward):
    """Notes at which noise levels, and with how many samples, votes were drawn."""

    def votes(self, images, sigmas, samples, generators):  # type: ignore[no-untyped-def]
        self.drawn = [*getattr(self, "drawn", []), (samples, float(sigmas[0]))]
        return super().votes(images, sigmas, samples, generators)


@pytest.mark.parametrize("preset", [p.name for p in list_presets() if p.strategy != "surface"])
@pytest.mark.parametrize("network", [SoftPocket(), Inside(), Sure()])
def test_a_reason_speaks_of_the_levels_that_votes_compared(preset: str, network: nn.Module) -> None:
    """And of no others: whatever the strategy did not try may well be better."""
    config = get_preset(preset).config
    fewer = {"steps": min(config.steps, 20), "samples": min(config.samples, 50)}
    config = dataclasses.replace(config, **fewer, guard=config.guard and 333)
    for sigma_0 in (0.06, 0.12, 0.4, 1.0, 4.0):
        forward = Recording(network, 4 if isinstance(network, Sure) else 2)
        last = list(choose_sigmas(forward, ORIGIN[None], [sigma_0], config))[-1]
        assert last.chosen is not None
        (reason,) = last.reasons
        compared = {f"{s:.4f}" for n, s in getattr(forward, "drawn", []) if n == 333}
        named = set(re.findall(r"\d+\.\d{4}", reason))
        assert named == compared
        assert ("Kept" in reason) == (f"{last.chosen[0]:.4f}" == reason[5:11])
        assert reason.startswith(("Kept ", "Of the ", "The last of ", "The average of "))
        if not compared:
            assert "no votes compared it" in reason


def test_the_search_never_trades_the_class_for_radius() -> None:
    steps = list(search_sigma(Inside(), ORIGIN, sigma_0=0.12))
    assert steps[-1].chosen is not None
    kept = 2 * norm.cdf(0.3 / steps[-1].chosen) - 1
    assert kept > 0.5


def test_few_samples_do_not_promise_a_large_sigma_for_being_unanimous() -> None:
    budget = CertificationBudget(n=100_000, alpha=0.001)
    few = expected_radius(20, 0, 20, np.array([1.0]), budget)
    many = expected_radius(2000, 0, 2000, np.array([1.0]), budget)
    assert few < 0.75 * many


# ------------------------------------------------------------------------------- the choices


def test_the_presets_are_those_of_their_sources() -> None:
    def of(name: str) -> tuple[float, int, int, float]:
        config = get_preset(name).config
        assert isinstance(config, AscentConfig)
        return config.lr, config.steps, config.samples, config.clamp

    assert of("authors-repository") == (1e-4, 100, 1, 0.02)
    assert get_preset("authors-repository").sigma_0 == 0.12
    assert of("authors-package") == (0.04, 900, 100, 0.001)
    assert of("long") == (1e-4, 900, 1, 0.02)
    assert of("fast") == (0.02, 100, 8, 0.001)


@pytest.mark.parametrize("name", ["authors-repository", "authors-package", "long", "fast"])
def test_the_papers_presets_have_nothing_of_ours(name: str) -> None:
    config = get_preset(name).config
    plain = AscentConfig(lr=1, steps=1, samples=1, clamp=0.1)
    for field in ("final_lr", "average", "guard"):
        assert getattr(config, field) == getattr(plain, field)
    assert dataclasses.replace(plain).guard == 0


def test_our_presets_keep_sigma_near_its_start_and_the_papers_do_not() -> None:
    for preset in list_presets():
        rise = {"guarded": 1.5, "qcrs": 1.5, "surface": 2.2}.get(preset.name)
        for sigma_0 in (0.02, 0.25, 2.0):
            config = preset.at(sigma_0)
            low, high = config.bounds
            assert config.check() is config
            assert (config == preset.config) == (rise is None)
            assert dataclasses.replace(config, bounds=preset.config.bounds) == preset.config
            if rise:
                assert low < sigma_0 < high == pytest.approx(rise * sigma_0)


@pytest.mark.parametrize("preset", ["guarded", "qcrs"])
def test_a_network_that_sees_one_class_in_strong_noise_is_not_asked_there(
    preset: str, test_split: Dataset
) -> None:
    """Class 9 of this network has radii above 2 at sigma 1.5, whatever is in the image."""
    forward = NoisyForward(load_model("digits-smoothadv-ds2-0.50", "cpu"))
    image, label = test_split[45]
    assert label == 9
    *_, last = choose_sigmas(forward, image[None], [0.5], get_preset(preset).at(0.5))
    assert last.chosen is not None
    assert 0.5 <= last.chosen[0] <= 0.75


def test_unknown_presets_and_strategies() -> None:
    with pytest.raises(UnknownNameError, match="guarded"):
        get_preset("gaurded")
    with pytest.raises(UnknownNameError, match="ascent"):
        list_presets("ascend")


@pytest.mark.parametrize("preset", list_presets(), ids=lambda p: p.name)
def test_every_preset_runs(preset, model: Classifier, test_split: Dataset) -> None:
    preset.config.check()
    config = with_values(preset.config, {"steps": 2, "rounds": 1})
    batches = list(choose_sigmas(model, test_split.tensors([0])[0], [0.25], config))
    assert len(batches) == 2
    assert batches[-1].chosen is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0.0},
        {"lr": math.nan},
        {"steps": 0},
        {"samples": 0},
        {"clamp": 0.0},
        {"clamp": 0.5},
        {"bounds": (0.5, 0.1)},
        {"bounds": (0.0, 1.0)},
        {"bounds": (0.1, math.inf)},
        {"sigma_0": 0.0},
        {"sigma_0": math.nan},
    ],
)
def test_ascent_refuses_nonsense_at_once(network: nn.Module, image: Tensor, wrong: dict) -> None:
    with pytest.raises(InvalidParameterError):
        ascend_sigma(network, image, **{"sigma_0": 0.25, **wrong})


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"ratio": 1.0}, {"samples": 0}, {"guard": 0}])
def test_search_refuses_nonsense_at_once(network: nn.Module, image: Tensor, wrong: dict) -> None:
    with pytest.raises(InvalidParameterError):
        search_sigma(network, image, sigma_0=0.25, config=SearchConfig(**wrong))


def test_as_many_sigmas_as_images(network: nn.Module, images: Tensor) -> None:
    with pytest.raises(InvalidParameterError, match="5 images"):
        choose_sigmas(network, images, [0.25], AscentConfig())
    with pytest.raises(InvalidParameterError, match="5 images"):
        choose_sigmas(network, images, [0.25] * 5, SearchConfig(), indices=[1])


@pytest.mark.parametrize("config", [p.config for p in list_presets()], ids=lambda c: str(c)[:24])
@pytest.mark.parametrize("sigma_0", [0.06, 1.9])
def test_the_chosen_sigma_lies_within_the_bounds(config, sigma_0: float) -> None:
    config = with_values(config, {"steps": 2, "samples": 8, "rounds": 1})
    config = dataclasses.replace(config, bounds=(0.1, 0.9))
    for f in (Inside(), Pocket(), Sure()):
        last = list(choose_sigmas(f, ORIGIN[None], [sigma_0], config))[-1]
        assert last.chosen is not None
        assert 0.1 <= last.chosen[0] <= 0.9


def test_logits_that_overflow_do_not_carry_sigma_away() -> None:
    def f(x: Tensor) -> Tensor:
        s = x.flatten(1)[:, 0]
        return torch.stack([s, s * math.inf], dim=1)

    last = list(ascend_sigma(f, ORIGIN + 0.5, sigma_0=0.25, steps=3))[-1]
    assert last.chosen == 0.25


@pytest.mark.parametrize(
    "config",
    [AscentConfig(steps=3, samples=5, guard=20), SearchConfig(steps=3, samples=30, guard=20)],
)
def test_a_strategy_costs_what_it_says(
    config: StrategyConfig, network: nn.Module, image: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = 0.0
    evaluate, vote = NoisyForward._evaluate, NoisyForward.vote_steps

    def counted(self: NoisyForward, x: Tensor) -> Tensor:
        nonlocal passes
        if torch.is_grad_enabled():
            passes += GRADIENT_PASSES * len(x)
        return evaluate(self, x)

    def counted_votes(self: NoisyForward, images: Tensor, sigmas: Tensor, n: int, *more, **options):
        nonlocal passes
        passes += len(images) * n
        return vote(self, images, sigmas, n, *more, **options)

    monkeypatch.setattr(NoisyForward, "_evaluate", counted)
    monkeypatch.setattr(NoisyForward, "vote_steps", counted_votes)
    forward = NoisyForward(network, 5)
    list(choose_sigmas(forward, torch.stack([image, image]), [0.25, 0.25], config))
    assert passes == 2 * config.passes()


def test_strategies_are_registered_by_their_names() -> None:
    assert all(kind.name == name for name, kind in STRATEGIES.items())
    assert {preset.strategy for preset in list_presets()} <= STRATEGIES.keys()
