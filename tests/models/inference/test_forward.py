"""Noisy counts: the fast path computes what a naive loop does, whatever the batches."""

from __future__ import annotations

import copy
import re
import threading

import pytest
import torch
from torch import Tensor, nn
from torch.fx import symbolic_trace

from ddrs_core.data import Dataset
from ddrs_core.errors import InvalidParameterError, MismatchError
from ddrs_core.models import Classifier, NoisyForward, noise_generator
from ddrs_core.models.architectures import Architecture, get_architecture, list_architectures
from ddrs_core.models.inference import fuse_batchnorm as fusing
from ddrs_core.models.inference.fuse_batchnorm import fuse_batchnorm
from ddrs_core.models.inference.noise import NoiseStream

STAGE = "estimate"


def naive_counts(f: nn.Module, x: Tensor, sigma: float, n: int, index: int, classes: int) -> Tensor:
    """Counts as the field writes them, on the very noise that the fast path sees."""
    noise = torch.empty((n, *x.shape))
    NoiseStream(noise_generator(0, index, STAGE), tuple(x.shape), n).fill(noise)
    with torch.no_grad():
        votes = f(x + sigma * noise).argmax(1)
    return torch.bincount(votes, minlength=classes)


def generators(m: int) -> list[torch.Generator]:
    return [noise_generator(0, i, STAGE) for i in range(m)]


@pytest.mark.parametrize("n", [1, 7, 500, 2049])
def test_agrees_with_a_naive_loop(network: nn.Module, images: Tensor, n: int) -> None:
    sigmas = torch.tensor([0.1, 0.25, 0.5, 1.0, 0.7])
    fast = NoisyForward(network, 5).votes(images, sigmas, n, generators(5))
    assert (fast.sum(axis=1) == n).all()
    for i in range(5):
        slow = naive_counts(network, images[i], float(sigmas[i]), n, i, 5)
        # Fusing changes the last bits, so a vote on a tie may fall on the other side.
        assert abs(fast[i] - slow.numpy()).sum() <= 2


def test_agrees_with_a_naive_loop_on_a_trained_network(
    model: Classifier, test_split: Dataset
) -> None:
    x, n = test_split[8][0], 3000
    fast = NoisyForward(model, precision="fp32").votes(
        x[None], torch.tensor([0.5]), n, generators(1)
    )
    assert abs(fast[0] - naive_counts(model, x, 0.5, n, 0, 10).numpy()).sum() <= 2


@pytest.mark.parametrize("batch_size", [7, 64, 100, 333, 1024])
def test_counts_do_not_depend_on_the_batch_size(
    network: nn.Module, images: Tensor, batch_size: int
) -> None:
    sigmas = torch.full((5,), 0.5)
    reference = NoisyForward(network, 5).votes(images, sigmas, 301, generators(5))
    other = NoisyForward(network, 5, batch_size=batch_size)
    assert abs(other.votes(images, sigmas, 301, generators(5)) - reference).sum() <= 2


def test_an_image_alone_or_among_others(model: Classifier, test_split: Dataset) -> None:
    forward = NoisyForward(model, precision="fp32")
    images, _ = test_split.tensors(range(6))
    sigmas = torch.tensor([0.12, 0.25, 0.5, 0.25, 0.7, 1.0])
    together = forward.votes(images, sigmas, 1000, generators(6))
    for i in range(6):
        alone = forward.votes(
            images[i : i + 1], sigmas[i : i + 1], 1000, [noise_generator(0, i, STAGE)]
        )
        assert (alone[0] == together[i]).all()


def test_seed_index_and_stage_choose_the_noise() -> None:
    def draw(seed: int, index: int, stage: str) -> tuple[float, ...]:
        return tuple(torch.empty(4).normal_(generator=noise_generator(seed, index, stage)).tolist())

    base = draw(1, 2, "select")
    assert base == draw(1, 2, "select")
    others = {draw(2, 2, "select"), draw(1, 3, "select"), draw(1, 2, "estimate"), draw(12, 2, "")}
    assert len(others | {base}) == 5


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
def test_a_stream_may_be_cut_anywhere(shape: tuple[int, int, int]) -> None:
    n = 5000 if shape[0] == 1 else 150
    whole = torch.empty((n, *shape))
    NoiseStream(noise_generator(3, 0, "x"), shape, n).fill(whole)
    cuts = torch.Generator().manual_seed(0)
    for largest in (3, 50, n):
        stream, pieces, left = NoiseStream(noise_generator(3, 0, "x"), shape, n), [], n
        while left:
            size = min(left, int(torch.randint(1, largest + 1, (1,), generator=cuts)))
            piece = torch.empty((size, *shape))
            stream.fill(piece)
            pieces.append(piece)
            left -= size
        assert torch.equal(torch.cat(pieces), whole)


def test_noise_is_standard_normal() -> None:
    noise = torch.empty((4000, 1, 8, 8))
    NoiseStream(noise_generator(0, 0, "x"), (1, 8, 8), 4000).fill(noise)
    flat = noise.double().flatten()
    error = flat.numel() ** -0.5
    assert abs(float(flat.mean())) < 5 * error
    assert abs(float(flat.var()) - 1) < 5 * 2**0.5 * error
    # no block is a repetition of another
    assert noise.flatten(1).unique(dim=0).shape[0] == 4000


def test_bf16_and_fp32_agree_as_binomials_do(model: Classifier, test_split: Dataset) -> None:
    images, _ = test_split.tensors(range(8))
    sigmas, n = torch.full((8,), 0.5), 800
    fp32 = NoisyForward(model, precision="fp32").votes(images, sigmas, n, generators(8))
    bf16 = NoisyForward(model, precision="bf16").votes(images, sigmas, n, generators(8))
    assert (bf16.sum(axis=1) == n).all()
    share = fp32.max(axis=1) / n
    deviation = (n * share * (1 - share)) ** 0.5
    leading = fp32.argmax(axis=1)
    assert (abs(bf16[range(8), leading] - fp32.max(axis=1)) <= 3 * deviation + 5).all()


def test_snapshots_grow_and_end_complete(network: nn.Module, images: Tensor) -> None:
    forward = NoisyForward(network, 5, batch_size=32)
    sigmas = torch.full((5,), 0.5)
    steps = list(forward.vote_steps(images, sigmas, 300, generators(5), report_every=0.0))
    assert len(steps) > 10
    assert [s.done for s in steps] == sorted({s.done for s in steps})
    assert all(s.counts.sum() == s.done for s in steps)
    assert steps[-1].done == steps[-1].total == 1500
    silent = forward.votes(images, sigmas, 300, generators(5))
    assert (steps[-1].counts == silent).all()


@pytest.mark.parametrize(
    "name", ["digits_cnn", "cifar_resnet20", "cifar_resnet18", "wideresnet40_2", "lenet"]
)
def test_a_folded_network_is_the_same_function(name: str) -> None:
    architecture = get_architecture(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = architecture.build(10, architecture.shape[0])
        network.train()
        for _ in range(3):  # moves the statistics of batch-norm away from their start
            network(torch.rand(8, *architecture.shape))
        x = torch.rand(4, *architecture.shape)
    network.eval()
    fused = fuse_batchnorm(network, architecture.shape)
    for before, after in pairs_of(network):
        assert isinstance(fused.get_submodule(after), nn.Identity), (before, after)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), network(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("architecture", list_architectures(), ids=lambda a: a.name)
def test_folding_takes_hold_of_every_architecture(architecture: Architecture) -> None:
    """Behind a convolution of its own stands every batch-norm of all but the wide ResNet, whose 18
    blocks each begin with one (Zagoruyko and Komodakis 2016, figure 1)."""
    network = architecture.build(10, architecture.shape[0]).eval()
    fused = fuse_batchnorm(network, architecture.shape)
    left = sum(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert left == (18 if architecture.name == "wideresnet40_2" else 0)


@pytest.mark.parametrize("change", ["raises", "sees nothing"])
def test_a_torch_under_which_nothing_is_folded_leaves_a_warning(
    change: str,
    network: nn.Module,
    images: Tensor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def dispatch(*_: object, **__: object) -> object:
        raise TypeError("torch hands over something else")

    if change == "raises":
        monkeypatch.setattr(fusing._Uses, "__torch_dispatch__", dispatch)
    else:
        monkeypatch.setattr(fusing, "tree_leaves", lambda _: [])
    fusing._check_once.cache_clear()
    fused = fuse_batchnorm(network, images.shape[1:])
    torch.testing.assert_close(fused(images), network(images))
    assert f"Batch-norm is not fused into convolutions under torch {torch.__version__}" in (
        caplog.text
    )
    fusing._check_once.cache_clear()


def test_a_network_that_fails_by_itself_leaves_no_warning(
    network: nn.Module, caplog: pytest.LogCaptureFixture
) -> None:
    fuse_batchnorm(network, (3, 99, 99))  # more features than its last layer takes
    assert caplog.records == []


def pairs_of(network: nn.Module) -> list[tuple[str, str]]:
    """Each convolution, and the batch-norm that torch.fx sees to be its only reader."""
    modules = dict(network.named_modules())
    pairs = []
    for node in symbolic_trace(network).graph.nodes:
        if node.op == "call_module" and isinstance(modules[node.target], nn.BatchNorm2d):
            (before,) = node.all_input_nodes
            conv = before.op == "call_module" and isinstance(modules[before.target], nn.Conv2d)
            if conv and len(before.users) == 1:
                pairs.append((before.target, node.target))
    return pairs


def test_networks_are_folded_while_others_run(network: nn.Module, images: Tensor) -> None:
    expected, stop = network(images), threading.Event()
    wrong: list[object] = []

    def run() -> None:
        while not stop.is_set():
            try:
                torch.testing.assert_close(network(images), expected)
            except Exception as error:
                wrong.append(error)
                return

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        fuse_batchnorm(network, images.shape[1:])
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


class _Twice(nn.Module):
    """Uses its convolution and its batch-norm twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.norm.running_var.fill_(0.3)
        self.norm.running_mean.fill_(0.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.norm(self.conv(x)))).mean((2, 3))


class _Branching(nn.Module):
    """Cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).mean((2, 3)) * (2 if float(x.sum()) > 0 else 1)


@pytest.mark.parametrize("kind", [_Twice, _Branching])
def test_networks_that_cannot_be_folded_stay_what_they_are(
    kind: type[nn.Module], images: Tensor
) -> None:
    network = kind().eval()
    with torch.no_grad():
        fused = fuse_batchnorm(network, images.shape[1:])
        torch.testing.assert_close(fused(images), network(images))


def test_a_network_in_training_mode_is_refused(network: nn.Module) -> None:
    with pytest.raises(InvalidParameterError, match="eval"):
        NoisyForward(copy.deepcopy(network).train())
    inner = copy.deepcopy(network)
    inner[1].train()  # type: ignore[index, union-attr]
    with pytest.raises(InvalidParameterError, match="eval"):
        NoisyForward(inner)


def test_the_network_of_the_caller_stays(network: nn.Module, images: Tensor) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    forward = NoisyForward(network, 5)
    forward.votes(images, torch.full((5,), 0.5), 100, generators(5))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("batch_size", [0, -5])
def test_a_batch_holds_something(network: nn.Module, batch_size: int) -> None:
    with pytest.raises(InvalidParameterError):
        NoisyForward(network, batch_size=batch_size)


def test_unknown_precision(network: nn.Module) -> None:
    with pytest.raises(InvalidParameterError, match="fp16"):
        NoisyForward(network, precision="fp16")


def test_the_number_of_classes_is_found_out(network: nn.Module) -> None:
    assert NoisyForward(network).num_classes((3, 8, 8)) == 5


def test_logits_are_differentiable_in_the_image(network: nn.Module, images: Tensor) -> None:
    x = images.clone().requires_grad_(True)
    NoisyForward(network, 5).logits(x).sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0
    assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize(("device", "allowed"), [("cuda", False), ("cpu", True)])
def test_fp32_on_a_gpu_is_fp32(device: str, allowed: bool) -> None:
    seen: list[bool] = []

    def f(x: Tensor) -> Tensor:
        seen.append(torch.backends.cudnn.allow_tf32)
        return x.flatten(1)[:, :2]

    forward = NoisyForward(f, 2)
    forward.device = torch.device(device)  # nothing of it is used on the way to f
    forward.logits(torch.zeros(1, 1, 2, 2))
    assert seen == [allowed]
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    ("scale", "shift", "said"),
    [
        (255.0, 0.0, "from 0 to 255: divide by 255"),
        (2.0, -1.0, "from -1 to 1: leave normalisation"),
        (1.0 + 1e-4, 0.0, "from 0 to 1.0001"),
        (1.0, -1e-4, "-0.0001"),
    ],
)
def test_pixels_in_another_unit_are_refused(
    network: nn.Module, scale: float, shift: float, said: str
) -> None:
    pixels = torch.linspace(0, 1, 192).view(1, 3, 8, 8)
    forward = NoisyForward(network, 5)
    with pytest.raises(InvalidParameterError, match=re.escape(said)):
        forward.votes(pixels * scale + shift, torch.tensor([0.5]), 10, generators(1))
    forward.check_images(pixels)
    forward.check_images(pixels * (1 + 1e-7) - 1e-8)  # the rounding of whoever prepared it


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_whole_numbers_are_no_pixels(network: nn.Module, dtype: torch.dtype) -> None:
    with pytest.raises(InvalidParameterError, match="divide by 255"):
        NoisyForward(network, 5).check_images(torch.ones((1, 3, 8, 8), dtype=dtype))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.flatten(1)[:, :1],  # one class
        lambda x: x.flatten(1)[:, 0],  # [B]
        lambda x: x[:, :2],  # [B, 2, H, W]
        lambda x: x.flatten(1)[:1, :2],  # another number of images
        lambda x: (x.flatten(1)[:, :2],),  # a tuple
    ],
)
def test_outputs_that_are_no_logits(f, images: Tensor) -> None:
    for classes in (None, 2):
        with pytest.raises(MismatchError, match=r"logits \[B, K\]"):
            NoisyForward(f, classes).votes(images, torch.full((5,), 0.5), 10, generators(5))


def test_the_announced_number_of_classes(network: nn.Module, model: Classifier) -> None:
    with pytest.raises(MismatchError, match="at least 2"):
        NoisyForward(network, 1)
    with pytest.raises(MismatchError, match="10 classes"):
        NoisyForward(model, 3)
