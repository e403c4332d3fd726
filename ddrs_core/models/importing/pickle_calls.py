"""What a pickle inside a weights file may call, and what that would give.

The names are those that ``torch.load(weights_only=True)`` allows. Nothing is looked up or called:
stand-ins say what would be made, and how much memory it would take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ddrs_core.errors import CheckpointError
from ddrs_core.quantities import counted

_MAX_KEY: Final = 500  # characters
_MAX_COPIED: Final = 64 << 20  # bytes that calls may copy, since one value can be copied often
_ENTRY_BYTES: Final = 100  # of a dictionary or a set

_ITEM_BYTES: Final = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "UntypedStorage": 1,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}
_STORAGES: Final = {
    f"{module}.{name}": size
    for name, size in _ITEM_BYTES.items()
    for module in ("torch", "torch.storage", "torch.cuda")
}
_TENSORS: Final = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"}
_PARAMETERS: Final = {
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",
}
_DICTIONARIES: Final = {"collections.OrderedDict", "collections.Counter"}
_SETS: Final = {"builtins.set", "__builtin__.set"}
_SPECIAL: Final = {
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_sparse_csr_tensor": "sparse",
    "torch._utils._rebuild_qtensor": "quantized",
    "torch._utils._rebuild_meta_tensor_no_storage": "meta (without values)",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_wrapper_subclass": "wrapped",
    "torch._utils._rebuild_device_tensor_from_numpy": "another device's",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "another device's",
}
_NUMPY_SCALARS: Final = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
_NUMPY_CODES: Final = {"f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"}
_PLAIN: Final = {  # what torch's own reader makes without looking at anything else
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    "builtins.complex",
    "__builtin__.complex",
}
_BYTES: Final = {"_codecs.encode", "builtins.bytearray", "__builtin__.bytearray"}
_CALLERS: Final = {
    "builtins",
    "__builtin__",
    "os",
    "posix",
    "nt",
    "sys",
    "subprocess",
    "runpy",
    "shutil",
    "importlib",
    "socket",
    "pty",
    "commands",
    "webbrowser",
    "ctypes",
    "pickle",
    "code",
}


@dataclass(frozen=True)
class Storage:
    """A block of numbers that the pickle refers to: ``numel`` items of ``item`` bytes each."""

    key: str
    item: int
    numel: int
    device: str


@dataclass(frozen=True)
class Named:
    """A class or function by its full name, not looked up."""

    name: str


@dataclass(frozen=True)
class Made:
    """What a harmless call would give, and how many bytes it would copy."""

    name: str
    size: int = 0


class UnusualError(ValueError):
    """What torch.save does not write; the text says what."""


_KEYS: Final = (str, int, float, bytes, bool, type(None), Named, Made)
_MAX_PARTS: Final = 8


class Calls:
    """Stand-ins for what the calls of one pickle give; ``storages`` are all that it refers to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.storages: dict[str, Storage] = {}
        self.numpy = False
        self.copied = 0

    def call(self, callee: str, arguments: tuple[Any, ...], as_class: bool) -> Any:
        if callee in _DICTIONARIES or callee in _SETS:
            return self.collection(callee, arguments)
        if callee in _TENSORS:
            return self.tensor(arguments)
        if callee in _PARAMETERS:
            return arguments[0]
        if callee == "torch._tensor._rebuild_from_type_v2":  # a tensor with attributes
            function, _, inner = arguments[:3]
            if not isinstance(function, Named) or not isinstance(inner, tuple):
                raise UnusualError("a tensor made by something else than a name")
            return self.call(function.name, inner, as_class)
        if callee == "torch._utils._rebuild_tensor_v3":
            raise self.unknown_type("of an unusual type, such as float8")
        if callee in _SPECIAL:
            raise CheckpointError(
                f"{self.name} holds {_SPECIAL[callee]} tensors, which are not read here. Convert "
                "the network to ordinary float weights before you save model.state_dict()."
            )
        if callee in _NUMPY_SCALARS and len(arguments) == 2 and arguments[0] == Made("numpy"):
            self.numpy = True
            return Made("number")
        if callee == "numpy.dtype" and arguments and arguments[0] in _NUMPY_CODES:
            self.numpy = True
            return Made("numpy")
        if callee in _PLAIN and all(_is_small(a) for a in arguments):
            return Made(callee)
        if callee in _BYTES:
            return self.bytes_of(callee, arguments)
        raise self.refusal(callee, as_class)

    def storage(self, identity: Any) -> Storage | Named:
        if isinstance(identity, tuple) and identity[:1] == ("module",) and len(identity) > 1:
            return Named(getattr(identity[1], "name", ""))  # a class with its source, before 1.6
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
            raise UnusualError("a reference to something else than numbers")
        kind, key, device, numel = identity[1:5]
        name = kind.name if isinstance(kind, Named) else ""
        if name not in _STORAGES:
            kind = "quantized: " if name.startswith("torch.Q") else ""
            raise self.unknown_type(f"of the type {kind}{plain(name, 60) or 'unknown'}")
        if len(identity) > 5 and identity[5] is not None:
            raise CheckpointError(
                f"{self.name} has tensors that share their numbers in the way of torch before "
                "0.4, which is not read here. Load it with a newer torch and save "
                "model.state_dict() again."
            )
        if not isinstance(numel, int) or numel < 0 or not isinstance(key, str):
            raise UnusualError("a storage of impossible size")
        storage = Storage(key, _STORAGES[name], numel, plain(str(device), 20))
        known = self.storages.setdefault(key, storage)
        if known != storage:
            raise UnusualError("a storage described twice")
        return storage

    def tensor(self, arguments: tuple[Any, ...]) -> Storage:
        storage, offset, size, stride = arguments[:4]
        if not isinstance(storage, Storage):
            raise UnusualError("a tensor without storage")
        dims = [*_whole(size), *_whole(stride), *_whole((offset,))]
        if len(size) != len(stride) or min(dims) < 0 or len(size) > 8:
            raise UnusualError("a tensor of impossible shape")
        count = 1
        for n in size:
            count *= n
        reach = 1 + offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        if count and (count > storage.numel or reach > storage.numel):
            raise CheckpointError(
                f"{self.name} has a tensor that takes {counted(max(count, reach), 'number')}, but "
                "only "
                f"{storage.numel:,} are stored for it. The file is damaged, or made to fill the "
                "memory."
            )
        return storage

    def key(self, key: Any) -> Any:
        """A key, once it is known to be quick to hash."""
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) <= _MAX_PARTS and all(
            isinstance(part, _KEYS) and len(str(part)) <= _MAX_KEY for part in parts
        ):
            return key
        raise CheckpointError(
            f"{self.name} has a dictionary or a set with a key that is not a number, a text of at "
            f"most {_MAX_KEY} characters or a few of these; such keys are not read here. Save "
            "model.state_dict() by itself."
        )

    def collection(self, callee: str, arguments: tuple[Any, ...]) -> dict[Any, Any]:
        """The dictionary, or the set as one, that is made from a list or a dictionary."""
        given = arguments[0] if arguments else ()
        if len(arguments) > 1 or not isinstance(given, list | tuple | dict):
            raise UnusualError(f"a {callee} of something else than a list")
        self.charge(len(given) * _ENTRY_BYTES)
        if isinstance(given, dict):
            return dict(given)
        result: dict[Any, Any] = {}
        if callee == "collections.OrderedDict":
            pairs = [exactly(list(pair), 2) for pair in given]
            result.update((self.key(key), value) for key, value in pairs)
        else:
            result.update((self.key(item), 1) for item in given)
        return result

    def bytes_of(self, callee: str, arguments: tuple[Any, ...]) -> Made:
        """Bytes, made from a text or from other bytes and not from a length."""
        given = arguments[0] if arguments else b""
        if not isinstance(given, str | bytes | Made):
            raise self.refusal(callee, as_class=False)
        made = Made(callee, given.size if isinstance(given, Made) else 2 * len(given))
        self.charge(made.size)
        return made

    def charge(self, size: int) -> None:
        self.copied += size
        if self.copied > _MAX_COPIED:
            raise CheckpointError(
                f"{self.name} would copy its entries into {self.copied >> 20:,} MB or more while "
                "it is being loaded. It is made to fill the memory, or holds much beside the "
                "weights: save model.state_dict() by itself."
            )

    def refusal(self, callee: str, as_class: bool) -> CheckpointError:
        shown = plain(callee, 80)
        if callee.startswith("numpy."):
            return CheckpointError(
                f"{self.name} holds a numpy array or object ({shown}) beside the weights, which is "
                "not read here. Save model.state_dict() by itself with torch.save."
            )
        if as_class and callee.partition(".")[0] not in _CALLERS:
            return CheckpointError(
                f"{self.name} holds a pickled Python object of the class {shown}, not only "
                "weights; loading it would run code of that class. Load it where it was made and "
                "save model.state_dict() instead."
            )
        return CheckpointError(
            f"{self.name} was refused: it wants to call {shown} while it is being loaded. Nothing "
            "was executed. If you trust its author, load it where it was made and save "
            "model.state_dict() instead."
        )

    def unknown_type(self, which: str) -> CheckpointError:
        return CheckpointError(
            f"{self.name} holds numbers {which}, which are not read here. Convert the weights to "
            "float32 before you save them."
        )


def plain(text: str, limit: int) -> str:
    """``text`` from an untrusted file for a message: one line, printable, of limited length."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def exactly(items: list[Any], size: int) -> list[Any]:
    if len(items) != size:
        raise UnusualError("too little on the stack")
    return items


def _whole(values: Any) -> list[int]:
    if isinstance(values, tuple) and all(type(v) is int for v in values):
        return list(values)
    raise UnusualError("sizes that are not whole numbers")


def _is_small(value: Any) -> bool:
    """Whether an argument is data of bounded size, so that what takes it stays small."""
    if isinstance(value, tuple | list):
        return len(value) <= 16 and all(type(v) in (int, str, float) for v in value)
    return value is None or isinstance(value, str | bytes | int | float | bool)
