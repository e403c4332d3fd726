"""Other people's weights files: read safely, and freed from what they are wrapped in.

Layouts as their own code writes them:

- Cohen et al. 2019 (locuslab/smoothing, code/train.py) and SmoothAdv: ``epoch``, ``arch``,
  ``state_dict``, ``optimizer``; the network is the second part of ``Sequential(normalize, net)``,
  so names begin with ``1.``, or with ``1.module.`` for ImageNet. The normalisation is not in it.
- MACER (RuntianZ/macer, main.py): ``net``, ``epoch``.
- Alfarra et al. 2022 (CIFAR10/train_macer.py): ``epoch``, ``state_dict``, ``optimizer_param``.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ddrs_core.errors import CheckpointError
from ddrs_core.models.classifier import Normalization
from ddrs_core.models.foreign_format import Container, check_container
from ddrs_core.models.foreign_pickle import plain
from ddrs_core.models.foreign_wrapping import strip_wrapping

_WRAPPERS: Final = (
    "state_dict", "model_state_dict", "net", "model", "network", "weights", "params", "model_state",
)  # fmt: skip
_MAX_TENSORS: Final = 20_000
_NUMPY: Final = threading.Lock()
_KEPT: Final = {torch.float32, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
                torch.bool}  # fmt: skip
_CONVERTED: Final = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float64: "fp64"}


class Layout(StrEnum):
    """Who writes files like this."""

    COHEN = "Cohen / SmoothAdv"
    MACER = "MACER"
    AUTHORS = "data-dependent smoothing (paper's authors)"
    LIGHTNING = "PyTorch Lightning"
    WRAPPED = "state dict with other entries"
    PLAIN = "plain state dict"
    SAFETENSORS = "safetensors"
    OURS = "ours"


@dataclass(frozen=True)
class RawCheckpoint:
    """Weights as they were found in a file, on the CPU, in float32."""

    name: str  # of the file
    layout: Layout
    state: dict[str, Tensor]  # without prefix and without a normalisation layer
    prefix: str = ""  # what was in front of every name
    arch_hint: str = ""  # the file's own "arch" entry
    epoch: int | None = None
    extras: tuple[str, ...] = ()  # names of the other entries
    normalization: Normalization | None = None  # None: not in the file
    notes: tuple[str, ...] = ()
    size: int = 0  # bytes


def read_state(path: str | Path) -> RawCheckpoint:
    """Read a weights file of any known layout; nothing in it is executed.

    Args:
        path: a file by ``torch.save`` (either format) or a safetensors file; the suffix does not
            matter.

    Raises:
        CheckpointError: if it is missing, damaged, hostile, something else than weights, or has
            weights that are not finite.
    """
    path = Path(path)
    try:
        return _read(path, plain(path.name, 80))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise CheckpointError(
            f"{plain(path.name, 80)} needs more memory than it may use here."
        ) from None


def _read(path: Path, name: str) -> RawCheckpoint:
    container, outline = check_container(path)
    if outline is None:
        found, metadata = read_safetensors(path, name)
        ours = path.with_suffix(".json").is_file() and path.suffix == ".safetensors"
        layout = Layout.OURS if ours else Layout.SAFETENSORS
        raw = RawCheckpoint(name, layout, found, arch_hint=metadata.get("arch", ""))
    else:
        raw = _unwrap(_load(path, name, outline.numpy), name)
    if container == Container.LEGACY:
        raw = replace(raw, notes=(*raw.notes, "written in the format of torch before 1.6"))
    return tidy(replace(raw, size=path.stat().st_size))


def _load(path: Path, name: str, numpy_scalars: bool) -> Any:
    try:
        with ExitStack() as stack:
            if numpy_scalars:  # the list of what is allowed is one for all threads
                stack.enter_context(_NUMPY)
                stack.enter_context(torch.serialization.safe_globals(_numpy_globals()))
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = plain(str(error).split("WeightsUnpickler error:")[-1].strip(), 160)
        raise CheckpointError(
            f"{name} was refused by torch's safe reader: {reason} Load it where it was made and "
            "save model.state_dict() instead."
        ) from None
    except Exception as error:  # a damaged file can make torch raise anything
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise
        raise CheckpointError(
            f"{name} is damaged or cut off ({type(error).__name__} while torch was reading it). "
            "Fetch or copy the file again."
        ) from None


def _numpy_globals() -> list[Any]:
    """What numbers such as ``numpy.float64(0.93)`` in a file need; they run nothing."""
    import numpy as np

    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    kinds = [type(np.dtype(code)) for code in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "?")]
    kinds += [type(np.dtype(code)) for code in ("u8", "u4", "u2", "u1")]
    old_and_new = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [*((scalar, full) for full in old_and_new), (np.dtype, "numpy.dtype"), *kinds]


def read_safetensors(path: Path, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the text entries of a safetensors file.

    Raises:
        CheckpointError: if it is damaged or cut off.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            return {key: file.get_tensor(key) for key in file.keys()}, metadata  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        reason = plain(str(error), 120)
        raise CheckpointError(f"{name} is not a readable safetensors file: {reason}.") from None


def _unwrap(content: Any, name: str) -> RawCheckpoint:
    """Find the weights in what the file holds."""
    if isinstance(content, Tensor):
        raise CheckpointError(
            f"{name} holds one tensor of shape {list(content.shape)}, not the weights of a "
            "network. (A list of sigmas, such as the authors' sigma_test.pth, looks like that.)"
        )
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{name} holds a {type(content).__name__}, not weights by name. Save "
            "model.state_dict() with torch.save."
        )
    if not all(isinstance(key, str) for key in content):
        raise CheckpointError(f"{name} has entries whose names are not text; weights have names.")
    inner = next((k for k in _WRAPPERS if _is_state(content.get(k))), None)
    if inner is None:
        return RawCheckpoint(name, Layout.PLAIN, _tensors(content, name))
    others = tuple(plain(k, 40) for k in sorted(content) if k != inner)[:12]
    arch, epoch = content.get("arch"), content.get("epoch")
    return RawCheckpoint(
        name,
        _layout(content, inner),
        _tensors(content[inner], name),
        arch_hint=plain(arch, 60) if isinstance(arch, str) else "",
        epoch=epoch if type(epoch) is int and 0 <= epoch < 10**9 else None,
        extras=tuple(k for k in others if k not in ("arch", "epoch")),
    )


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values())


def _layout(content: Mapping[str, Any], inner: str) -> Layout:
    if inner == "net" and set(content) == {"net", "epoch"}:
        return Layout.MACER
    if inner == "state_dict" and "optimizer_param" in content:
        return Layout.AUTHORS
    if inner == "state_dict" and "pytorch-lightning_version" in content:
        return Layout.LIGHTNING
    sequential = all(str(k).startswith(("0.", "1.")) for k in content[inner])
    if inner == "state_dict" and "arch" in content and sequential:
        return Layout.COHEN
    return Layout.WRAPPED


def _tensors(content: Mapping[Any, Any], name: str) -> dict[str, Tensor]:
    if not all(isinstance(key, str) for key in content):
        raise CheckpointError(f"{name} has weights whose names are not text.")
    state = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise CheckpointError(
            f"{name} holds no tensors, so no weights. Save model.state_dict() with torch.save."
        )
    return state


def tidy(raw: RawCheckpoint) -> RawCheckpoint:
    """Check every tensor, bring it to float32, and take off prefixes and a normalisation layer.

    Raises:
        CheckpointError: if a tensor is of a kind that is not read, or not finite.
    """
    if not raw.state:
        raise CheckpointError(f"{raw.name} holds no tensors, so no weights.")
    if len(raw.state) > _MAX_TENSORS:
        raise CheckpointError(
            f"{raw.name} has {len(raw.state):,} tensors; at most {_MAX_TENSORS:,} are read."
        )
    kinds = {t.dtype for t in raw.state.values()}
    state = {plain(key, 200): _plain_tensor(t, key, raw.name) for key, t in raw.state.items()}
    converted = [
        f"weights in {n} were converted to fp32" for d, n in _CONVERTED.items() if d in kinds
    ]
    state, prefix, normalization, remarks = strip_wrapping(_apart(state))
    if not state:
        raise CheckpointError(f"{raw.name} holds a normalisation layer, but no network.")
    return replace(
        raw,
        state=state,
        prefix=raw.prefix or prefix,
        normalization=raw.normalization or normalization,
        notes=(*raw.notes, *converted, *remarks),
    )


def _plain_tensor(tensor: Tensor, key: str, name: str) -> Tensor:
    shown = plain(key, 60)
    special = tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta
    if special or tensor.is_nested:
        raise CheckpointError(
            f"{name}: {shown} is a sparse, quantized or otherwise special tensor, which is not "
            "read here. Convert the network to ordinary float weights before you save it."
        )
    if tensor.dtype not in _KEPT and tensor.dtype not in _CONVERTED:
        raise CheckpointError(
            f"{name}: {shown} has numbers of the type {tensor.dtype}, which is not read here. "
            "Convert the weights to float32 before you save them."
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f"{name}: {shown} claims {tensor.numel():,} numbers, more than are stored for it. "
            "The file is damaged, or made to fill the memory."
        )
    tensor = tensor.detach()
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        raise CheckpointError(
            f"{name}: {shown} has values that are not finite numbers (NaN or infinity). Its "
            "training has diverged, or the file is damaged; use an earlier checkpoint."
        )
    return tensor.float() if tensor.is_floating_point() else tensor


def _apart(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, each contiguous in memory of its own and of no more than its size."""
    taken: set[int] = set()
    result = {}
    for key, tensor in state.items():
        storage = tensor.untyped_storage()
        exact = storage.nbytes() == tensor.numel() * tensor.element_size()
        if not (exact and tensor.is_contiguous()) or storage.data_ptr() in taken:
            tensor = tensor.clone(memory_format=torch.contiguous_format)
        taken.add(tensor.untyped_storage().data_ptr())
        result[key] = tensor
    return result
