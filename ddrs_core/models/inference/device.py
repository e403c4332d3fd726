"""Devices and number formats: what there is, and what is fast there."""

from __future__ import annotations

import os
import platform
import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch

from ddrs_core.errors import DeviceError, InvalidParameterError
from ddrs_core.quantities import counted

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


@dataclass(frozen=True)
class DeviceInfo:
    """A device as a person knows it."""

    name: str  # "cpu", "cuda:0", ...
    title: str
    memory_gib: float
    is_gpu: bool
    native_bf16: bool


def list_devices() -> list[DeviceInfo]:
    """The devices of this machine, fastest first."""
    gpus = [device_info(f"cuda:{i}") for i in range(torch.cuda.device_count())]
    return [*gpus, device_info("cpu")]


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:<i>`` into a device that exists.

    Raises:
        DeviceError: if the name is malformed or there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    if not re.fullmatch(r"cuda(:[0-9]{1,4})?", name):
        raise DeviceError(f"A device is auto, cpu, cuda or cuda:<number>, not {name[:40]!r}.")
    if not torch.cuda.is_available():
        raise DeviceError(
            f"There is no usable NVIDIA GPU on this machine, so {name!r} cannot be used. "
            "Choose auto or cpu."
        )
    index = int(name.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise DeviceError(f"There is no GPU {index} here; the GPUs are cuda:0 to cuda:{last}.")
    return torch.device("cuda", index)


@lru_cache(maxsize=32)
def device_info(name: str) -> DeviceInfo:
    """Describe one device by its exact name.

    Raises:
        DeviceError: if it is not there.
    """
    device = resolve_device(name)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return DeviceInfo(
            str(device),
            properties.name,
            properties.total_memory / 2**30,
            True,
            native_bf16=properties.major >= 8,
        )
    features = torch.cpu.get_capabilities()
    processor = str(features.get("cpu_name") or platform.processor() or platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    title = f"{processor} ({counted(torch.get_num_threads(), 'thread')})"
    return DeviceInfo(
        "cpu",
        title,
        memory,
        False,
        native_bf16=bool(features.get("avx512_bf16") or features.get("amx_bf16")),
    )


def choose_precision(wanted: str, device: torch.device, lowest: Precision = "fp32") -> Precision:
    """Settle on a number format.

    Args:
        wanted: ``fp32``, ``bf16``, or ``auto`` for the fastest that is allowed and native here.
        device: where the network runs.
        lowest: the lowest precision that the model's card allows ``auto`` to use.

    Raises:
        InvalidParameterError: if ``wanted`` is none of these.
    """
    for precision in PRECISIONS:
        if wanted == precision:
            return precision
    if wanted != "auto":
        raise InvalidParameterError(f"Precision is auto, fp32 or bf16, not {wanted[:40]!r}.")
    return "bf16" if lowest == "bf16" and device_info(str(device)).native_bf16 else "fp32"


class _WithoutTF32:
    """The context manager :data:`without_tf32`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = (True, False)

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = (
                    torch.backends.cudnn.allow_tf32,
                    torch.backends.cuda.matmul.allow_tf32,
                )
                self._allow(False, False)
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._allow(*self._before)

    @staticmethod
    def _allow(convolutions: bool, products: bool) -> None:
        torch.backends.cudnn.allow_tf32 = convolutions
        if torch.backends.cuda.matmul.allow_tf32 != products:
            torch.backends.cuda.matmul.allow_tf32 = products


# Keeps NVIDIA GPUs from rounding fp32 inputs to the 10 bits of TF32, as cuDNN does by default;
# "fp32" on a certificate would be untrue. The flags belong to the whole process: they change when
# the first thread enters and are put back when the last one leaves.
without_tf32 = _WithoutTF32()
