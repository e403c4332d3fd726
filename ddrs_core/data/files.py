"""Small files in the user's data folder, never half-written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ddrs_core import places
from ddrs_core.file_access import writing

_ADVICE = f"Make room or permit it, or name another folder with {places.HOME_VARIABLE}"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that readers see all of it or none, whatever happens meanwhile.

    Raises:
        DDRSError: if it cannot be written.
    """
    with writing(path, advice=_ADVICE):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
