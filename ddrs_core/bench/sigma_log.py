"""What ``bench sigma`` has measured: in memory, and as JSON lines in a file that can be continued.

The first line says what was measured. Then follow the levels that tuned the single sigma, and a
line for each image; the lines of one block of images are written together.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, Self

from filelock import Timeout

from ddrs_core.errors import DDRSError
from ddrs_core.file_access import check_regular, open_regular, writing
from ddrs_core.runs.certify.tuned import LevelScore
from ddrs_core.runs.logs.writing import lock_of

_FORMAT = "bench sigma 1"


@dataclass(frozen=True)
class BenchSetup:
    """What decides the measurements; of the machine only the kind of device."""

    dataset: str
    model: str
    digest: str  # of the weights
    sigma_0: float
    low: float  # smallest level of every strategy
    high: float  # largest one
    n0: int
    n: int
    alpha: float
    bound: str
    seed: int
    skip: int
    precision: str
    device: str  # its noise differs from that of other kinds of device
    presets: dict[str, dict[str, Any]]  # parameters by name
    machine: str = field(default="", compare=False)

    def settings(self) -> dict[str, Any]:
        """All that must agree between two parts of one file, by what it is called."""
        data = {item.name: getattr(self, item.name) for item in fields(self) if item.compare}
        presets = data.pop("presets")
        return {**data, "presets": ", ".join(presets)} | {
            f"preset {k}": presets[k] for k in presets
        }


@dataclass(frozen=True)
class Outcome:
    """What one method chose for one image, and the certificate at that level."""

    sigma: float
    radius: float
    prediction: int
    passes: float  # forward passes that chose sigma; a block's are divided among its images
    seconds: float = field(compare=False)  # likewise


@dataclass(frozen=True)
class ImageOutcomes:
    """The outcomes of all methods for one image; ``leading`` is its class at sigma_0."""

    index: int
    label: int | None
    leading: int
    methods: dict[str, Outcome]


class BenchLog:
    """Measurements, as a context manager that holds their file, if there is one.

    Args:
        setup: what is measured.
        path: the file; None: nothing is kept.
        resume: go on with a file that is there. A last line that was cut off is removed.

    Raises:
        DDRSError: if the file is there without ``resume``, was made with another setup, is damaged
            or in use, or cannot be written.
    """

    def __init__(self, setup: BenchSetup, path: Path | None = None, resume: bool = False) -> None:
        self.setup = setup
        self.levels: list[LevelScore] = []
        self.images: dict[int, ImageOutcomes] = {}
        self._path, self._file = path, None
        if path is not None:
            self._file = self._open(path, resume)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The measurements in a file, which may be packed by gzip, without holding it.

        Raises:
            DDRSError: if it cannot be read or is something else.
        """
        lines = _lines(path, packed=path.suffix == ".gz")
        if not lines:
            raise DDRSError(f"{path} is empty.")
        log = cls(_setup(path, lines[0]))
        log._load(path, lines)
        return log

    def add(self, items: Sequence[LevelScore] | Sequence[ImageOutcomes]) -> None:
        """Keep some measurements; they are on the disk when this returns."""
        for item in items:
            if isinstance(item, LevelScore):
                self.levels.append(item)
            else:
                self.images[item.index] = item
        if self._path is not None and self._file is not None:
            with writing(self._path):
                _write(self._file, [{type(item).__name__: asdict(item)} for item in items])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._path is not None and self._file is not None:
            self._file.close()
            with suppress(OSError):  # Windows refuses to remove an open file
                os.unlink(self._lock.lock_file)
            self._lock.release()

    def _open(self, path: Path, resume: bool) -> BinaryIO:
        with writing(path):
            os.stat(path.parent)  # a lock would make the folder
            if path.exists():
                check_regular(path)
            self._lock = lock_of(path)
            try:
                self._lock.acquire()
            except Timeout:
                raise DDRSError(f"{path} is being written by another run.") from None
        try:
            return self._continue(path, resume)
        except BaseException:
            self._lock.release()
            raise

    def _continue(self, path: Path, resume: bool) -> BinaryIO:
        there = path.exists()
        if there and not resume:
            raise DDRSError(
                f"{path} is there already: go on with it by --resume, or name another --out."
            )
        lines = _lines(path) if there else []
        if lines:
            self._check_same(path, _setup(path, lines[0]))
            self._load(path, lines)
        with writing(path):
            file = path.open("ab", buffering=0)
            file.truncate(sum(len(line) for line in lines))
            if not lines:
                _write(file, [{"format": _FORMAT, "setup": asdict(self.setup)}])
        return file

    def _check_same(self, path: Path, found: BenchSetup) -> None:
        theirs, ours = found.settings(), self.setup.settings()
        for name in ours:
            if theirs.get(name) != ours[name]:
                raise DDRSError(
                    f"{path} was made with other settings: its {name} is {theirs.get(name)!r}, not "
                    f"{ours[name]!r}. Repeat those, or name another --out."
                )
        self.setup = found

    def _load(self, path: Path, lines: Sequence[bytes]) -> None:
        for number, line in enumerate(lines[1:], start=2):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise DDRSError(
                    f"Line {number} of {path} is damaged. Remove it and all after it, then resume."
                ) from None

    def _take(self, data: dict[str, Any]) -> None:
        if "LevelScore" in data:
            self.levels.append(LevelScore.from_dict(data["LevelScore"]))
            return
        image = data["ImageOutcomes"]
        methods = {name: Outcome(**found) for name, found in image["methods"].items()}
        self.images[int(image["index"])] = ImageOutcomes(**{**image, "methods": methods})


def _write(file: BinaryIO, items: Sequence[dict[str, Any]]) -> None:
    """Append lines by one write, down to the disk."""
    data = "".join(json.dumps(item, separators=(",", ":")) + "\n" for item in items)
    file.write(data.encode())
    os.fsync(file.fileno())


def _lines(path: Path, *, packed: bool = False) -> list[bytes]:
    """The whole lines of a file, with their ends; a last one that was cut off is left out."""
    try:
        with open_regular(path) as file:
            data = file.read()
        lines = (gzip.decompress(data) if packed else data).splitlines(keepends=True)
    except (OSError, EOFError, zlib.error) as error:
        raise DDRSError(f"{path} cannot be read: {error}.") from None
    return [line for line in lines if line.endswith(b"\n")]


def _setup(path: Path, line: bytes) -> BenchSetup:
    try:
        data = json.loads(line)
        if data["format"] != _FORMAT:
            raise ValueError(data["format"])
        return BenchSetup(**data["setup"])
    except (ValueError, KeyError, TypeError):
        raise DDRSError(f"{path} holds no measurements of bench sigma.") from None
