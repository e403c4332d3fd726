"""Memory: batches fit into what is free, and running out of it costs no sample."""

from __future__ import annotations

import copy
import gc
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor, nn

from ddrs_core.errors import DeviceError
from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.models.inference import device_memory as memory
from ddrs_core.models.inference.device_memory import (
    MemoryLimit,
    batch_that_fits,
    free_memory,
    is_out_of_memory,
)
from ddrs_core.models.inference.gradients import checkpointed, data_parallel_cpu
from ddrs_core.smoothing.sigma.soft_radius import soft_radius

CPU_MESSAGE = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 9 bytes. Error code 12 (Cannot allocate memory)"
)
ERRORS = [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(CPU_MESSAGE), MemoryError()]


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> None:
    """Each time that memory runs out, garbage is collected: not among what earlier tests left."""
    gc.collect()
    gc.freeze()


class Narrow(nn.Module):
    """A network on a machine whose memory holds ``most`` images, and fewer for gradients."""

    def __init__(self, network: nn.Module, most: int, error: Exception = ERRORS[0]) -> None:
        super().__init__()
        self.network, self.most, self.error = network, most, error
        self.seen: list[int] = []
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > (self.most // 4 or 1 if torch.is_grad_enabled() else self.most):
            raise self.error
        if x.device.type != "meta":
            self.seen.append(len(x))
        return self.network(x)


def votes(forward: NoisyForward, images: Tensor, n: int = 300) -> np.ndarray:
    generators = [noise_generator(0, i, "test") for i in range(len(images))]
    return forward.votes(images, torch.full((len(images),), 0.5), n, generators)


def narrow(network: nn.Module, most: int, error: Exception = ERRORS[0]) -> Narrow:
    return Narrow(copy.deepcopy(network), most, error)


# ------------------------------------------------------------------------- running out of memory


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("images_at_once", [1, 5])
def test_running_out_of_memory_loses_no_sample(
    network: nn.Module, images: Tensor, error: Exception, images_at_once: int
) -> None:
    images = images[:images_at_once]
    forward = NoisyForward(narrow(network, 20, error), 5, batch_size=128)
    assert forward.memory_note == ""
    found = votes(forward, images)
    assert (found.sum(axis=1) == 300).all()
    assert abs(found - votes(NoisyForward(network, 5), images)).sum() <= 2  # rounding on ties
    assert forward.memory_note == ("Memory was short: batches were reduced from 128 to 16 images.")


def test_the_limit_is_kept(network: nn.Module, images: Tensor) -> None:
    f = narrow(network, 20)
    forward = NoisyForward(f, 5, batch_size=128)
    votes(forward, images)
    assert forward.batch_size((3, 8, 8)) == 16
    inside = forward._network
    assert isinstance(inside, Narrow)
    inside.most = 1_000  # memory is free again, but nobody tries
    inside.seen.clear()
    votes(forward, images)
    assert max(inside.seen) == 16


def test_not_even_one_image(network: nn.Module, images: Tensor) -> None:
    forward = NoisyForward(narrow(network, 0), 5, batch_size=8)
    with pytest.raises(DeviceError, match=r"Narrow: [\d,]+ MiB are free\. Close other programs"):
        votes(forward, images)


def test_other_errors_pass(network: nn.Module, images: Tensor) -> None:
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    forward = NoisyForward(narrow(network, 20, error), 5, batch_size=64)
    with pytest.raises(RuntimeError, match="illegal"):
        votes(forward, images)
    assert forward.memory_note == ""


def test_errors_of_other_libraries_are_recognised() -> None:
    assert is_out_of_memory(RuntimeError("could not create a primitive"))  # oneDNN, seen
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert is_out_of_memory(RuntimeError("[enforce fail a"))  # in a child at its limit, seen
    assert is_out_of_memory(RuntimeError("std::bad_alloc"))  # there as well
    assert not is_out_of_memory(ValueError("out of memory"))


def test_what_the_installed_torch_says_is_recognised() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 50, dtype=torch.uint8)  # beyond the address space of any machine
    assert is_out_of_memory(refused.value)


def test_done_parts_are_not_repeated() -> None:
    rows, most = list(range(100)), 40

    def work(start: int, stop: int) -> list[int]:
        nonlocal most
        if stop - start > most:
            raise MemoryError
        if start >= 30:
            most = 7  # somebody else took memory on the way
        return rows[start:stop]

    limit = MemoryLimit(torch.device("cpu"), "it")
    parts = limit.parts(100, work)
    assert [row for part in parts for row in part] == rows
    assert limit.rows == 6


def test_threads_share_one_limit() -> None:
    limit = MemoryLimit(torch.device("cpu"), "it")
    together = threading.Barrier(4)
    first = threading.local()

    def work(start: int, stop: int) -> int:
        if not hasattr(first, "passed"):
            first.passed = True
            together.wait(10)  # all fail at the same size, at the same time
        if stop - start > 16:
            raise MemoryError
        return stop - start

    done: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda: done.append(limit.parts(32, work))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert done == [[16, 16]] * 4  # halved once, not once for each thread


# ------------------------------------------------------------------------------------ planning


def test_scarce_memory_gives_small_batches_and_the_same_counts(
    network: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    plentiful = NoisyForward(network, 5)
    usual = votes(plentiful, images, 100)
    assert plentiful.batch_size((3, 8, 8)) == 1024
    free = [0]
    monkeypatch.setattr(memory, "_NEGLIGIBLE", 0)
    monkeypatch.setattr(memory, "free_memory", lambda device: free[0])
    forward = NoisyForward(network, 5)
    sizes = []
    for free[0] in (100 << 20, 4 << 20, 400_000, 60_000):
        sizes.append(forward.batch_size((3, 8, 8)))
        assert 2 * sizes[-1] * forward._image_bytes((3, 8, 8)) <= free[0]
        assert abs(votes(forward, images, 100) - usual).sum() <= 2
    assert sizes[0] == 1024
    assert sizes == sorted(set(sizes), reverse=True)
    assert sizes[-1] < 8
    assert forward.memory_note == ""


def test_a_processor_without_room_for_one_image_is_not_tried(
    network: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_NEGLIGIBLE", 0)
    monkeypatch.setattr(memory, "free_memory", lambda device: 1_000)
    with pytest.raises(DeviceError, match="does not suffice"):
        votes(NoisyForward(network, 5), images)


@pytest.mark.parametrize(("wanted", "free"), [(256, 10**12), (100, 10**9), (64, 4 * 10**8)])
def test_batches_take_half_of_what_is_free(
    wanted: int, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    fits = batch_that_fits(wanted, 10**7, "cpu")
    assert fits * 10**7 <= free / 2
    assert fits == wanted or 2 * fits * 10**7 > free / 2


# ----------------------------------------------------------------------------------- gradients


def gradients(forward: NoisyForward, images: Tensor) -> tuple[Tensor, Tensor]:
    noise = torch.randn((5, 24, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.1, 0.25, 0.5, 1.0, 0.7], dtype=torch.float64)
    value = soft_radius(forward, images, sigma, noise, 0.001)
    return value.radius, value.gradient


def test_gradients_in_parts_are_the_whole_gradients(network: nn.Module, images: Tensor) -> None:
    x = images.repeat(7, 1, 1, 1)
    whole, parts = x.clone().requires_grad_(True), x.clone().requires_grad_(True)
    weight = torch.randn((35, 5), generator=torch.Generator().manual_seed(0))
    (network(whole) * weight).sum().backward()
    (checkpointed(network, parts, 8) * weight).sum().backward()
    assert whole.grad is not None
    torch.testing.assert_close(parts.grad, whole.grad, rtol=1e-5, atol=1e-6)


def test_one_part_at_a_time_keeps_its_activations(network: nn.Module, images: Tensor) -> None:
    kept: list[int] = []

    def pack(t: Tensor) -> Tensor:
        kept.append(t.numel())
        return t

    x = images.repeat(8, 1, 1, 1).requires_grad_(True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        network(x)
        whole, kept[:] = sum(kept), []
        checkpointed(network, x, 10)
    assert sum(kept) < whole / 10


def test_side_by_side_gives_the_same_gradients(network: nn.Module, images: Tensor) -> None:
    from ddrs_core.models.inference.cpu_pool import CpuPool, ThreadPoolExecutor

    x = images.repeat(7, 1, 1, 1)
    weight = torch.randn((35, 5), generator=torch.Generator().manual_seed(0))
    found = []
    with ThreadPoolExecutor(3) as executor:
        for evaluate in (
            network,
            lambda x: data_parallel_cpu(network, x, CpuPool(executor, 3)),
            lambda x: data_parallel_cpu(network, x, CpuPool(executor, 3)),
        ):
            leaf = x.clone().requires_grad_(True)
            (evaluate(leaf) * weight).sum().backward()
            assert leaf.grad is not None
            found.append(leaf.grad)
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)
    assert torch.equal(found[1], found[2])


def test_short_memory_changes_no_gradient(
    network: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    radius, gradient = gradients(NoisyForward(network, 5), images)
    out_of_memory = NoisyForward(narrow(network, 20), 5)
    planned = NoisyForward(network, 5)
    assert gradients(out_of_memory, images)[0].tolist() == pytest.approx(radius.tolist(), abs=1e-5)
    assert gradients(out_of_memory, images)[1].tolist() == pytest.approx(
        gradient.tolist(), abs=1e-5
    )
    assert "reduced from 120 to 3 images" in out_of_memory.memory_note
    monkeypatch.setattr(memory, "_NEGLIGIBLE", 0)
    monkeypatch.setattr(memory, "free_memory", lambda device: 500_000)
    assert planned.gradient_rows((3, 8, 8), 120) < 24
    assert gradients(planned, images)[1].tolist() == pytest.approx(gradient.tolist(), abs=1e-5)


def test_no_memory_for_one_gradient(network: nn.Module, images: Tensor) -> None:
    f = narrow(network, 0)
    f.forward = lambda x: (_ for _ in ()).throw(MemoryError())  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="a gradient of Narrow"):
        gradients(NoisyForward(f, 5, batch_size=8), images)


# ------------------------------------------------------------------------------- what is free


def test_free_memory_of_a_gpu_includes_the_unused_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1_000, 9_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 200)
    assert free_memory("cuda:0") == 1_500


def test_an_exhausted_gpu_gives_its_cache_back(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    monkeypatch.setattr(memory, "free_memory", lambda device: 5 << 20)
    limit = MemoryLimit(torch.device("cuda", 1), "big-model")

    def work(start: int, stop: int) -> int:
        if stop - start > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return stop - start

    assert sum(limit.parts(16, work)) == 16
    assert len(emptied) == 3  # 16, 8, 4
    with pytest.raises(DeviceError, match=r"GPU cuda:1 .* big-model: 5 MiB are free.* device cpu"):
        limit.parts(16, lambda start, stop: work(0, 4))


def container(root: Path, version: int, path: str, limit: str) -> Path:
    """A fake control group with a limit, 600 bytes used, 100 of them droppable file pages."""
    names, base, line, file_pages = {
        1: (("limit_in_bytes", "usage_in_bytes"), root / "memory", "4:memory:", "total_"),
        2: (("max", "current"), root, "0::", ""),
    }[version]
    group = base / path.lstrip("/")
    group.mkdir(parents=True, exist_ok=True)
    (group / f"memory.{names[0]}").write_text(f"{limit}\n")
    (group / f"memory.{names[1]}").write_text("600\n")
    (group / "memory.stat").write_text(f"cache 300\n{file_pages}inactive_file 100\n")
    listing = root / "listing"
    listing.write_text(f"9:name=systemd:/\n{line}{path}\n")
    return listing


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("limit", "free"), [("1000", 500), ("max", None), (str(2**63 - 4096), None)]
)
def test_the_limit_of_a_container(
    tmp_path: Path, version: int, limit: str, free: int | None
) -> None:
    listing = container(tmp_path, version, "/docker/abc", limit)
    groups = memory._groups(listing, tmp_path)
    assert len(groups) == 1
    assert memory._left(*groups[0]) == free


def test_a_container_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    container(tmp_path, 2, "/", "1000")
    (tmp_path / "listing").write_text("0::/docker/abc\n")
    assert len(memory._groups(tmp_path / "listing", tmp_path)) == 1
    assert memory._groups(tmp_path / "missing", tmp_path) == []


def test_the_container_bounds_the_free_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def available(size: int) -> Any:
        return lambda: SimpleNamespace(available=size)

    groups = memory._groups(container(tmp_path, 2, "/", "1000"), tmp_path)
    monkeypatch.setattr(memory, "_limits", lambda: groups)
    monkeypatch.setattr(psutil, "virtual_memory", available(10_000))
    assert free_memory("cpu") == 500
    monkeypatch.setattr(psutil, "virtual_memory", available(400))
    assert free_memory("cpu") == 400
