"""Classifiers whose smoothed versions are known in closed form, and the shipped ones."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from torch import Tensor, nn

from ddrs_core.data import Dataset, load_dataset
from ddrs_core.data.user import datasets
from ddrs_core.models import Classifier, load_model, registry

pytest_plugins = ["tests.databases", "tests.scheduling"]

# The same examples in every run, however long a busy machine takes over one.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True)
hypothesis.settings.load_profile("suite")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"  # there on some machines


def pytest_configure(config: pytest.Config) -> None:
    """No test sees or changes the data folder of whoever runs it."""
    folder = tempfile.mkdtemp(prefix="ddrs-tests-")
    os.environ["DDRS_HOME"] = folder
    os.environ["TORCH_HOME"] = str(Path(folder) / "torch")
    for name in ("DDRS_DATA_DIR", "DDRS_ALLOWED_DIRS"):
        os.environ.pop(name, None)
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they need, and put the files with slow ones first."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "browser" in item.path.parts:
            item.add_marker("browser")
            # On an overloaded machine a page of Streamlit stands still once in some hundred visits,
            # until it is reloaded. The summary names what passed at the second try only.
            item.add_marker(pytest.mark.flaky(reruns=1))
        if "cluster" in fixtures:
            item.add_marker("cluster")
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        is_on_server = any(isinstance(p, str) and p == "postgresql" for p in parameters)
        if "postgres" in fixtures or is_on_server:
            item.add_marker("postgres")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Libraries and tests stay: the garbage collector need not look through them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_stays_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test attaches to the process, no other test of the process lists."""
    monkeypatch.setattr(registry, "_ATTACHED", dict(registry._ATTACHED))
    monkeypatch.setattr(datasets, "_attached", dict(datasets._attached))


class Line(nn.Module):
    """Two logits from s = <w, x> + b: class 1 where s > 0, class 0 elsewhere.

    Under noise s ~ N(s(x), (sigma |w|)^2), so the radius of the smoothed classifier is the
    distance |s(x)| / |w| to the plane, whatever sigma is.
    """

    def __init__(self, w: Tensor, b: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(w.numel(), 1)
        with torch.no_grad():
            self.linear.weight.copy_(w.reshape(1, -1))
            self.linear.bias.fill_(b)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        s = self.linear(x.flatten(1))
        return torch.cat([-s, s], dim=1)

    def margin(self, x: Tensor) -> float:
        weight = self.linear.weight.double()
        s = float((weight @ x.reshape(-1, 1).double()) + self.linear.bias)
        return abs(s) / float(weight.norm())


@pytest.fixture(scope="session")
def line() -> Line:
    """A plane in 48 dimensions, near the centre of [0, 1]^48; images are [3, 4, 4]."""
    w = torch.randn(48, generator=torch.Generator().manual_seed(5))
    return Line(w, b=0.1 - 0.5 * float(w.sum()))


@pytest.fixture(scope="session")
def at_margin(line: Line) -> Callable[[float], Tensor]:
    """An image [3, 4, 4] in [0, 1] of class 1 at a given distance, below 1.3, from the plane."""

    def image(margin: float) -> Tensor:
        weight, bias = line.linear.weight[0].double(), line.linear.bias[0].double()
        centre = torch.full_like(weight, 0.5)
        distance = (weight @ centre + bias) / weight.norm()
        x = centre + weight / weight.norm() * (margin - distance)
        assert 0 <= float(x.min()) <= float(x.max()) <= 1
        return x.float().view(3, 4, 4)

    return image


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small networks train fastest so, above all where the processor is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def test_split() -> Dataset:
    return load_dataset("digits", "test")


@pytest.fixture(scope="session")
def model() -> Classifier:
    """The shipped network for digits at noise level 0.25."""
    return load_model("digits-gaussian-0.25", "cpu")


def random_network() -> nn.Module:
    """A small network with batch-norm whose statistics are not the initial ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(72, 5),
        )
        for module in network:
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2.0)
    return network.eval()


@pytest.fixture
def network() -> nn.Module:
    """[B, 3, 8, 8] -> logits [B, 5], random weights, fresh for every test."""
    return random_network()


@pytest.fixture(scope="session")
def image() -> Tensor:
    """One image [3, 8, 8] in [0, 1]."""
    return torch.rand((3, 8, 8), generator=torch.Generator().manual_seed(11))


@pytest.fixture(scope="session")
def images() -> Tensor:
    """Five images [5, 3, 8, 8] in [0, 1]."""
    return torch.rand((5, 3, 8, 8), generator=torch.Generator().manual_seed(12))
