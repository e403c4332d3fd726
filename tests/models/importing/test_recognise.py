"""Recognition: each architecture by its names and shapes alone, and what differs in words."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from ddrs_core.errors import CheckpointError, UnknownNameError
from ddrs_core.models.architectures import get_architecture, list_architectures
from ddrs_core.models.importing.build import build_foreign
from ddrs_core.models.importing.recognise import recognise
from ddrs_core.models.importing.sniff import Layout, RawCheckpoint


def raw(state: dict[str, Tensor], hint: str = "") -> RawCheckpoint:
    return RawCheckpoint("file.pth", Layout.PLAIN, dict(state), arch_hint=hint)


def state_of(name: str, classes: int, channels: int = 3) -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(get_architecture(name).build(classes, channels).state_dict())


@pytest.mark.parametrize("architecture", list_architectures(), ids=lambda a: a.name)
@pytest.mark.parametrize(("classes", "channels"), [(10, 3), (7, 1), (100, 4)])
def test_our_own_are_recognised(architecture, classes: int, channels: int) -> None:
    (found,) = recognise(raw(state_of(architecture.name, classes, channels)))
    assert found.architecture == architecture.name
    assert (found.num_classes, found.in_channels) == (classes, channels)
    assert found.shape == (channels, *architecture.shape[1:])


@pytest.mark.parametrize(
    "name",
    [
        "alexnet",
        "convnext_tiny",
        "densenet121",
        "efficientnet_b0",
        "googlenet",
        "inception_v3",
        "maxvit_t",
        "mnasnet1_0",
        "resnet18",
        "resnet50",
        "squeezenet1_1",
        "swin_v2_t",
        "vgg11_bn",
        "vit_b_16",
        "vit_b_16_384",
        "wide_resnet50_2",
    ],
)
@pytest.mark.parametrize("classes", [10, 1000])
def test_torchvisions_are_recognised(name: str, classes: int) -> None:
    (found,) = recognise(raw(state_of(name, classes)))
    assert (found.architecture, found.num_classes) == (name, classes)


def test_recognition_is_quick() -> None:
    state = state_of("cifar_resnet110_projection", 10)
    recognise(raw(state))
    started = time.process_time()
    recognise(raw(state))
    assert time.process_time() - started < 0.5


def test_nothing_fits() -> None:
    assert recognise(raw({"a.weight": torch.zeros(3, 4), "a.bias": torch.zeros(3)})) == []
    with pytest.raises(CheckpointError, match=r"none of the architectures.*2 tensors"):
        build_foreign(raw({"a.weight": torch.zeros(3, 4), "a.bias": torch.zeros(3)}))


def test_counters_of_batches_may_be_missing() -> None:
    state = get_architecture("cifar_resnet20").build(10, 3).state_dict()
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert len(old) < len(state)
    assert [r.architecture for r in recognise(raw(old))] == ["cifar_resnet20"]
    assert build_foreign(raw(old)).card.num_classes == 10


def test_densenets_of_old_torchvision_had_dots() -> None:
    import re

    state = state_of("densenet121", 10)
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", k): v for k, v in state.items()
    }
    assert set(old) != set(state)
    (found,) = recognise(raw(old))
    assert found.architecture == "densenet121"
    assert found.notes


def test_auxiliary_heads_in_the_file_are_left_out() -> None:
    from torchvision import models

    with torch.device("meta"):
        state = models.googlenet(weights=None, init_weights=False, num_classes=10).state_dict()
    assert any(key.startswith("aux1") for key in state)
    (found,) = recognise(raw(state))
    assert found.architecture == "googlenet"
    assert "training" in found.notes[0]


@pytest.mark.parametrize("depth", [20, 110])
def test_published_files_mean_projections(depth: int) -> None:
    state = get_architecture(f"cifar_resnet{depth}_projection").build(10, 3).state_dict()
    card = build_foreign(raw(state), f"cifar_resnet{depth}").card
    assert card.architecture == f"cifar_resnet{depth}_projection"


def test_a_wrong_architecture_is_explained() -> None:
    given = raw(state_of("cifar_resnet20", 10))
    with pytest.raises(CheckpointError) as missing:
        build_foreign(given, "cifar_resnet32")
    text = str(missing.value)
    assert "missing (layer1.3.conv1.weight," in text
    assert "look like cifar_resnet20" in text
    assert text.count("layer1.3") <= 3
    with pytest.raises(CheckpointError, match="not part of that network"):
        build_foreign(raw(state_of("cifar_resnet32", 10)), "cifar_resnet20")


def test_another_shape_is_explained() -> None:
    state = state_of("lenet", 10, 1)
    state["fc1.weight"] = torch.empty(500, 900, device="meta")
    with pytest.raises(
        CheckpointError, match=r"fc1\.weight is \[500, 900\], should be \[500, 800\]"
    ):
        build_foreign(raw(state), "lenet")


def test_an_unknown_architecture() -> None:
    with pytest.raises(UnknownNameError, match="resnet50"):
        build_foreign(raw(state_of("lenet", 10, 1)), "resnet5")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_one_channel_does_not_fit_torchvision(name: str) -> None:
    state = state_of(name, 10)
    first = next(iter(state))
    state[first] = torch.empty(len(state[first]), 1, *state[first].shape[2:], device="meta")
    assert recognise(raw(state)) == []
    with pytest.raises(CheckpointError, match="of another shape"):
        build_foreign(raw(state), name)


def test_odd_shapes_do_not_confuse() -> None:
    state = state_of("cifar_resnet20", 10)
    state["fc.weight"] = torch.empty((), device="meta")
    state["conv1.weight"] = torch.empty(0, 3, 3, device="meta")
    assert recognise(raw(state)) == []
    with pytest.raises(CheckpointError, match="of another shape"):
        build_foreign(raw(state), "cifar_resnet20")
