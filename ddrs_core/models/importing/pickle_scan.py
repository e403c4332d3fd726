"""What a pickle inside a weights file would do, found out without doing it.

The instructions are followed on stand-ins: no class is looked up, nothing is called and no tensor
is made. What comes out says which tensors there are and how many bytes each needs, so that claims
that the file does not keep are refused before torch sees them.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ddrs_core.errors import CheckpointError
from ddrs_core.models.importing.pickle_calls import (
    Calls,
    Made,
    Named,
    Storage,
    UnusualError,
    exactly,
)

MAX_PICKLE: Final = 16 << 20  # bytes; that of a ResNet-110 with its optimiser has 0.2 million
_MAX_STEPS: Final = 2_000_000
_DAMAGED: Final = (
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    OverflowError,
    RecursionError,
)


@dataclass
class Outline:
    """The result of following a pickle."""

    root: Any
    storages: dict[str, Storage] = field(default_factory=dict)
    numpy: bool = False  # it holds numpy scalars
    end: int = 0  # position after the pickle


def follow(data: bytes, name: str, start: int = 0) -> Outline:
    """Follow one pickle from ``start`` to its end.

    Args:
        data: the bytes; what comes after the end of the pickle is not looked at.
        name: the file's name, for messages.

    Raises:
        CheckpointError: if it is cut off, holds an object, wants to call something, or has tensors
            that claim more numbers than they have.
    """
    walker = _Walker(name)
    stream = io.BytesIO(data)
    stream.seek(start)
    steps = 0
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            steps += 1
            if steps > _MAX_STEPS:
                raise CheckpointError(
                    f"{name} is too intricate: its list of tensors takes more than "
                    f"{_MAX_STEPS:,} steps to read. Save model.state_dict() by itself."
                )
            walker.step(opcode.name, argument)
    except UnusualError as error:
        raise CheckpointError(
            f"{name} has a list of tensors that torch.save does not write: {error} (step "
            f"{steps:,}). Nothing in it was executed. Save model.state_dict() by itself, or fetch "
            "the file again if it was damaged on its way."
        ) from None
    except _DAMAGED as error:
        raise CheckpointError(
            f"{name} is damaged or cut off: its list of tensors cannot be read "
            f"({type(error).__name__} at step {steps:,}). Fetch or copy the file again."
        ) from None
    return Outline(walker.result, walker.calls.storages, walker.calls.numpy, stream.tell())


class _Walker:
    """The pickle machine on stand-ins; it has the instructions that torch's safe reader has."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = Calls(name)
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.result: Any = None

    def step(self, op: str, arg: Any) -> None:
        stack = self.stack
        if op in _CONSTANTS:
            stack.append(_CONSTANTS[op]())
        elif op in _LITERALS:
            stack.append(arg)
        elif op in ("BINPUT", "LONG_BINPUT"):
            self.memo[arg] = stack[-1]
        elif op in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[arg])
        elif op == "MARK":
            self.marks.append(stack)
            self.stack = []
        elif op == "TUPLE":
            items = self.pop_mark()
            self.stack.append(tuple(items))
        elif op in ("TUPLE1", "TUPLE2", "TUPLE3"):
            size = int(op[-1])
            stack[-size:] = [tuple(exactly(stack[-size:], size))]
        elif op == "APPEND":
            value = stack.pop()
            _list(stack[-1]).append(value)
        elif op == "APPENDS":
            items = self.pop_mark()
            _list(self.stack[-1]).extend(items)
        elif op == "SETITEM":
            value, key = stack.pop(), stack.pop()
            self.put(stack[-1], [key, value])
        elif op == "SETITEMS":
            items = self.pop_mark()
            self.put(self.stack[-1], items)
        elif op == "GLOBAL":
            stack.append(Named(arg.replace(" ", ".", 1)))
        elif op in ("REDUCE", "NEWOBJ"):
            arguments, callee = stack.pop(), stack.pop()
            if not isinstance(callee, Named) or not isinstance(arguments, tuple):
                raise UnusualError("a call of something else than a name")
            stack.append(self.calls.call(callee.name, arguments, op == "NEWOBJ"))
        elif op == "BUILD":
            self.build(stack[-2], stack.pop())
        elif op == "BINPERSID":
            stack.append(self.calls.storage(stack.pop()))
        elif op == "STOP":
            self.result = exactly(stack, 1)[0]
        elif op not in ("PROTO", "FRAME"):
            raise CheckpointError(
                f"{self.name} is a pickle as torch.save does not write it by default (it has the "
                f"instruction {op}). Nothing in it was executed. Save model.state_dict() with "
                "torch.save."
            )

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def put(self, target: Any, items: list[Any]) -> None:
        if not isinstance(target, dict) or len(items) % 2:
            raise UnusualError("items for something that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self.calls.key(key)] = value

    def build(self, target: Any, state: Any) -> None:
        if target == Made("numpy"):
            if not isinstance(state, tuple) or state[3:5] != (None, None) or len(state) != 8:
                raise UnusualError("an unusual numpy type")
        elif not (isinstance(target, dict) and isinstance(state, dict)):
            # an OrderedDict's attributes are kept, as of state_dict()._metadata
            raise UnusualError("attributes for something that has none")


_CONSTANTS: Final[dict[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}
_LITERALS: Final = {
    "BININT",
    "BININT1",
    "BININT2",
    "BINFLOAT",
    "BINUNICODE",
    "SHORT_BINSTRING",
    "LONG1",
}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UnusualError("items for something that is not a list")
    return value
