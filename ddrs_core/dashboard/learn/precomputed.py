"""What the lessons show, computed in advance, so that a class does not wait for it.

After a change of a lesson, or of what it is computed from, the files in ``assets/lessons`` are
made again by ``python -m ddrs_core.dashboard.learn``; tests compare both.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parents[3] / "assets" / "lessons"
COMPUTE: dict[str, Callable[[], bytes]] = {}  # file -> its content


def precomputed(compute: Callable[[], Any]) -> Callable[[], Any]:
    """Let a function of a lesson without arguments read what it returned when the files were made.

    What it returns becomes JSON, in which numbers that are keys are text.
    """
    lesson = compute.__module__.rsplit(".", 1)[-1]
    name = f"{lesson}-{compute.__name__}.json.gz"
    COMPUTE[name] = lambda: gzip.compress(json.dumps(_plain(compute())).encode(), mtime=0)

    @wraps(compute)
    @lru_cache(maxsize=1)
    def read() -> Any:
        return json.loads(gzip.decompress(read_file(name)))

    return read


def read_file(name: str) -> bytes:
    """The content of a file that was computed in advance."""
    return (FOLDER / name).read_bytes()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
