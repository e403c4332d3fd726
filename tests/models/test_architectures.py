"""Architectures: published numbers of parameters, sizes of images, and torchvision's by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ddrs_core.errors import InvalidParameterError, UnknownNameError
from ddrs_core.models.architectures import (
    get_architecture,
    list_architectures,
    list_torchvision_architectures,
)

# of the papers: He et al. 2016, table 6; Zagoruyko and Komodakis 2016, table 4; kuangliu's README
PUBLISHED_MILLIONS = {
    "cifar_resnet20": 0.27,
    "cifar_resnet32": 0.46,
    "cifar_resnet44": 0.66,
    "cifar_resnet56": 0.85,
    "cifar_resnet110": 1.7,
    "wideresnet40_2": 2.2,
    "cifar_resnet18": 11.17,
    "lenet": 0.431,
}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", PUBLISHED_MILLIONS)
def test_published_numbers_of_parameters(name: str) -> None:
    published = PUBLISHED_MILLIONS[name]
    digits = len(str(published).partition(".")[2])
    architecture = get_architecture(name)
    parameters = count(architecture.build(10, architecture.shape[0]))
    assert round(parameters / 1e6, digits) == published


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_projections_add_two_convolutions_with_batch_norm(depth: int) -> None:
    padded = get_architecture(f"cifar_resnet{depth}").build(10, 3)
    projected = get_architecture(f"cifar_resnet{depth}_projection").build(10, 3)
    added = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    assert count(projected) - count(padded) == added
    new = set(projected.state_dict()) - set(padded.state_dict())
    assert {key.rsplit(".", 2)[0] for key in new} == {"layer2.0.downsample", "layer3.0.downsample"}


def test_the_authors_network_is_torchvisions_without_its_first_batch_norm() -> None:
    theirs = get_architecture("authors_resnet18").build(10, 3)
    torchvisions = get_architecture("resnet18").build(10, 3)
    assert count(torchvisions) - count(theirs) == 2 * 64
    missing = set(torchvisions.state_dict()) - set(theirs.state_dict())
    assert {key.partition(".")[0] for key in missing} == {"bn1"}


@pytest.mark.parametrize(
    "name",
    ["cifar_resnet20", "cifar_resnet20_projection", "cifar_resnet18", "wideresnet40_2"],
)
@pytest.mark.parametrize("side", [28, 48])
def test_networks_without_a_fixed_size_take_other_images(name: str, side: int) -> None:
    network = get_architecture(name).build(4, 1).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 1, side, side)).shape == (2, 4)


def test_names_are_unique() -> None:
    names = [a.name for a in (*list_architectures(), *list_torchvision_architectures())]
    assert len(set(names)) == len(names)


def test_all_of_torchvisions_classifiers_are_there() -> None:
    from torchvision import models

    names = {a.name for a in list_torchvision_architectures()}
    assert names >= set(models.list_models(module=models))
    assert not any("rcnn" in name or "quantized" in name for name in names)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet50", (3, 224, 224)),
        ("inception_v3", (3, 299, 299)),
        ("efficientnet_b1", (3, 240, 240)),
        ("vit_b_16", (3, 224, 224)),
        ("vit_b_16_384", (3, 384, 384)),
        ("vit_h_14_518", (3, 518, 518)),
    ],
)
def test_sizes_are_those_of_the_published_weights(name: str, shape: tuple[int, int, int]) -> None:
    assert get_architecture(name).shape == shape


@pytest.mark.parametrize("name", ["resnet50", "squeezenet1_1", "mobilenet_v3_small"])
def test_torchvision_networks_have_the_published_number_of_parameters(name: str) -> None:
    from torchvision import models

    published = models.get_model_weights(name).DEFAULT.meta["num_params"]
    with torch.device("meta"):
        assert count(get_architecture(name).build(1000, 3)) == published


def test_resnet50_has_25_56_million_parameters() -> None:
    with torch.device("meta"):
        assert round(count(get_architecture("resnet50").build(1000, 3)) / 1e6, 2) == 25.56


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_are_left_out(name: str) -> None:
    network = get_architecture(name).build(10, 3).eval()
    assert not any("aux" in key.lower() for key in network.state_dict())
    with torch.no_grad():
        output = network(torch.rand(2, 3, 96, 96))
    assert isinstance(output, torch.Tensor)
    assert output.shape == (2, 10)


def test_torchvision_networks_take_colour_only() -> None:
    with pytest.raises(InvalidParameterError, match=r"3 channels.*not 1"):
        get_architecture("mobilenet_v2").build(10, 1)


def test_unknown_names_propose_near_ones_of_both_kinds() -> None:
    with pytest.raises(UnknownNameError, match="resnet50"):
        get_architecture("resnet_50")
    with pytest.raises(UnknownNameError, match="wideresnet40_2"):
        get_architecture("wideresnet40")


@pytest.mark.parametrize("name", ["cifar_resnet18", "authors_resnet18", "wideresnet40_2"])
def test_logits_are_no_probabilities(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = get_architecture(name).build(10, 3)
        network(torch.rand(8, 3, 32, 32))
        with torch.no_grad():
            logits = network.eval()(torch.rand(4, 3, 32, 32))
    assert (logits.sum(1) - 1).abs().min() > 1e-3
