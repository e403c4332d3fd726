"""What a forward pass costs: published operation counts, and hand counts of memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50, vit_b_16

from ddrs_core.models import Classifier, NoisyForward, noise_generator
from ddrs_core.models.architectures import get_architecture
from ddrs_core.models.inference import pass_cost
from ddrs_core.models.inference.cost import affordable
from ddrs_core.models.inference.pass_cost import measure_pass

IMAGENET = (3, 224, 224)


@pytest.fixture(scope="module")
def imagenet() -> NoisyForward:
    """A ResNet-50 with random weights."""
    return NoisyForward(resnet50().eval(), 1000)


def test_the_operations_of_a_resnet50(imagenet: NoisyForward) -> None:
    # torchvision documents 4.09 G multiply-adds
    assert imagenet.flops(IMAGENET) == pytest.approx(2 * 4.09e9, rel=0.01)


def test_the_operations_of_a_vit() -> None:
    with torch.device("meta"):
        network = vit_b_16().eval()
    # torchvision documents 17.56 G multiply-adds
    assert measure_pass(network, IMAGENET).flops == pytest.approx(2 * 17.56e9, rel=0.01)


def test_the_operations_of_the_digits_network(model: Classifier) -> None:
    convolutions = 64 * 9 * (1 * 16 + 16 * 32) + 16 * 9 * 32 * 64  # positions, kernel, channels
    layers = 64 * 16 * 64 + 64 * 10
    forward = NoisyForward(model, 10)
    assert forward.flops((1, 8, 8)) == 2 * (convolutions + layers)


def test_a_resnet50_counts(imagenet: NoisyForward) -> None:
    x = torch.rand((1, *IMAGENET), generator=torch.Generator().manual_seed(0))
    assert imagenet.batch_size(IMAGENET) in (1, 2, 4, 8)
    assert imagenet.votes(x, torch.tensor([0.5]), 3, [noise_generator(0, 0, "x")]).sum() == 3


class _Wide(nn.Module):
    """Two layers without weights: 3 -> 12 -> 12 channels."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.repeat(1, 4, 1, 1).relu() + 1).flatten(1)[:, :5]


def test_activations_are_counted_by_hand() -> None:
    value = 4 * 32 * 32
    cost = measure_pass(_Wide().eval(), (3, 32, 32))
    assert cost.saved_bytes == 2 * (3 + 12 + 12 + 12) * value  # doubled, to be safe
    assert cost.live_bytes == 2 * (3 + 12 + 12) * value  # the input, and a layer's in- and output


class _Choosing(nn.Module):
    """Looks at values, so it cannot be evaluated without them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(48, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1)) * (2 if float(x.sum()) > 1 else 1)


def test_networks_that_look_at_values_are_counted_too() -> None:
    assert measure_pass(_Choosing().eval(), (3, 4, 4)).flops == 2 * 48 * 2


def test_a_network_that_fails_is_estimated() -> None:
    found = measure_pass(_Choosing().eval(), (3, 5, 5))
    assert found.flops == 0
    assert found.saved_bytes > found.live_bytes > 4 * 75


def test_a_torch_that_cannot_be_counted_leaves_a_warning(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    measure_pass(_Choosing().eval(), (3, 5, 5))  # fails by itself
    assert caplog.records == []

    def dispatch(*_: object, **__: object) -> object:
        raise TypeError("torch hands over something else")

    monkeypatch.setattr(pass_cost._Counter, "__torch_dispatch__", dispatch)
    assert measure_pass(network, (3, 8, 8)).flops == 0
    assert "cannot be counted under torch" in caplog.text


def test_functions_are_not_run_for_their_cost() -> None:
    calls: list[int] = []

    def f(x: Tensor) -> Tensor:
        calls.append(len(x))
        return x.flatten(1)[:, :2]

    forward = NoisyForward(f, 2)
    assert forward.flops((3, 4, 4)) == 0
    assert forward.batch_size((3, 4, 4)) == 1024
    assert affordable(forward, (3, 4, 4), 200, 0.001, 16) == 200
    assert calls == []


def test_counting_touches_no_weight(network: nn.Module) -> None:
    forward = NoisyForward(network, 5)
    forward.flops((3, 8, 8))
    assert all(p.device.type == "cpu" and p.grad is None for p in forward._network.parameters())


def test_affordable_samples(imagenet: NoisyForward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    taken = [affordable(imagenet, IMAGENET, 1000, seconds, 16) for seconds in (0.1, 5, 10, 1e4)]
    assert taken[0] == 16
    assert taken[2] == pytest.approx(2 * taken[1], abs=1)
    assert 50 < taken[2] < 200  # about ten a second
    assert taken[3] == 1000
    assert affordable(imagenet, IMAGENET, 5, 0.1, 16) == 5


def test_cheap_networks_afford_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for name in ("digits_cnn", "cifar_resnet20"):
        architecture = get_architecture(name)
        forward = NoisyForward(architecture.build(10, architecture.shape[0]).eval(), 10)
        assert affordable(forward, architecture.shape, 200, 0.25, 16) == 200
