"""Reading other people's files in a child process, with limits.

Whatever a hostile file does to the reader (fills the memory, never ends, crashes it) happens to a
child that can be lost. The child returns a safetensors file and a small JSON report; it runs as
``python -m ddrs_core.models.importing.sandbox FILE FOLDER MEMORY CPU_SECONDS``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from safetensors.torch import save_file
from torch import Tensor

from ddrs_core.errors import CheckpointError, DDRSError
from ddrs_core.models.classifier import Normalization
from ddrs_core.models.importing.read import read_here, read_safetensors
from ddrs_core.models.importing.scan import plain
from ddrs_core.models.importing.sniff import Layout, RawCheckpoint

WEIGHTS: Final = "weights.safetensors"
REPORT: Final = "report.json"
_MAX_REPORT: Final = 1 << 20  # bytes


@dataclass(frozen=True)
class Limits:
    """What a child may use."""

    memory: int = 6 << 30  # bytes of data; on Linux
    cpu_seconds: int = 60
    seconds: float = 120.0  # by the clock


def read_state(path: str | Path, limits: Limits | None = None) -> RawCheckpoint:
    """Read a weights file of any known layout in a child process; nothing in it is executed.

    Args:
        path: a file by ``torch.save`` (either format) or a safetensors file; the suffix does not
            matter.
        limits: for the child.

    Raises:
        CheckpointError: if it is missing, damaged, hostile, something else than weights, or has
            weights that are not finite; and if the child exceeded its limits or crashed.
    """
    path, limits = Path(path).absolute(), limits or Limits()
    name = plain(path.name, 80)
    with TemporaryDirectory(prefix="ddrs-", ignore_cleanup_errors=True) as folder:
        out = Path(folder)
        code = _run_child(path, out, limits, name)
        report = _read_report(out / REPORT)
        if report is None:
            raise CheckpointError(_death(code, name, limits))
        if "error" in report:
            raise CheckpointError(plain(str(report["error"]), 2000))
        state, _ = read_safetensors(out / WEIGHTS, name)
        state = {key: tensor.clone() for key, tensor in state.items()}  # the file goes
    return _raw_checkpoint(report, state, name)


def _run_child(path: Path, out: Path, limits: Limits, name: str) -> int:
    root = str(Path(__file__).resolve().parents[3])
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    arguments = [str(path), str(out), str(limits.memory), str(limits.cpu_seconds)]
    try:
        return subprocess.run(
            [sys.executable, "-m", "ddrs_core.models.importing.sandbox", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=limits.seconds,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        raise CheckpointError(
            f"{name} was not read within {limits.seconds:g} s, so it was given up. If it is "
            "a genuine file, save model.state_dict() by itself, which is smaller."
        ) from None


def _read_report(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _MAX_REPORT:
            return None
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return report if isinstance(report, dict) else None


def _death(code: int, name: str, limits: Limits) -> str:
    if code == -getattr(signal, "SIGXCPU", 24):
        return (
            f"{name} was not read within {limits.cpu_seconds} s of computing, so it was "
            "given up. Genuine weights take a few seconds."
        )
    if code == -getattr(signal, "SIGKILL", 9):
        return f"{name} needs more memory than this server gives to one file, so it was given up."
    return (
        f"{name} made the reader stop (code {code}), so it was refused. It is damaged, or made "
        "to do that; nothing else was affected."
    )


def _raw_checkpoint(report: dict[str, Any], state: dict[str, Tensor], name: str) -> RawCheckpoint:
    try:
        norm = report["normalization"]
        return RawCheckpoint(
            name,
            Layout(report["layout"]),
            state,
            prefix=plain(str(report["prefix"]), 200),
            entry=plain(str(report["entry"]), 60),
            arch_hint=plain(str(report["arch_hint"]), 60),
            epoch=None if report["epoch"] is None else int(report["epoch"]),
            extras=tuple(plain(str(v), 80) for v in report["extras"]),
            normalization=norm and Normalization(tuple(norm["mean"]), tuple(norm["std"])),
            notes=tuple(plain(str(v), 200) for v in report["notes"]),
            size=int(report["size"]),
        )
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(f"{name} made the reader answer nonsense; it was refused.") from None


def _limit(memory: int, cpu_seconds: int) -> None:
    """Bind this process; on Windows there is nothing to bind with, and the clock has to do."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def answer(path: Path, folder: Path) -> None:
    """What the child does: the weights and the report, or why there are none."""
    try:
        report = _read(path, folder)
    except DDRSError as error:
        report = {"error": str(error)}
    except MemoryError:
        name = plain(path.name, 80)
        report = {"error": f"{name} needs more memory than this server gives to one file."}
    (folder / REPORT).write_text(json.dumps(report), encoding="utf-8")


def _read(path: Path, folder: Path) -> dict[str, Any]:
    raw = read_here(path)
    save_file(raw.state, folder / WEIGHTS)
    report = {
        key: getattr(raw, key)
        for key in ("prefix", "entry", "arch_hint", "epoch", "extras", "notes", "size")
    }
    normalization = asdict(raw.normalization) if raw.normalization else None
    return {**report, "layout": str(raw.layout), "normalization": normalization}


if __name__ == "__main__":
    _limit(int(sys.argv[3]), int(sys.argv[4]))
    answer(Path(sys.argv[1]), Path(sys.argv[2]))
