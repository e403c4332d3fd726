"""Folders outside the program: the user's own, shared data, and what visitors may open.

=====================  ==========================================================================
``DDRS_HOME``          the user's data folder: downloads, added data sets and models, uploads;
                       default: the usual place of the operating system
``DDRS_DATA_DIR``      a folder with data that is there already, such as ``cifar10/*.parquet``
``DDRS_ALLOWED_DIRS``  folders below which visitors of the dashboard may open files by their path,
                       separated as in ``PATH``; ``DDRS_DATA_DIR`` is always among them
=====================  ==========================================================================
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from ddrs_core.errors import DDRSError

HOME_VARIABLE = "DDRS_HOME"
DATA_VARIABLE = "DDRS_DATA_DIR"
ALLOWED_VARIABLE = "DDRS_ALLOWED_DIRS"


class ForbiddenPathError(DDRSError):
    """A path that visitors of this server may not open."""


def home() -> Path:
    """The user's data folder; it need not exist yet."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_data_path("ddrs", False)


def data_dir() -> Path | None:
    """The folder with shared data, if one is named and exists."""
    named = os.environ.get(DATA_VARIABLE)
    path = Path(named).expanduser() if named else None
    return path if path is not None and path.is_dir() else None


def allowed_dirs() -> list[Path]:
    """The folders below which visitors may open files, resolved."""
    named = os.environ.get(ALLOWED_VARIABLE, "").split(os.pathsep)
    paths = [Path(name).expanduser() for name in named if name.strip()]
    shared = data_dir()
    return [path.resolve() for path in (*paths, *([shared] if shared else [])) if path.is_dir()]


def check_allowed(text: str) -> Path:
    """The resolved path, if visitors may open it.

    Raises:
        ForbiddenPathError: if it lies elsewhere (links are followed first), or does not exist.
    """
    roots = allowed_dirs()
    if not roots:
        raise ForbiddenPathError(
            "No folder of this server is open to its visitors. Whoever runs it can open one with "
            f"{ALLOWED_VARIABLE}=/some/folder."
        )
    shown = text.strip()[:200]
    try:
        path = Path(text.strip()).expanduser().resolve()
        inside = any(path == root or root in path.parents for root in roots)
        there = inside and path.exists()
    except (OSError, ValueError, RuntimeError):
        inside, there = False, False
    if not inside:
        raise ForbiddenPathError(
            f"{shown!r} does not lie in a folder that is open to visitors: "
            f"{', '.join(str(root) for root in roots)}."
        )
    if not there:
        raise ForbiddenPathError(f"There is nothing at {shown!r} on the server.")
    return path
