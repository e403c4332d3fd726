"""Threads that each evaluate a batch of their own on the processor.

A small network spends much of its time waiting when one batch is split among all cores, since
every layer ends with a meeting of the threads. Whole batches side by side avoid that: on two cores
the digits' network counts 1.6 times as many votes a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

_MAX_WORKERS = 8  # bounds the memory for activations
_LOCK = threading.Lock()


class CpuPool(NamedTuple):
    """An executor and how many threads it has."""

    executor: ThreadPoolExecutor
    workers: int

    def start(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Begin ``work`` in a thread; returns what waits for its result."""
        try:
            return self.executor.submit(work).result
        except RuntimeError:  # the interpreter is about to end, and takes no new work
            return work


def cpu_pool() -> CpuPool | None:
    """The pool of this process, made at the first call; None where a single thread is allowed."""
    with _LOCK:
        return _make_pool(torch.get_num_threads())


@lru_cache(maxsize=4)
def _make_pool(threads: int) -> CpuPool | None:
    workers = min(threads, _MAX_WORKERS)
    if workers < 2:
        return None
    pool = ThreadPoolExecutor(workers, thread_name_prefix="votes")
    ready = threading.Barrier(workers + 1)

    def settle() -> None:
        torch.get_num_threads()  # a thread's own count is set up by the first look at it
        torch.set_num_threads(max(1, threads // workers))
        ready.wait()

    for _ in range(workers):
        pool.submit(settle)
    ready.wait()
    torch.set_num_threads(threads)  # the last caller's number would hold for all later threads
    return CpuPool(pool, workers)
