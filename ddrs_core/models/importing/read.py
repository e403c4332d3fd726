"""Reading other people's weights files, freed from what they are wrapped in."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ddrs_core.errors import CheckpointError
from ddrs_core.models.classifier import Normalization
from ddrs_core.models.importing.scan import plain
from ddrs_core.models.importing.search import (
    Contents,
    Part,
    TensorSet,
    contents,
    find_networks,
    nearest_normalization,
    not_read,
    state_of,
    whole_part,
)
from ddrs_core.models.importing.sniff import (
    MAX_FILE,
    Container,
    Layout,
    RawCheckpoint,
    check_container,
)
from ddrs_core.models.inference.device_memory import is_out_of_memory
from ddrs_core.quantities import counted, listed

_MAX_TENSORS: Final = 20_000
_MAX_NAMED: Final = 12  # other entries, in a description
_NUMPY: Final = threading.Lock()
_KEPT: Final = {
    torch.float32,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
}
_CONVERTED: Final = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float64: "fp64"}


def read_here(path: str | Path) -> RawCheckpoint:
    """Read a weights file of any known layout in this process; nothing in it is executed.

    A hostile file can fill the memory or take for ever: see
    :func:`~ddrs_core.models.importing.sandbox.read_state`.

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
        if not is_out_of_memory(error):
            raise
        raise CheckpointError(
            f"{plain(path.name, 80)} needs more memory than it may use here."
        ) from None


def _read(path: Path, name: str) -> RawCheckpoint:
    container = check_container(path)
    notes: tuple[str, ...] = ()
    if container == Container.SAFETENSORS:
        tensors, metadata = read_safetensors(path, name)
        ours = path.with_suffix(".json").is_file() and path.suffix == ".safetensors"
        raw = _choose(tensors, name, metadata.get("arch", ""))
        raw = replace(raw, layout=Layout.OURS if ours else Layout.SAFETENSORS)
    else:
        raw = _choose(_load(path, name), name)
    if container == Container.LEGACY:
        notes = ("written in the format of torch before 1.6",)
    return replace(raw, size=path.stat().st_size, notes=(*notes, *raw.notes))


def _load(path: Path, name: str) -> Any:
    try:
        # The list of what is allowed is one for all threads.
        with _NUMPY, torch.serialization.safe_globals(_numpy_globals()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = plain(str(error).split("WeightsUnpickler error:")[-1].strip(), 160)
        raise CheckpointError(
            f"{name} was refused by torch's safe reader: {reason} Load it where it was made and "
            "save model.state_dict() instead."
        ) from None
    except Exception as error:  # a damaged file can make torch raise anything
        if is_out_of_memory(error):
            raise
        reason = plain(f"{type(error).__name__}: {error}", 160)
        raise CheckpointError(
            f"{name} could not be read by torch ({reason}). It is damaged, or holds something of "
            "an unusual kind: fetch or copy the file again, or save model.state_dict() by itself."
        ) from None


def _numpy_globals() -> list[Any]:
    """What numbers such as ``numpy.float64(0.93)`` in a file need; they run nothing."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]  # the function that pickled numbers name
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


def _choose(content: Any, name: str, arch_hint: str = "") -> RawCheckpoint:
    """Find the weights in what the file holds.

    Raises:
        CheckpointError: if there are none, or a tensor beside them is not of a kind that is read.
    """
    found = contents(content)
    sets = [tensors for tensors in found.sets if len(tensors.tensors) <= _MAX_TENSORS]
    if not sets:
        raise _without_weights(content, found, name)
    top = content if isinstance(content, Mapping) else {}
    arch = top.get("arch")
    arch_hint = plain(arch, 60) if isinstance(arch, str) else arch_hint
    networks, untried = find_networks(sets, arch_hint)
    part = networks[0] if networks else whole_part(max(sets, key=lambda s: len(s.tensors)))
    tensors = _checked(part.tensors, name)
    layer = nearest_normalization(part)
    if not part.keys:
        raise CheckpointError(f"{name} holds a normalisation layer, but no network.")
    kinds = {t.dtype for t in part.tensors.tensors.values()}
    notes = [f"weights in {n} were converted to fp32" for d, n in _CONVERTED.items() if d in kinds]
    normalization = None
    if layer is not None:
        normalization, remark = _as_normalization([tensors[key] for key in layer])
        notes += remark
    if untried and not networks:
        notes.append(f"{untried:,} smaller sets of weights were not compared with architectures")
    if len(networks) > 1:
        notes.append(_equals(networks))
    epochs = [v.get("epoch") for v in part.tensors.around if isinstance(v, Mapping)]
    epoch = next((e for e in epochs if type(e) is int and 0 <= e < 10**9), None)
    extras = not_read(part, layer or ())
    more = [f"and {len(extras) - _MAX_NAMED:,} more"] if len(extras) > _MAX_NAMED else []
    state = {key[len(part.prefix) :]: tensors[key] for key in part.keys}
    return RawCheckpoint(
        name,
        _layout(content, part.tensors),
        _apart({plain(key, 200): tensor for key, tensor in state.items()}),
        prefix=plain(part.prefix, 200),
        entry=part.tensors.name,
        arch_hint=arch_hint,
        epoch=epoch,
        extras=(*extras[:_MAX_NAMED], *more),
        normalization=normalization,
        notes=tuple(notes),
    )


def _without_weights(content: Any, found: Contents, name: str) -> CheckpointError:
    """What the file holds instead."""
    save = "Save model.state_dict() with torch.save."
    if isinstance(content, Tensor):
        return CheckpointError(
            f"{name} holds one tensor of shape {list(content.shape)}, not the weights of a "
            "network. (A list of sigmas, such as the authors' sigma_test.pth, looks like that.)"
        )
    if found.sets:
        most = max(len(tensors.tensors) for tensors in found.sets)
        return CheckpointError(
            f"{name} has {counted(most, 'tensor')}; at most {_MAX_TENSORS:,} are read."
        )
    kind = "" if isinstance(content, Mapping) else f" (it is a {type(content).__name__})"
    if found.unnamed:
        return CheckpointError(
            f"{name} holds tensors whose names are not text{kind}, and no others; weights have "
            f"names. {save}"
        )
    if not found.is_whole:
        return CheckpointError(
            f"{name} is nested too deeply, or has too many entries: no weights are in the first "
            f"levels. {save}"
        )
    return CheckpointError(f"{name} holds no tensors{kind}, so no weights. {save}")


def _layout(content: Any, tensors: TensorSet) -> Layout:
    if not tensors.path:
        return Layout.PLAIN
    if not isinstance(content, Mapping) or len(tensors.path) > 1:
        return Layout.WRAPPED
    (inner,) = tensors.path
    if inner == "net" and set(content) == {"net", "epoch"}:
        return Layout.MACER
    if inner == "state_dict" and "optimizer_param" in content:
        return Layout.AUTHORS
    if inner == "state_dict" and "pytorch-lightning_version" in content:
        return Layout.LIGHTNING
    sequential = all(key.startswith(("0.", "1.")) for key in tensors.tensors)
    if inner == "state_dict" and "arch" in content and sequential:
        return Layout.COHEN
    return Layout.WRAPPED


def _equals(networks: list[Part]) -> str:
    """That several sets of weights fit, and whether it matters."""
    first, *others = networks
    state = state_of(first)
    same = all(
        torch.equal(tensor, state[key])
        for other in others
        for key, tensor in state_of(other).items()
        if key in state
    )
    names = listed([other.name for other in others])
    which = "the same numbers" if same else "other numbers"
    return (
        f"{counted(len(networks), 'set')} of weights are equally large and fit, with {which}; "
        f"read: {first.name}; not read: {names}"
    )


def _as_normalization(layer: list[Tensor]) -> tuple[Normalization, list[str]]:
    """The normalisation with these buffers, for pixels in [0, 1]."""
    shift, *scales = ([float(v) for v in tensor.flatten()] for tensor in layer)
    scale = scales[0] if scales else [1.0]
    if max(shift) <= 1.5:
        return Normalization(tuple(shift), tuple(scale)), []
    rescaled = Normalization(tuple(v / 255 for v in shift), tuple(v / 255 for v in scale))
    return rescaled, ["its normalisation is for pixels from 0 to 255 and was rescaled to [0, 1]"]


def _checked(tensors: TensorSet, name: str) -> dict[str, Tensor]:
    """All tensors of a set in float32.

    Raises:
        CheckpointError: if one of them is of a kind that is not read, or not finite.
    """
    size = sum(4 * tensor.numel() for tensor in tensors.tensors.values())
    if size > MAX_FILE:
        raise CheckpointError(
            f"{name} has weights that would take {size / 2**30:.1f} GB; up to {MAX_FILE >> 30} GB "
            "are read. The file is damaged, or made to fill the memory."
        )
    return {key: _plain_tensor(tensor, key, name) for key, tensor in tensors.tensors.items()}


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
            f"{name}: {shown} claims {counted(tensor.numel(), 'number')}, more than are stored "
            "for it. The file is damaged, or made to fill the memory."
        )
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
