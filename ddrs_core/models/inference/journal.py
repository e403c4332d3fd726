"""Answers of a network, kept in a file, so that a computation that was killed need not ask again.

A computation whose numbers depend on nothing but its seed asks the same questions in the same
order when it is repeated. So it need not know how to go on in its midst: it starts again, and the
answers that are there take no time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.atomic_write import replacing
from ddrs_core.errors import DDRSError
from ddrs_core.models.inference.forward import NoisyForward
from ddrs_core.models.inference.noise import NoiseStream
from ddrs_core.models.inference.votes import REPORT_SECONDS, VoteCounts, VoteLoop

_WRITE_SECONDS = 0.5  # between two writes: what a kill may cost
_COMPACT_BYTES = 4 << 20  # a file beyond this size, most of it outdated, is written again
_KINDS = ("int64", "float64")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What the network has said to one question, as far as ``done`` of ``total`` samples."""

    question: str  # digest, to notice that a repeated computation asks something else
    done: int
    total: int
    arrays: tuple[NDArray[Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        packed = [
            (str(a.dtype), a.shape, base64.b64encode(a.tobytes()).decode()) for a in self.arrays
        ]
        return {"question": self.question, "done": self.done, "total": self.total, "data": packed}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Answer:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError, KeyError, TypeError: if it is something else.
        """
        arrays = []
        for kind, shape, text in data["data"]:
            if kind not in _KINDS:
                raise ValueError(kind)
            content = np.frombuffer(base64.b64decode(text, validate=True), kind)
            arrays.append(content.reshape([int(n) for n in shape]).copy())
        return cls(str(data["question"]), int(data["done"]), int(data["total"]), tuple(arrays))


class Journal:
    """The answers to one computation at a time, in a file that is there only while they are needed.

    A file that cannot be written costs what a kill would cost, and is no reason to end a run.

    Args:
        path: the file; made when a computation takes long enough for a kill to matter.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key = ""
        self._answers: dict[str, Answer] = {}  # by name of the question
        self._new: dict[str, Answer] = {}  # not written yet
        self._written = time.monotonic()
        self._usable = True
        self._limit = _COMPACT_BYTES

    def begin(self, key: str) -> None:
        """Start or go on with the computation ``key``; answers to another one are dropped."""
        self._key, self._new, self._written = key, {}, time.monotonic()
        self._answers = _read(self.path, key)
        self._new = dict(self._answers)
        self._limit = 0  # the first write leaves out a line that was cut off, and old answers

    def end(self) -> None:
        """The computation is finished, and what it gave is safe elsewhere."""
        self._answers, self._new = {}, {}
        with suppress(OSError):
            self.path.unlink()

    def get(self, name: str) -> Answer | None:
        """What is known of the question of this name."""
        return self._answers.get(name)

    def put(self, name: str, answer: Answer) -> None:
        """Keep an answer, in place of an earlier one to the same question."""
        self._answers[name] = self._new[name] = answer
        if time.monotonic() - self._written >= _WRITE_SECONDS:
            self.write()

    def drop(self, prefix: str) -> None:
        """Forget the answers whose names begin so."""
        for answers in (self._answers, self._new):
            for name in [name for name in answers if name.startswith(prefix)]:
                del answers[name]

    def write(self) -> None:
        """Write what has not been written yet."""
        if self._usable and self._new:
            try:
                self._append()
            except (OSError, DDRSError) as error:
                self._usable = False
                _log.warning("%s cannot be written (%s): a kill costs more.", self.path, error)
        self._new, self._written = {}, time.monotonic()

    def _append(self) -> None:
        if not self.path.exists() or self.path.stat().st_size > self._limit:
            self._rewrite()
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(_lines(self._new)))

    def _rewrite(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        head = json.dumps({"key": self._key}) + "\n"
        with replacing(self.path) as partial:
            partial.write_text(head + "".join(_lines(self._answers)), encoding="utf-8")
        self._limit = max(_COMPACT_BYTES, 2 * self.path.stat().st_size)


class JournaledForward(NoisyForward):
    """A forward pass that looks into a journal before it evaluates the network.

    Args:
        forward: the forward pass, whose network and limits are shared.
        journal: where answers are looked up and kept.
        scope: begins the names of the questions; one for each part of a computation that may be
            repeated without the others.
    """

    def __init__(self, forward: NoisyForward, journal: Journal, scope: str) -> None:
        self.__dict__.update(forward.__dict__)
        self._journal, self._scope, self._asked = journal, scope, 0

    def _count(
        self, loop: VoteLoop, report_every: float | None, start: VoteCounts | None
    ) -> Iterator[VoteCounts]:
        """The votes of a loop, from where an earlier call was."""
        kind = f"votes {len(loop.images)} {loop.n} {loop.batch_size}"
        name, question = self._next(loop.sigmas, kind)
        known = self._journal.get(name)
        if known is not None and known.question == question:
            start = VoteCounts(known.arrays[0], known.done, known.total)
            if start.done == start.total and not isinstance(loop.generators[0], NoiseStream):
                yield start
                return
        for step in loop.steps(report_every or REPORT_SECONDS, start):
            if start is None or step.done > start.done:
                self._journal.put(name, Answer(question, step.done, step.total, (step.counts,)))
            if report_every is not None or step.done == step.total:
                yield step

    def remembered(self, sigmas: Tensor, ask: Callable[[], list[Tensor]]) -> list[Tensor]:
        """As :meth:`NoisyForward.remembered`, or what is known."""
        name, question = self._next(sigmas, "values")
        known = self._journal.get(name)
        if known is not None and known.question == question:
            return [torch.from_numpy(array).to(self.device) for array in known.arrays]
        found = ask()
        arrays = tuple(tensor.cpu().numpy() for tensor in found)
        self._journal.put(name, Answer(question, 1, 1, arrays))
        return found

    def _next(self, sigmas: Tensor, kind: str) -> tuple[str, str]:
        """Name and digest of the next question."""
        self._asked += 1
        digest = hashlib.sha256(kind.encode())
        digest.update(sigmas.detach().to("cpu", torch.float64).numpy().tobytes())
        return f"{self._scope}/{self._asked}", digest.hexdigest()[:16]


def _lines(answers: dict[str, Answer]) -> Iterator[str]:
    for name, answer in answers.items():
        yield json.dumps({"name": name, **answer.to_dict()}, separators=(",", ":")) + "\n"


def _read(path: Path, key: str) -> dict[str, Answer]:
    """The answers in a file, up to the first line that is damaged; none to another computation."""
    found: dict[str, Answer] = {}
    try:
        with path.open(encoding="utf-8") as file:
            if json.loads(file.readline())["key"] != key:
                return {}
            for line in file:
                data = json.loads(line)
                found[str(data["name"])] = Answer.from_dict(data)
    except (OSError, ValueError, KeyError, TypeError):
        return found
    return found
