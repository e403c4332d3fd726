"""What a pickle inside a weights file would call, found out without calling it.

Python's own unpickler builds the structure, but every name in it is a stand-in and every call
gives one. Names are those that ``torch.load(weights_only=True)`` allows, which reads the file
afterwards; other calls are refused with a message here, and claims about storages are compared with
the bytes that the file holds. Time and memory are bounded by the child process
(:mod:`ddrs_core.models.importing.sandbox`).
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from typing import IO, Any, Final, Self

from ddrs_core.errors import CheckpointError

MAX_PICKLE: Final = 16 << 20  # bytes; that of a ResNet-110 with its optimiser has 0.2 million

_ITEM_BYTES: Final = {
    f"{module}.{kind}Storage": size
    for size, kinds in (
        (1, "Char Byte Bool Untyped"),
        (2, "Half BFloat16 Short"),
        (4, "Float Int"),
        (8, "Double Long ComplexFloat"),
        (16, "ComplexDouble"),
    )
    for kind in kinds.split()
    for module in ("torch", "torch.storage", "torch.cuda")
}
_ALLOWED: Final = {
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",  # a tensor with attributes
    "torch.nn.parameter.Parameter",
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    "collections.OrderedDict",
    "collections.Counter",
    "builtins.set",
    "__builtin__.set",
    "builtins.complex",
    "__builtin__.complex",
}
_BYTES: Final = {"_codecs.encode", "builtins.bytearray", "__builtin__.bytearray"}
_SPECIAL: Final = {  # what the name of a torch._utils function says of the tensors that it makes
    "sparse": "sparse",
    "qtensor": "quantized",
    "meta": "meta (without values)",
    "nested": "nested",
    "wrapper_subclass": "wrapped",
    "device_tensor": "another device's",
}
_NUMPY_SCALARS: Final = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
_NUMPY_CODES: Final = {f"{kind}{size}" for kind in "fiu" for size in (2, 4, 8)} | {"i1", "u1", "b1"}
_CALLERS: Final = re.compile(  # modules whose names are called rather than made
    "(builtins|__builtin__|os|posix|nt|sys|subprocess|runpy|shutil|importlib|socket|pty|commands"
    "|webbrowser|ctypes|pickle|code)[.]"
)


@dataclass(frozen=True)
class Storage:
    """A block of numbers that the pickle refers to: ``numel`` items of ``item`` bytes each."""

    key: str
    item: int
    numel: int


class _Name(type):
    """A class or function that a pickle names; calling it asks the scan."""

    full: str
    scan: Scan

    def __call__(cls, *arguments: Any) -> Any:
        return cls.scan.call(cls.full, arguments, made=False)

    def __setstate__(cls, state: Any) -> None:
        raise ValueError("attributes for a name")


class _Made:
    """What a harmless call gives: it accepts entries and attributes, and forgets them."""

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


class _NumpyType(_Made):
    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 8 or state[3:5] != (None, None):
            raise ValueError("an unusual numpy type")


class Scan(pickle.Unpickler):
    """The scan of one pickle from where ``file`` stands.

    Attributes:
        root: what the pickle holds, of stand-ins.
        storages: the blocks of numbers that it refers to, by key.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        super().__init__(file, encoding="latin1")
        self._file_name = name
        self.root: Any = None
        self.storages: dict[str, Storage] = {}

    def run(self) -> Self:
        """Read the pickle to its end.

        Raises:
            CheckpointError: if it is cut off or damaged, or wants to call what is not allowed.
        """
        try:
            self.root = self.load()
        except CheckpointError:
            raise
        except Exception as error:  # a damaged pickle can make the unpickler raise anything
            if isinstance(error, MemoryError):
                raise
            raise CheckpointError(
                f"{self._file_name} is damaged or cut off: its list of tensors cannot be read "
                f"({plain(f'{type(error).__name__}: {error}', 120)}). Nothing in it was executed. "
                "Fetch or copy the file again, or save model.state_dict() by itself."
            ) from None
        return self

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"

        def make(cls: type, *arguments: Any) -> Any:
            return self.call(full, arguments, made=True)

        return type.__call__(_Name, "Name", (), {"full": full, "scan": self, "__new__": make})

    def call(self, callee: str, arguments: tuple[Any, ...], made: bool) -> Any:
        """What a call gives: a stand-in.

        Args:
            callee: the full name.
            arguments: of the call.
            made: whether an object of a class is made, rather than a function called.

        Raises:
            CheckpointError: if the call is not one of a plain weights file.
        """
        first = arguments[0] if arguments else None
        if callee in _ALLOWED:
            return _Made()
        if callee in _BYTES and isinstance(first, str | bytes | _Made | None):  # not of a length
            return _Made()
        if callee in _NUMPY_SCALARS and isinstance(first, _NumpyType):
            return _Made()
        if callee == "numpy.dtype" and first in _NUMPY_CODES:
            return _NumpyType()
        if callee == "torch._utils._rebuild_tensor_v3":
            raise self._unknown_type("of an unusual type, such as float8")
        kind = next((word for part, word in _SPECIAL.items() if part in callee), "")
        if kind and callee.startswith("torch._utils._rebuild_"):
            raise CheckpointError(
                f"{self._file_name} holds tensors of another kind ({kind}), which are not read "
                "here. Convert the network to ordinary float weights before you save "
                "model.state_dict()."
            )
        raise self._refusal(callee, made)

    def persistent_load(self, identity: Any) -> Any:
        """A storage that the pickle refers to, recorded with its claim."""
        if isinstance(identity, tuple) and identity[:1] == ("module",) and len(identity) > 1:
            return identity[1]  # a class with its source, before torch 1.6
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
            raise ValueError("a reference to something else than numbers")
        kind, key, _, numel = identity[1:5]
        name = kind.full if isinstance(kind, _Name) else ""
        if name not in _ITEM_BYTES:
            quantized = "quantized: " if name.startswith("torch.Q") else ""
            raise self._unknown_type(f"of the type {quantized}{plain(name, 60) or 'unknown'}")
        if len(identity) > 5 and identity[5] is not None:
            raise CheckpointError(
                f"{self._file_name} has tensors that share their numbers in the way of torch "
                "before 0.4, which is not read here. Load it with a newer torch and save "
                "model.state_dict() again."
            )
        if type(numel) is not int or numel < 0 or not isinstance(key, str):
            raise ValueError("a storage of impossible size")
        storage = Storage(key, _ITEM_BYTES[name], numel)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError("a storage described twice")
        return _Made()

    def _refusal(self, callee: str, made: bool) -> CheckpointError:
        shown, name = plain(callee, 80), self._file_name
        if callee.startswith("numpy."):
            return CheckpointError(
                f"{name} holds a numpy array or object ({shown}) beside the weights, which is "
                "not read here. Save model.state_dict() by itself with torch.save."
            )
        if made and not _CALLERS.match(callee):
            return CheckpointError(
                f"{name} holds a pickled Python object of the class {shown}, not only "
                "weights; loading it would run code of that class. Load it where it was made and "
                "save model.state_dict() instead."
            )
        return CheckpointError(
            f"{name} was refused: it wants to call {shown} while it is being loaded. Nothing "
            "was executed. If you trust its author, load it where it was made and save "
            "model.state_dict() instead."
        )

    def _unknown_type(self, which: str) -> CheckpointError:
        return CheckpointError(
            f"{self._file_name} holds numbers {which}, which are not read here. Convert the "
            "weights to float32 before you save them."
        )


def plain(text: str, limit: int) -> str:
    """``text`` from an untrusted file for a message: one line, printable, of limited length."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."
