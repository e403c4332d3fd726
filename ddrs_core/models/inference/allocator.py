"""Memory that one batch frees and the next one needs again."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

_TRIM, _MMAP = -1, -3  # glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD
_LARGEST_BUFFER = 32 << 20  # bytes; glibc takes no more on every version
_KEPT = 256 << 20  # bytes of freed memory, of each arena
_CHOSEN = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep the buffers of a batch for the next one; True if it does now.

    By default glibc gives every buffer above 128 KiB back to the kernel, which then clears each
    page of it once more for the next batch: a third of the time of small networks. Whoever has
    chosen an allocator or its limits by the environment (``MALLOC_TRIM_THRESHOLD_`` and the
    like) keeps them, and other C libraries are left alone.
    """
    if sys.platform != "linux" or any(name.startswith(_CHOSEN) for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP, _LARGEST_BUFFER)) and bool(mallopt(_TRIM, _KEPT))
