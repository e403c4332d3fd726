"""Long computations are generators that leave no trace in whoever consumes them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ddrs_core.models import NoisyForward, list_devices
from ddrs_core.smoothing import (
    AscentConfig,
    SearchConfig,
    SmoothedClassifier,
    ascend_sigma,
    radius_curve,
    search_sigma,
    watch_sigma,
)
from ddrs_core.smoothing.sigma.preview import probe
from ddrs_core.training import TrainConfig, train_steps

Start = Callable[[nn.Module, Tensor], Iterator[Any]]

GENERATORS: dict[str, Start] = {
    "certify": lambda f, x: SmoothedClassifier(f, 5, batch_size=8).certify_steps(
        x, sigma=0.5, n0=50, n=400
    ),
    "ascent": lambda f, x: ascend_sigma(f, x, sigma_0=0.25, steps=4),
    "search": lambda f, x: search_sigma(
        f, x, sigma_0=0.25, config=SearchConfig(steps=4, samples=20, guard=20)
    ),
    "curve": lambda f, x: radius_curve(f, x, [0.25, 0.5], samples=200),
    "watch": lambda f, x: watch_sigma(
        NoisyForward(f, 5), x, sigma_0=0.25, config=AscentConfig(steps=4, guard=20)
    ),
    "train": lambda f, x: train_steps(
        TrainConfig("digits", "digits_cnn", sigma=0.25, epochs=1), torch.device("cpu")
    ),
}


@pytest.fixture(params=GENERATORS)
def start(request: pytest.FixtureRequest) -> Start:
    return GENERATORS[request.param]


@pytest.mark.parametrize("grad", [True, False])
def test_the_grad_mode_of_the_consumer_stays(
    start: Start, grad: bool, network: nn.Module, image: Tensor
) -> None:
    with torch.set_grad_enabled(grad):
        for count, _ in enumerate(start(network, image)):
            assert torch.is_grad_enabled() is grad
            assert not torch.is_inference_mode_enabled()
            if count > 6:
                break
        assert torch.is_grad_enabled() is grad
        assert not torch.is_inference_mode_enabled()


def test_closing_midway_leaves_everything_usable(
    start: Start, network: nn.Module, image: Tensor
) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    steps = start(network, image)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert next(steps, None) is None
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_the_global_generator_is_not_used(start: Start, network: nn.Module, image: Tensor) -> None:
    state = torch.get_rng_state()
    for count, _ in enumerate(start(network, image)):
        if count > 6:
            break
    assert torch.equal(torch.get_rng_state(), state)


def test_steps_may_be_taken_by_another_thread(
    start: Start, network: nn.Module, image: Tensor
) -> None:
    steps = start(network, image)
    next(steps)
    seen: list[Any] = []
    worker = threading.Thread(target=lambda: seen.append(next(steps)))
    worker.start()
    worker.join(60)
    assert len(seen) == 1


def test_a_probe_shows_votes_and_copies(network: nn.Module, image: Tensor) -> None:
    kept = image.clone()
    seen = probe(network, image, sigma=0.25, samples=100)
    assert sum(seen.counts) == 100
    assert len(seen.copies) == len(seen.confidence) == 8
    assert all(0.2 <= p <= 1 for p in seen.confidence)  # the largest of five
    assert torch.equal(image, kept)
    tiny = probe(network, image, sigma=1e-6, samples=10)
    assert set(tiny.copies) == {int(network(image[None]).argmax())}


def test_watching_changes_no_step(network: nn.Module, image: Tensor) -> None:
    config = AscentConfig(steps=6)
    watched = list(watch_sigma(NoisyForward(network, 5), image, sigma_0=0.25, config=config))
    plain = list(ascend_sigma(network, image, sigma_0=0.25, steps=6))
    assert [w.step for w in watched] == plain
    assert watched[-1].final is not None
    assert watched[-1].final.sigma == plain[-1].chosen


@pytest.mark.parametrize("device", [info.name for info in list_devices()])
def test_the_image_may_lie_on_another_device_than_the_network(
    network: nn.Module, image: Tensor, device: str
) -> None:
    forward, config = NoisyForward(network, 5), AscentConfig(steps=3, guard=20)
    for x in (image.to(device), image.to(device, torch.float64)):
        assert probe(forward, x, sigma=0.25) == probe(forward, image, sigma=0.25)
        there = list(watch_sigma(forward, x, sigma_0=0.25, config=config))
        assert there == list(watch_sigma(forward, image, sigma_0=0.25, config=config))


@pytest.mark.parametrize("name", ["ascent", "search", "watch"])
def test_a_consumer_in_inference_mode_sees_the_same_steps(
    name: str, network: nn.Module, image: Tensor
) -> None:
    outside = list(GENERATORS[name](network, image))
    with torch.inference_mode():
        inside = list(
            GENERATORS[name](copy.deepcopy(network), image.clone())
        )  # of inference tensors
        assert torch.is_inference_mode_enabled()
    assert inside == outside
    steps = GENERATORS[name](network, image)
    mixed = []
    for _ in outside:
        with torch.inference_mode(len(mixed) % 2 == 0):
            mixed.append(next(steps))
    assert mixed == outside
