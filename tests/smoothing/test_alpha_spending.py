"""Looking costs a cheap network nothing, and an expensive one no more than the strategy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ddrs_core.models import NoisyForward
from ddrs_core.models.architectures import get_architecture
from ddrs_core.models.inference.cost import assumed_speed
from ddrs_core.models.inference.pass_cost import PassCost
from ddrs_core.smoothing import AscentConfig, list_presets, watch_sigma
from ddrs_core.smoothing.sigma.radius_curve import curve_budget
from ddrs_core.smoothing.sigma.trace import PreviewPlan, plan_previews

IMAGENET = (3, 224, 224)


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def costing(flops: float) -> NoisyForward:
    """A forward pass that is said to take so many operations an image."""
    forward = NoisyForward(lambda x: x.flatten(1)[:, :2], 2)
    forward._costs[IMAGENET] = PassCost(flops, 1, 1)
    return forward


def test_cheap_networks_are_looked_at_in_full() -> None:
    architecture = get_architecture("digits_cnn")
    forward = NoisyForward(architecture.build(10, architecture.shape[0]).eval(), 10)
    assert curve_budget(forward, architecture.shape) == (33, 2000)
    for preset in list_presets():
        every = max(1, preset.config.steps // 60)
        expected = PreviewPlan(every, 200, 1_000)
        assert plan_previews(forward, architecture.shape, preset.config) == expected


@pytest.mark.parametrize("flops", [1e7, 5e8, 8.2e9, 3.5e10])
@pytest.mark.parametrize("preset", list_presets(), ids=lambda p: p.name)
def test_looking_takes_no_longer_than_the_strategy(flops: float, preset) -> None:
    looks = plan_previews(costing(flops), IMAGENET, preset.config)
    assert 16 <= looks.samples <= 200
    assert 48 <= looks.final <= 1_000
    a_pass = flops / assumed_speed(torch.device("cpu"))
    config = preset.config
    number = len(range(0, config.steps, looks.every))
    looking = (number * (looks.samples + 8) + looks.final) * a_pass
    assert looking <= max(8.0, config.passes() * a_pass) or number <= 2
    assert number >= 2


def test_the_curve_of_an_expensive_network_is_coarse() -> None:
    budgets = [curve_budget(costing(flops), IMAGENET) for flops in (1e7, 5e8, 2e9, 8.2e9, 1e12)]
    assert budgets[0] == (33, 2000)
    assert budgets == sorted(budgets, reverse=True)
    assert budgets[-1] == (13, 40)
    points, samples = budgets[3]  # ResNet-50 on two threads
    assert points * samples * 8.2e9 / assumed_speed(torch.device("cpu")) < 90


@pytest.mark.slow
def test_few_looks_change_no_step(network: nn.Module, image: Tensor) -> None:
    config = AscentConfig(steps=20, samples=1)
    cheap, dear = NoisyForward(network, 5), NoisyForward(network, 5)
    dear._costs[tuple(image.shape)] = PassCost(1e12, 1, 1)
    usual = list(watch_sigma(cheap, image, sigma_0=0.25, config=config))
    seldom = list(watch_sigma(dear, image, sigma_0=0.25, config=config))
    assert [f.step for f in usual] == [f.step for f in seldom]
    assert sum(f.probe is not None for f in usual) == 20
    looked = [f.probe for f in seldom if f.probe]
    assert 1 <= len(looked) <= 3
    assert sum(looked[0].counts) == 16
    assert seldom[-1].final is not None
    assert sum(seldom[-1].final.counts) == 48
