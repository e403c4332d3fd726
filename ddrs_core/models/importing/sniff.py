"""What kinds of files there are, and which one a file is, told by its content before it is read.

Layouts as their own code writes them:

- Cohen et al. 2019 (locuslab/smoothing, code/train.py) and SmoothAdv: ``epoch``, ``arch``,
  ``state_dict``, ``optimizer``; the network is the second part of ``Sequential(normalize, net)``,
  so names begin with ``1.``, or with ``1.module.`` for ImageNet. The normalisation is not in it.
- MACER (RuntianZ/macer, main.py): ``net``, ``epoch``.
- Alfarra et al. 2022 (CIFAR10/train_macer.py): ``epoch``, ``state_dict``, ``optimizer_param``.
"""

from __future__ import annotations

import io
import json
import pickletools
import struct
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

from torch import Tensor

from ddrs_core.errors import CheckpointError
from ddrs_core.file_access import open_regular
from ddrs_core.models.classifier import Normalization
from ddrs_core.models.importing.scan import MAX_PICKLE, Scan, Storage, plain
from ddrs_core.quantities import counted

MAX_FILE: Final = 4 << 30  # bytes; the largest published torchvision network has 2.6 GB
_MAX_MEMBERS: Final = 50_000
_MAX_RATIO: Final = 3.0  # torch.save does not compress at all; weights hardly can be
_LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C

_MAGIC: Final = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"RIFF", "an image or a recording (RIFF)"),
    (b"%PDF", "a PDF document"),
    (b"\x93NUMPY", "a numpy array (.npy)"),
    (b"GGUF", "a GGUF file"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"(\xb5/\xfd", "a zstd archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"PAR1", "a parquet table"),
    (b"SQLite format 3", "a database"),
)
_ZIP_ERRORS: Final = (  # what zipfile raises for damaged archives, in spite of BadZipFile
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    OverflowError,
)
_WANTED: Final = (
    "Weights are a file written by torch.save(model.state_dict(), ...) (.pt, .pth, .pth.tar) or a "
    ".safetensors file."
)


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
    entry: str = ""  # where in the file they are; empty: they are the file
    extras: tuple[str, ...] = ()  # names of the other entries, and of other weights
    normalization: Normalization | None = None  # None: not in the file
    notes: tuple[str, ...] = ()
    size: int = 0  # bytes


class Container(StrEnum):
    """How the weights are packed."""

    ZIP = "torch.save (zip)"
    LEGACY = "torch.save (before 1.6)"
    SAFETENSORS = "safetensors"


def check_container(path: Path) -> Container:
    """Look at a file without loading it; returns how it is packed.

    Raises:
        CheckpointError: if it is not there, not weights, damaged or hostile.
    """
    name = plain(path.name, 80)
    try:
        if path.is_dir():
            raise CheckpointError(f"{name} is a folder. Name the weights file inside it.")
        size = path.stat().st_size
        with open_regular(path, CheckpointError) as file:
            return _check(file, name, size)
    except FileNotFoundError:
        raise CheckpointError(f"There is no file {plain(str(path), 200)}.") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CheckpointError(f"{name} cannot be read: {reason}.") from None


def _check(file: IO[bytes], name: str, size: int) -> Container:
    if size == 0:
        raise CheckpointError(f"{name} is empty.")
    if size > MAX_FILE:
        raise CheckpointError(
            f"{name} has {size / 2**30:.1f} GB; weights files up to {MAX_FILE >> 30} GB are read."
        )
    head = file.read(4096)
    if head.startswith(b"PK"):
        _check_zip(file, name, size)
        return Container.ZIP
    if _looks_like_safetensors(head, size):
        _check_safetensors(file, name)
        return Container.SAFETENSORS
    if head.startswith(b"\x80") or _is_text_pickle(file, head, size):
        _check_legacy(file, name, size)
        return Container.LEGACY
    raise CheckpointError(f"{name} is {_kind(head, file, size)}, not weights. {_WANTED}")


def _kind(head: bytes, file: IO[bytes], size: int) -> str:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return "a tar archive, or weights saved before torch 0.1.10"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    file.seek(max(0, size - 8))
    if file.read(8) == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb":
        return "an index of a TensorFlow checkpoint"
    if head[:1] == b"\x08" and (b"pytorch" in head or b"onnx" in head or head[2:3] in b"\x12\x1a"):
        is_tensorflow = b"saved_model" in head or b"serve" in head
        return "a TensorFlow model" if is_tensorflow else "an ONNX model"
    if not any(head.strip(b"\0")):
        return "filled with zeros"
    try:
        text = head[: len(head) - 3 if len(head) == 4096 else None].decode("utf-8").lstrip()
    except UnicodeDecodeError:
        return "of a kind that is not known here"
    if text[:1] == "<":
        return "a web page (perhaps the page about the file, instead of the file)"
    if text.startswith("version https://git-lfs"):
        return "a pointer of Git LFS; fetch the file itself with git lfs pull"
    return "text" if text.isprintable() or "\n" in text else "of a kind that is not known here"


def _check_zip(file: IO[bytes], name: str, size: int) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_directory(members, name, size)
            names = {m.filename.partition("/")[2]: m for m in members}
            if "constants.pkl" in names or any(n.startswith("code/") for n in names):
                raise CheckpointError(
                    f"{name} is a TorchScript program, not weights. Where it was made, save "
                    "model.state_dict() with torch.save."
                )
            if "data.pkl" not in names:
                raise CheckpointError(f"{name} is {_archive_kind(members)}, not weights. {_WANTED}")
            if names["data.pkl"].file_size > MAX_PICKLE:
                raise CheckpointError(
                    f"{name} has a list of tensors of {names['data.pkl'].file_size >> 20} MB; at "
                    f"most {MAX_PICKLE >> 20} MB are read. Save model.state_dict() by itself."
                )
            for storage in Scan(archive.open(names["data.pkl"]), name).run().storages.values():
                _check_member(storage, names.get(f"data/{storage.key}"), name)
    except _ZIP_ERRORS:
        raise CheckpointError(
            f"{name} is damaged or cut off: it begins as torch.save writes, but the end is "
            "missing or wrong. Fetch or copy the file again."
        ) from None


def _check_directory(members: list[zipfile.ZipInfo], name: str, size: int) -> None:
    total = sum(m.file_size for m in members)
    if len(members) > _MAX_MEMBERS:
        raise CheckpointError(
            f"{name} has {counted(len(members), 'part')}; at most {_MAX_MEMBERS:,} are read."
        )
    if total > MAX_FILE or total > max(_MAX_RATIO * size, 1 << 20):
        raise CheckpointError(
            f"{name} would unpack to {total / 2**20:,.0f} MB from {size / 2**20:,.1f} MB. Weights "
            "cannot be compressed like that; the file is made to fill the memory."
        )
    if len({m.filename for m in members}) < len(members):
        raise CheckpointError(f"{name} holds two parts of the same name; torch.save never does.")
    if len({m.filename.partition("/")[0] for m in members if m.filename.count("/")}) > 1:
        kind = _archive_kind(members)
        raise CheckpointError(f"{name} is {kind}, not weights. {_WANTED}")


def _check_member(storage: Storage, member: zipfile.ZipInfo | None, name: str) -> None:
    if member is None or member.file_size != storage.numel * storage.item:
        held = 0 if member is None else member.file_size
        raise CheckpointError(
            f"{name} claims {counted(storage.numel * storage.item, 'byte')} for a tensor, but "
            f"{held:,} are stored. The file is damaged, or made to fill the memory."
        )


def _archive_kind(members: list[zipfile.ZipInfo]) -> str:
    names = [m.filename for m in members]
    if any(n.endswith(".npy") for n in names):
        return "a collection of numpy arrays (.npz)"
    if "model.weights.h5" in names:
        return "a Keras model"
    inside = next((n for n in names if n.endswith((".pt", ".pth", ".tar", ".safetensors"))), None)
    if inside:
        return f"an archive with {plain(inside, 60)} in it (unpack it first)"
    return "an archive of something else"


def _looks_like_safetensors(head: bytes, size: int) -> bool:
    if len(head) < 10 or head[8:9] != b"{":
        return False
    return head[:8] != b"" and struct.unpack("<Q", head[:8])[0] < 1 << 40 and size > 9


def _check_safetensors(file: IO[bytes], name: str) -> None:
    file.seek(0)
    (length,) = struct.unpack("<Q", file.read(8))
    if length > MAX_PICKLE:
        raise CheckpointError(
            f"{name} claims a list of tensors of {counted(length, 'byte')}; at most "
            f"{MAX_PICKLE >> 20} MB are read. The file is damaged."
        )
    try:
        header = json.loads(file.read(length))
        entries = [v for k, v in header.items() if k != "__metadata__"]
        dtypes = {str(entry["dtype"]) for entry in entries}
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        raise CheckpointError(
            f"{name} is damaged or cut off: it begins as a safetensors file, but its list of "
            "tensors cannot be read. Fetch or copy the file again."
        ) from None
    unknown = dtypes - {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}
    if unknown:
        raise CheckpointError(
            f"{name} holds numbers of the type {plain(min(unknown), 20)}, which is not read here. "
            "Convert the weights to float32 before you save them."
        )


def _is_text_pickle(file: IO[bytes], head: bytes, size: int) -> bool:
    """Whether it is a pickle of protocol 0 or 1, which has no mark at its beginning."""
    if head[:1] not in b"(c]}lid\x8cVSIFN" or size > 1 << 20:
        return False
    file.seek(0)
    data = file.read()
    try:
        *_, last = pickletools.genops(io.BytesIO(data))
    except (ValueError, IndexError, UnicodeDecodeError, KeyError):
        return False
    return last[0].name == "STOP"


def _check_legacy(file: IO[bytes], name: str, size: int) -> None:
    """Three small pickles, that of the weights, the list of storages, then the numbers."""
    file.seek(0)
    stream = io.BytesIO(file.read(MAX_PICKLE))
    if Scan(stream, name).run().root != _LEGACY_MAGIC:
        raise CheckpointError(
            f"{name} is a plain pickle, which torch.save did not write. Nothing in it was "
            "executed. Where it was made, save model.state_dict() with torch.save."
        )
    *_, weights, keys = (Scan(stream, name).run() for _ in range(4))
    claimed = sum(8 + s.numel * s.item for s in weights.storages.values())
    listed = isinstance(keys.root, list) and all(isinstance(key, str) for key in keys.root)
    complete = listed and sorted(keys.root) == sorted(weights.storages)
    if not complete or stream.tell() + claimed > size:
        raise CheckpointError(
            f"{name} is damaged or cut off: {counted(claimed, 'byte')} of tensors are announced, "
            f"but {max(0, size - stream.tell()):,} are there. Fetch or copy the file again."
        )
