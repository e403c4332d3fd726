"""bfloat16 by kernels for float32: what the layers compute, and which are left alone."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from ddrs_core.models import Classifier
from ddrs_core.models.inference import forward as forward_module
from ddrs_core.models.inference.bfloat16 import emulate_bfloat16
from ddrs_core.models.inference.device import device_info
from ddrs_core.models.inference.forward import NoisyForward
from tests.conftest import random_network

LAYERS = (
    nn.Conv2d(8, 16, 3, padding=1),
    nn.Conv2d(8, 16, 3, padding=1, groups=4, bias=False),
    nn.Conv1d(8, 4, 3),
    nn.Linear(64, 10),
)


def _input(layer: nn.Module) -> Tensor:
    shape = {nn.Conv2d: (32, 8, 6, 6), nn.Conv1d: (32, 8, 6), nn.Linear: (32, 64)}[type(layer)]
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def _under_autocast(network: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return network(x)


@pytest.fixture
def without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that cannot multiply in bfloat16."""
    info = dataclasses.replace(device_info("cpu"), native_bf16=False)
    monkeypatch.setattr(forward_module, "device_info", lambda name: info)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_a_layer_rounds_its_factors_and_once_its_sums(layer: nn.Module) -> None:
    x = _input(layer)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(parameter.bfloat16())
        exact = layer.double()(x.bfloat16().double())
        emulated = layer.float()
        emulate_bfloat16(emulated)
        found = _under_autocast(emulated, x)
    assert found.dtype == torch.bfloat16
    # half a unit in the last place of 8 bits, and the rounding of sums in float32
    assert ((found.double() - exact).abs() <= exact.abs() * 2**-8 + 1e-5).all()


def test_where_sums_are_exact_every_bit_is_that_of_autocast() -> None:
    generator = torch.Generator().manual_seed(4)
    layer = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randint(-3, 4, parameter.shape, generator=generator))
        x = torch.randint(-4, 5, (16, 3, 8, 8), generator=generator).float()
        expected = _under_autocast(layer, x)
        emulate_bfloat16(layer)
        assert torch.equal(_under_autocast(layer, x), expected)


@pytest.mark.usefixtures("without_bfloat16")
def test_a_network_gives_what_autocast_gives(image: Tensor) -> None:
    network = random_network()
    x = image + 0.5 * torch.randn((64, *image.shape), generator=torch.Generator().manual_seed(5))
    forward = NoisyForward(network, 5, precision="bf16")
    before = NoisyForward(network, 5, precision="fp32")
    found, expected = forward.logits(x), _under_autocast(before._fused(image.shape), x).float()
    exact = before.logits(x)
    assert (found - expected).abs().max() <= (
        exact - expected
    ).abs().max() + 2**-7 * exact.abs().max()
    assert not torch.equal(found, exact)  # it does round


@pytest.mark.usefixtures("without_bfloat16")
def test_gradients_are_those_of_the_rounded_network(model: Classifier) -> None:
    """Nearer to autocast's than fp32's are, or as near."""
    shape = model.card.shape
    x = torch.rand((16, *shape), generator=torch.Generator().manual_seed(6)).requires_grad_()
    forward = NoisyForward(model, precision="bf16")
    before = NoisyForward(model, precision="fp32")

    def gradient(logits: Tensor) -> Tensor:
        return torch.autograd.grad(logits.float().logsumexp(1).sum(), x)[0]

    found = gradient(forward.logits(x))
    expected = gradient(_under_autocast(before._fused(shape), x))
    exact = gradient(before.logits(x))
    assert (found - expected).norm() < (exact - expected).norm()


@pytest.mark.usefixtures("without_bfloat16")
def test_the_network_of_the_caller_is_not_touched(model: Classifier) -> None:
    before = [parameter.clone() for parameter in model.parameters()]
    NoisyForward(model, precision="bf16").logits(torch.rand((2, *model.card.shape)))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_compiled_network_is_left_to_its_compiler() -> None:
    network = random_network()
    network[-1].compile()
    emulate_bfloat16(network)
    assert not any("forward" in vars(module) for module in network.modules())


def test_a_layer_whose_weights_are_made_by_a_hook_is_left_alone() -> None:
    layer = nn.utils.spectral_norm(nn.Conv2d(3, 4, 3)).eval()
    x = torch.rand((8, 3, 8, 8), generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        expected = _under_autocast(layer, x)
        emulate_bfloat16(layer)
        assert torch.equal(_under_autocast(layer, x), expected)


def test_a_layer_in_float64_is_left_alone() -> None:
    """As autocast leaves it."""
    layer = nn.Linear(8, 4).double()
    x = torch.rand((3, 8), generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    with torch.no_grad():
        expected = layer(x)
        emulate_bfloat16(layer)
        assert torch.equal(_under_autocast(layer, x), expected)
