"""Files as the field's own code writes them: read back, they give the original's logits.

The originals are put together from torchvision's blocks and plain layers here, independently of
our own networks, with the same names of weights as in the published code.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models as torchvision_models
from torchvision.models.resnet import BasicBlock

from ddrs_core.errors import MismatchError
from ddrs_core.models.classifier import Normalization
from ddrs_core.models.importing.build import build_foreign, describe
from ddrs_core.models.importing.normalizations import get_normalization
from ddrs_core.models.importing.read import read_here
from ddrs_core.models.importing.recognise import recognise
from ddrs_core.models.importing.sniff import Layout

CIFAR = get_normalization("cifar", 3)
MEAN = torch.tensor(CIFAR.mean).view(1, 3, 1, 1)
STD = torch.tensor(CIFAR.std).view(1, 3, 1, 1)
TOLERANCE = 1e-5


class Normalize(nn.Module):
    """As Cohen et al.'s: constants that are no buffers."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - MEAN) / STD


class Pad(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, channels // 2, channels // 2))


class ReferenceResNet(nn.Module):
    """He et al.'s CIFAR network with either kind of shortcut."""

    def __init__(self, depth: int, projection: bool, head: str = "fc") -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stages = []
        for before, after in ((16, 16), (16, 32), (32, 64)):
            stride = 1 if before == after else 2
            shortcut: nn.Module | None = None
            if stride == 2:
                shortcut = Pad()
            if stride == 2 and projection:
                shortcut = nn.Sequential(
                    nn.Conv2d(before, after, 1, 2, bias=False), nn.BatchNorm2d(after)
                )
            first = BasicBlock(before, after, stride, shortcut)
            stages.append(
                nn.Sequential(first, *(BasicBlock(after, after) for _ in range(blocks - 1)))
            )
        self.layer1, self.layer2, self.layer3 = stages
        self.head = head
        setattr(self, head, nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return getattr(self, self.head)(F.avg_pool2d(x, 8).flatten(1))


class AuthorsResNet(nn.Module):
    """torchvision's ResNet-18 without the first batch-norm, with normalisation and softmax."""

    def __init__(self) -> None:
        super().__init__()
        built = torchvision_models.resnet18(num_classes=10)
        for name in ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"):
            setattr(self, name, getattr(built, name))

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.conv1((x - MEAN) / STD)))
        x = self.avgpool(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return torch.softmax(self.fc(x.flatten(1)), dim=1)


class WideBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.relu1 = nn.BatchNorm2d(before), nn.ReLU()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(after), nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.same = before == after
        self.convShortcut = None if self.same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(x))
        shortcut = x if self.convShortcut is None else self.convShortcut(out)
        return shortcut + self.conv2(self.relu2(self.bn2(self.conv1(out))))


class WideNet(nn.Module):
    """WRN-40-2 under xternalz's names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        for i, (before, after) in enumerate(((16, 32), (32, 64), (64, 128)), start=1):
            blocks = [WideBlock(before, after, 1 if i == 1 else 2)]
            blocks += [WideBlock(after, after, 1) for _ in range(5)]
            stage = nn.Module()
            stage.layer = nn.Sequential(*blocks)
            setattr(self, f"block{i}", stage)
        self.bn1 = nn.BatchNorm2d(128)
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for stage in (self.block1, self.block2, self.block3):
            x = stage.layer(x)
        return self.fc(F.avg_pool2d(F.relu(self.bn1(x)), 8).view(-1, 128))


def reference_lenet() -> nn.Module:
    net = nn.Module()
    net.conv1, net.conv2 = nn.Conv2d(1, 20, 5, 1), nn.Conv2d(20, 50, 5, 1)
    net.fc1, net.fc2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(net.conv1(x)), 2, 2)
        x = F.max_pool2d(F.relu(net.conv2(x)), 2, 2)
        return net.fc2(F.relu(net.fc1(x.view(-1, 800))))

    net.forward = forward
    return net


class Wrapped(nn.Module):
    """As ``torch.nn.DataParallel`` names things, without GPUs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


def train_a_little(network: nn.Module, shape: tuple[int, int, int]) -> torch.optim.Optimizer:
    """A few steps, so that weights and statistics are not those of a fresh network."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    network.train()
    for _ in range(2):
        x = torch.rand((8, *shape), generator=generator)
        y = torch.randint(10, (8,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
    network.eval()
    return optimizer


def images(*shape: int) -> Tensor:
    return torch.rand((3, *shape), generator=torch.Generator().manual_seed(7))


@pytest.fixture(autouse=True)
def seed() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def agree(original: nn.Module, path: Path, x: Tensor, **options: Any) -> None:
    classifier = build_foreign(read_here(path), **options)
    with torch.no_grad():
        torch.testing.assert_close(classifier(x), original(x), atol=TOLERANCE, rtol=1e-4)
    assert not classifier.training
    assert not any(p.requires_grad for p in classifier.parameters())


def save_as_cohen(path: Path, model: nn.Module, optimizer: Any, arch: str, **how: Any) -> None:
    content = {
        "epoch": 90,
        "arch": arch,
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(content, path, **how)


@pytest.mark.parametrize("zipped", [True, False])
def test_cohen_on_cifar(tmp_path: Path, zipped: bool) -> None:
    model = nn.Sequential(Normalize(), ReferenceResNet(20, projection=True))
    optimizer = train_a_little(model, (3, 32, 32))
    path = tmp_path / "checkpoint.pth.tar"
    save_as_cohen(path, model, optimizer, "cifar_resnet20", _use_new_zipfile_serialization=zipped)
    raw = read_here(path)
    assert (raw.layout, raw.prefix, raw.arch_hint, raw.epoch) == (
        Layout.COHEN,
        "1.",
        "cifar_resnet20",
        90,
    )
    assert raw.extras == ("optimizer",)
    assert raw.normalization is None
    assert [r.architecture for r in recognise(raw)] == ["cifar_resnet20_projection"]
    agree(model, path, images(3, 32, 32))  # Cohen's normalisation is assumed
    card = build_foreign(raw, "cifar_resnet20").card  # as their paper calls it
    assert card.architecture == "cifar_resnet20_projection"
    assert card.origin == "Cohen / SmoothAdv layout, checkpoint.pth.tar, epoch 90"
    assert card.parameters == sum(p.numel() for p in model.parameters())


def test_cohen_on_imagenet_has_a_parallel_module_inside(tmp_path: Path) -> None:
    inner = torchvision_models.resnet18(num_classes=10)
    model = nn.Sequential(Normalize(), Wrapped(inner))
    optimizer = train_a_little(model, (3, 64, 64))
    path = tmp_path / "checkpoint.pth.tar"
    save_as_cohen(path, model, optimizer, "resnet18")
    raw = read_here(path)
    assert (raw.layout, raw.prefix) == (Layout.COHEN, "1.module.")
    assert [r.architecture for r in recognise(raw)] == ["resnet18"]
    imagenet = get_normalization("imagenet", 3)
    assert build_foreign(raw).card.normalization == imagenet
    agree(model, path, images(3, 64, 64), normalization=CIFAR)


def test_macer(tmp_path: Path) -> None:
    model = ReferenceResNet(20, projection=True)
    train_a_little(model, (3, 32, 32))
    path = tmp_path / "440.pth"
    torch.save({"net": model.state_dict(), "epoch": 440}, path)
    raw = read_here(path)
    assert (raw.layout, raw.epoch, raw.prefix) == (Layout.MACER, 440, "")
    assert build_foreign(raw).card.method == "macer"
    agree(model, path, images(3, 32, 32))  # no normalisation


def test_macer_on_mnist(tmp_path: Path) -> None:
    model = reference_lenet()
    train_a_little(model, (1, 28, 28))
    path = tmp_path / "200.pth"
    torch.save({"net": model.state_dict(), "epoch": 200}, path)
    agree(model, path, images(1, 28, 28))


def test_the_authors_softmax_is_not_applied_twice(tmp_path: Path) -> None:
    model = AuthorsResNet()
    optimizer = train_a_little(model, (3, 32, 32))
    path = tmp_path / "best_model.pth.tar"
    content = {"epoch": 440, "state_dict": model.state_dict()}
    torch.save({**content, "optimizer_param": optimizer.state_dict()}, path)
    raw = read_here(path)
    assert raw.layout == Layout.AUTHORS
    (found,) = recognise(raw)
    assert found.architecture == "authors_resnet18"
    assert any("softmax" in line for line in describe(raw, [found]))
    classifier = build_foreign(raw)
    x = images(3, 32, 32)
    with torch.no_grad():
        logits, theirs = classifier(x), model(x)
    torch.testing.assert_close(logits.softmax(1), theirs, atol=TOLERANCE, rtol=1e-4)
    assert (logits.sum(1) - 1).abs().min() > 1e-3


def test_the_authors_wide_resnet(tmp_path: Path) -> None:
    network = WideNet()
    model = nn.Sequential(Normalize(), network)
    optimizer = train_a_little(model, (3, 32, 32))
    path = tmp_path / "checkpoint.pth.tar"
    content = {"epoch": 1, "state_dict": network.state_dict()}
    torch.save({**content, "optimizer_param": optimizer.state_dict()}, path)
    assert [r.architecture for r in recognise(read_here(path))] == ["wideresnet40_2"]
    agree(model, path, images(3, 32, 32))


def test_the_authors_imagenet_wrapper(tmp_path: Path) -> None:
    class Wrapper(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(self.model((x - MEAN) / STD), dim=1)

    model = Wrapper(Wrapped(torchvision_models.resnet18(num_classes=10)))
    optimizer = train_a_little(model, (3, 64, 64))
    path = tmp_path / "checkpoint.pth.tar"
    content = {"epoch": 1, "state_dict": model.state_dict()}
    torch.save({**content, "optimizer_param": optimizer.state_dict()}, path)
    raw = read_here(path)
    assert raw.prefix == "model.module."
    x = images(3, 64, 64)
    with torch.no_grad():
        logits = build_foreign(raw, normalization=CIFAR)(x)
        torch.testing.assert_close(logits.softmax(1), model(x), atol=TOLERANCE, rtol=1e-4)


def test_padding_shortcuts_under_another_name_of_the_head(tmp_path: Path) -> None:
    model = ReferenceResNet(20, projection=False, head="linear")  # akamaster's names
    train_a_little(model, (3, 32, 32))
    path = tmp_path / "resnet20.th"
    torch.save({"state_dict": Wrapped(model).state_dict(), "best_prec1": 91.7}, path)
    raw = read_here(path)
    assert (raw.prefix, raw.extras) == ("module.", ("best_prec1",))
    assert [r.architecture for r in recognise(raw)] == ["cifar_resnet20"]
    agree(model, path, images(3, 32, 32), normalization=get_normalization("none", 3))


def test_the_usual_cifar_resnet18(tmp_path: Path) -> None:
    model = torchvision_models.resnet18(num_classes=10)
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    train_a_little(model, (3, 32, 32))
    state = {
        key.replace("downsample", "shortcut").replace("fc.", "linear."): value
        for key, value in model.state_dict().items()
    }
    path = tmp_path / "ckpt.pth"
    torch.save({"net": state, "acc": np.float64(93.02), "epoch": np.int64(199)}, path)
    raw = read_here(path)
    assert (raw.layout, raw.extras) == (Layout.WRAPPED, ("acc",))
    assert [r.architecture for r in recognise(raw)] == ["cifar_resnet18"]
    none = get_normalization("none", 3)
    agree(model, path, images(3, 32, 32), normalization=none)
    torch.save(model.state_dict(), path)  # torchvision's names of the same function
    assert [r.architecture for r in recognise(read_here(path))] == ["cifar_resnet18"]
    agree(model, path, images(3, 32, 32), normalization=none)


def test_a_torchvision_network_as_safetensors(tmp_path: Path) -> None:
    model = torchvision_models.mobilenet_v3_small(num_classes=10)
    train_a_little(model, (3, 64, 64))
    path = tmp_path / "weights.bin"  # told by its content
    save_file(model.state_dict(), path)
    raw = read_here(path)
    assert raw.layout == Layout.SAFETENSORS
    (found,) = recognise(raw)
    assert (found.architecture, found.num_classes, found.shape) == (
        "mobilenet_v3_small",
        10,
        (3, 224, 224),
    )
    agree(model, path, images(3, 64, 64), normalization=get_normalization("none", 3))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "model.net.", "network."])
def test_prefixes_are_taken_off(tmp_path: Path, prefix: str) -> None:
    state = {f"{prefix}{k}": v for k, v in reference_lenet().state_dict().items()}
    torch.save(state, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert (raw.prefix, raw.layout) == (prefix, Layout.PLAIN)
    assert [r.architecture for r in recognise(raw)] == ["lenet"]


@pytest.mark.parametrize("entry", ["state_dict", "model_state_dict", "model"])
def test_entries_that_hold_the_weights(tmp_path: Path, entry: str) -> None:
    state = reference_lenet().state_dict()
    torch.save({entry: state, "epoch": 5, "loss": 0.3}, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert set(raw.state) == set(state)
    assert (raw.epoch, raw.extras) == (5, ("loss",))


LENET = reference_lenet().state_dict()
BLOCK = {f"layer.{i}.weight": torch.rand(3, 3) for i in range(20)}  # of no known architecture


def under(prefix: str, state: dict[str, Tensor] = LENET) -> dict[str, Tensor]:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def optimizer_state(kind: Any = torch.optim.Adam) -> dict[str, Any]:
    """Its tensors hold more numbers than the weights themselves."""
    model = reference_lenet()
    optimizer = kind(model.parameters(), 0.1)
    model(images(1, 28, 28)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


@pytest.mark.parametrize(
    ("content", "entry", "prefix", "extras"),
    [
        ({"model": {"state_dict": LENET}}, "model.state_dict", "", ()),
        ({"state": LENET, "acc": 0.9}, "state", "", ("acc",)),
        ({"model_dict": LENET}, "model_dict", "", ()),
        ({"a": {"b": [{"c": LENET}, 3]}, 5: "x"}, "a.b.[0].c", "", ("[5]", "a.b.[1]")),
        ([LENET, 3], "[0]", "", ("[1]",)),
        ({"optimizer": optimizer_state(), "params_ema": LENET}, "params_ema", "", ("optimizer",)),
        (
            {"n_averaged": torch.tensor(3), **under("module.")},
            "",
            "module.",
            ("n_averaged (1 tensor)",),
        ),
        (under("anything.at.all."), "", "anything.at.all.", ()),
        ({**under("student."), **under("loss.", BLOCK)}, "", "student.", ("loss.* (20 tensors)",)),
        (
            {**LENET, "fc1.total_ops": torch.zeros(1), "total_ops": torch.zeros(1)},
            "",
            "",
            ("*.total_ops (2 tensors)",),
        ),
        ({"big": BLOCK, "small": LENET}, "small", "", ("big",)),
        (
            {"state_dict": under("model."), "hyper_parameters": {"lr": 0.1}},
            "state_dict",
            "model.",
            ("hyper_parameters",),
        ),
    ],
)
def test_weights_are_found_wherever_they_lie(
    tmp_path: Path, content: Any, entry: str, prefix: str, extras: tuple[str, ...]
) -> None:
    torch.save(content, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert (raw.entry, raw.prefix, raw.extras) == (entry, prefix, extras)
    assert [r.architecture for r in recognise(raw)] == ["lenet"]
    assert raw.state.keys() == LENET.keys()
    assert all(torch.equal(raw.state[key], LENET[key]) for key in LENET)
    text = "\n".join(describe(raw, recognise(raw)))
    assert all(word in text for word in (entry, prefix, *extras))


def test_several_sets_of_weights_that_fit_are_named(tmp_path: Path) -> None:
    other = {key: tensor + 1 for key, tensor in LENET.items()}
    torch.save({"state_dict_ema": other, "state_dict": LENET}, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert raw.entry == "state_dict"
    assert torch.equal(raw.state["fc2.bias"], LENET["fc2.bias"])
    assert raw.extras == ("state_dict_ema",)
    (note,) = raw.notes
    assert "other numbers; read: state_dict; not read: state_dict_ema" in note


@pytest.mark.parametrize("schedule", ["MultiStepLR", "CosineAnnealingLR", "LinearLR"])
@pytest.mark.parametrize("zipped", [True, False])
def test_whatever_torchs_safe_reader_takes_may_lie_beside_the_weights(
    tmp_path: Path, schedule: str, zipped: bool
) -> None:
    model = reference_lenet()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    options = {"MultiStepLR": {"milestones": [80, 80, 120]}, "CosineAnnealingLR": {"T_max": 9}}
    scheduler = getattr(torch.optim.lr_scheduler, schedule)
    marked = torch.rand(2)
    marked.origin = "a tensor with attributes is rebuilt in another way"
    content = {
        "state_dict": model.state_dict(),
        "scheduler": scheduler(optimizer, **options.get(schedule, {})).state_dict(),
        "counts": Counter("abracadabra"),
        "pairs": OrderedDict([((1, 2), 3), ("x", {4, 5})]),
        "kinds": [torch.float8_e4m3fn, torch.strided, torch.device("cuda:0"), torch.Size((3, 4))],
        "bytes": (b"\xff\x00", bytearray(b"\xff\x00"), 1 + 2j),
        "rng": torch.get_rng_state(),
        "complex": torch.zeros(2, dtype=torch.complex64),
        "marked": [marked, nn.Parameter(torch.rand(3))],
    }
    path = tmp_path / "a.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    torch.load(path, weights_only=True)
    raw = read_here(path)
    assert torch.equal(raw.state["fc1.weight"], model.state_dict()["fc1.weight"])
    assert [r.architecture for r in recognise(raw)] == ["lenet"]


def test_a_dictionary_as_python_2_wrote_it(tmp_path: Path) -> None:
    """``OrderedDict`` was pickled with a list of lists as its argument."""

    class Old(OrderedDict[str, Tensor]):
        def __reduce__(self) -> Any:
            return OrderedDict, ([[key, value] for key, value in self.items()],)

    torch.save(Old(LENET), tmp_path / "a.pt")
    assert read_here(tmp_path / "a.pt").state.keys() == LENET.keys()


def test_lightning(tmp_path: Path) -> None:
    state = {f"model.{k}": v for k, v in reference_lenet().state_dict().items()}
    content = {"state_dict": state, "pytorch-lightning_version": "2.1.0", "global_step": 7}
    torch.save(content, tmp_path / "last.ckpt")
    raw = read_here(tmp_path / "last.ckpt")
    assert (raw.layout, raw.prefix) == (Layout.LIGHTNING, "model.")


@pytest.mark.parametrize(
    ("mean", "std", "shape"),
    [
        ("0.mean", "0.std", (3,)),
        ("0.means", "0.sds", (3,)),
        ("normalize.mean", "normalize.std", (1, 3, 1, 1)),
        ("module.normalizer.mean", "module.normalizer.std", (3, 1, 1)),
        ("mu", "sigma", (3, 1, 1)),
        ("mean", "std", (1, 3, 1, 1)),
    ],
)
def test_a_normalisation_in_the_file_is_used(
    tmp_path: Path, mean: str, std: str, shape: tuple[int, ...]
) -> None:
    model = ReferenceResNet(20, projection=True).eval()
    outer = {"0.": "1.", "mo": "module.model."}.get(mean[:2], "")
    state = {f"{outer}{k}": v for k, v in model.state_dict().items()}
    torch.save({mean: MEAN.view(shape), std: STD.view(shape), **state}, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert raw.normalization is not None
    assert raw.normalization.mean == pytest.approx(CIFAR.mean)
    assert raw.normalization.std == pytest.approx(CIFAR.std)
    agree(nn.Sequential(Normalize(), model), tmp_path / "a.pt", images(3, 32, 32))


@pytest.mark.parametrize("mean", ["new_mean", "image_mean", "_mean", "mean", "mu"])
def test_a_normalisation_beside_an_attacker_is_that_of_the_network(
    tmp_path: Path, mean: str
) -> None:
    """As the ``robustness`` library saves a model, its attacker and the normalisation of both."""
    model = ReferenceResNet(20, projection=True).eval()
    std = "sigma" if mean == "mu" else mean.replace("mean", "std")
    layer = {mean: MEAN, std: STD}
    state = under("module.normalizer.", layer) | under("module.model.", model.state_dict())
    state |= under("module.attacker.normalize.", {mean: MEAN + 1e-3, std: STD})
    state |= under("module.attacker.model.", model.state_dict())
    torch.save({"model": state, "epoch": 3}, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert (raw.entry, raw.prefix, raw.epoch) == ("model", "module.model.", 3)
    assert raw.extras == ("module.attacker.* (130 tensors)",)
    assert any("same numbers" in note and "module.attacker.model." in note for note in raw.notes)
    assert raw.normalization is not None
    assert raw.normalization.mean == pytest.approx(CIFAR.mean)
    agree(nn.Sequential(Normalize(), model), tmp_path / "a.pt", images(3, 32, 32))


def test_the_normalisation_of_another_network_is_not_taken(tmp_path: Path) -> None:
    layer = {"mean": MEAN, "std": STD}
    state = under("teacher.normalize.", layer) | under("student.", LENET)
    torch.save(state, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert raw.normalization is None
    assert raw.extras == ("teacher.* (2 tensors)",)


def test_a_normalisation_for_bytes_is_rescaled(tmp_path: Path) -> None:
    state = {f"1.{k}": v for k, v in ReferenceResNet(20, projection=True).state_dict().items()}
    state |= {"0.mean": MEAN.flatten() * 255, "0.std": STD.flatten() * 255}
    torch.save(state, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert raw.normalization is not None
    assert raw.normalization.std == pytest.approx(CIFAR.std)
    assert any("255" in note for note in raw.notes)


def test_half_and_double_precision_become_single(tmp_path: Path) -> None:
    state = reference_lenet().state_dict()
    keys = list(state)
    state[keys[0]] = state[keys[0]].half()
    state[keys[1]] = state[keys[1]].bfloat16()
    state[keys[2]] = state[keys[2]].double()
    torch.save(state, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert {t.dtype for t in raw.state.values()} == {torch.float32}
    assert len(raw.notes) == 3


def test_parameters_and_views_are_read(tmp_path: Path) -> None:
    block = torch.rand(2, 500)
    state = {**reference_lenet().state_dict(), "fc1.bias": block[1]}
    state["conv1.weight"] = nn.Parameter(state["conv1.weight"])
    state["fc2.weight"] = torch.rand(500, 10).T  # not contiguous
    torch.save(state, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert torch.equal(raw.state["fc1.bias"], block[1])
    assert torch.equal(raw.state["fc2.weight"], state["fc2.weight"])
    assert raw.state["fc1.bias"].untyped_storage().nbytes() == 500 * 4
    assert len(recognise(raw)) == 1


def test_the_number_of_classes_is_checked(tmp_path: Path) -> None:
    torch.save(reference_lenet().state_dict(), tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert build_foreign(raw, num_classes=10).card.num_classes == 10
    with pytest.raises(MismatchError, match="10 classes, not 100"):
        build_foreign(raw, num_classes=100)
    with pytest.raises(MismatchError, match=r"1 channel,.* 3"):
        build_foreign(raw, normalization=Normalization((0.5,) * 3, (0.5,) * 3))


def test_another_shape_than_the_architectures(tmp_path: Path) -> None:
    state = torchvision_models.squeezenet1_1(num_classes=10).state_dict()
    torch.save(state, tmp_path / "a.pt")
    raw = read_here(tmp_path / "a.pt")
    assert build_foreign(raw, shape=(3, 32, 32)).card.shape == (3, 32, 32)
    for shape in ((3, 8, 8), (1, 32, 32)):
        with pytest.raises(MismatchError, match=" x ".join(str(v) for v in shape)):
            build_foreign(raw, shape=shape)


def test_tied_weights_are_taken_apart(tmp_path: Path) -> None:
    tied = torch.rand(4, 3)
    torch.save({"a.weight": tied, "b.weight": tied, "c.weight": tied.T}, tmp_path / "a.pt")
    state = read_here(tmp_path / "a.pt").state
    assert len({t.data_ptr() for t in state.values()}) == 3
    assert torch.equal(state["c.weight"], tied.T)
    save_file(state, tmp_path / "b.safetensors")


def test_a_description_names_what_matters(tmp_path: Path) -> None:
    model = nn.Sequential(Normalize(), ReferenceResNet(20, projection=True))
    save_as_cohen(
        tmp_path / "a.pth.tar", model, torch.optim.SGD(model.parameters(), 0.1), "cifar_resnet20"
    )
    raw = read_here(tmp_path / "a.pth.tar")
    text = "\n".join(describe(raw, recognise(raw)))
    for part in (
        "a.pth.tar",
        "Cohen",
        "90",
        "optimizer",
        "'1.'",
        "cifar_resnet20_projection",
        "3 x 32 x 32",
        "not in the file",
        build_foreign(raw).card.digest,
    ):
        assert part in text
