"""Devices are named, found, or refused in words."""

from __future__ import annotations

import threading

import pytest
import torch

from ddrs_core.errors import DeviceError, InvalidParameterError
from ddrs_core.models import choose_precision, device_info, list_devices, load_model, resolve_device
from ddrs_core.models.inference.device import without_tf32

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_cpu_and_auto() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    "name",
    [
        "tpu",
        "",
        "cuda:",
        "cuda:x",
        "cuda:-1",
        "cuda:²",
        "CPU",
        "cpu:0",
        "cuda:1:2",
        "cuda:" + "9" * 99,
    ],
)
def test_malformed_names(name: str) -> None:
    with pytest.raises(DeviceError, match="auto, cpu, cuda"):
        resolve_device(name)


def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(DeviceError, match="GPU"):
        resolve_device("cuda:99")


@without_gpu
def test_no_gpu_at_all() -> None:
    with pytest.raises(DeviceError, match="Choose auto or cpu"):
        resolve_device("cuda")
    with pytest.raises(DeviceError):
        load_model("digits-gaussian-0.25", "cuda")


@with_gpu
def test_the_first_gpu() -> None:
    assert resolve_device("cuda") == torch.device("cuda", 0)
    assert device_info("cuda:0").is_gpu


def test_devices_are_described() -> None:
    devices = list_devices()
    assert devices[-1].name == "cpu"
    for device in devices:
        assert device.title
        assert device.memory_gib > 0
        assert device.is_gpu == device.name.startswith("cuda")


def test_precision() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("fp32", cpu, "bf16") == "fp32"
    assert choose_precision("bf16", cpu, "fp32") == "bf16"
    assert choose_precision("auto", cpu, "fp32") == "fp32"
    native = device_info("cpu").native_bf16
    assert choose_precision("auto", cpu, "bf16") == ("bf16" if native else "fp32")
    with pytest.raises(InvalidParameterError, match="fp8"):
        choose_precision("fp8", cpu)


def tf32_flags() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("products", [False, True])
def test_tf32_is_off_inside_and_the_flags_of_others_come_back(products: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = products
    before = tf32_flags()
    try:
        with without_tf32:
            assert tf32_flags() == (False, False)
            with pytest.raises(RuntimeError, match="inner"), without_tf32:
                raise RuntimeError("inner")
            assert tf32_flags() == (False, False)
        assert tf32_flags() == before == (True, products)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False


def test_tf32_stays_off_until_the_last_thread_leaves() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with without_tf32:
            entered.set()
            leave.wait(60)

    before = tf32_flags()
    worker = threading.Thread(target=other)
    with without_tf32:
        worker.start()
        assert entered.wait(60)
    assert tf32_flags() == (False, False)
    leave.set()
    worker.join(60)
    assert tf32_flags() == before
