"""Small files in the user's data folder, never half-written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ddrs_core import places
from ddrs_core.errors import DDRSError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that readers see all of it or none, whatever happens meanwhile.

    Raises:
        DDRSError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise DDRSError(
            f"{path} cannot be written: {error.strerror}. Make room or permit it, or name "
            f"another folder with {places.HOME_VARIABLE}."
        ) from None
