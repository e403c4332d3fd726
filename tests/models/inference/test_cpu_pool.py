"""Batches side by side give the counts of batches one after the other."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ddrs_core.models import NoisyForward, noise_generator
from ddrs_core.models.inference.cpu_pool import _make_pool, cpu_pool


def count(forward: NoisyForward, x: Tensor, n: int, seed: int = 0) -> np.ndarray:
    generators = [noise_generator(seed, i, "test") for i in range(len(x))]
    return forward.votes(x, torch.full((len(x),), 0.3), n, generators)


def test_the_pool_leaves_the_callers_thread_count_alone() -> None:
    before = torch.get_num_threads()
    pool = cpu_pool()
    assert torch.get_num_threads() == before
    assert (pool is None) == (before == 1)
    assert cpu_pool() is pool


@pytest.mark.parametrize("threads", [2, 3])
def test_the_workers_share_the_callers_threads(threads: int) -> None:
    before = torch.get_num_threads()
    try:
        pool = _make_pool.__wrapped__(threads)  # a new one, whatever other tests have done
        assert pool is not None
        assert torch.get_num_threads() == threads
        inside = pool.executor.submit(torch.get_num_threads).result()
        assert inside == max(1, threads // pool.workers)
    finally:
        torch.set_num_threads(before)


def test_side_by_side_equals_one_after_the_other(network: nn.Module, images: Tensor) -> None:
    forward = NoisyForward(network, 5, batch_size=32)
    together = count(forward, images, 333)
    alone = NoisyForward(network, 5, batch_size=32)
    alone._splits = lambda total, size: False  # type: ignore[method-assign]
    assert np.array_equal(together, count(alone, images, 333))
    assert together.sum(axis=1).tolist() == [333] * len(images)


def test_two_counts_at_once_do_not_mix(network: nn.Module, images: Tensor) -> None:
    forward = NoisyForward(network, 5, batch_size=32)
    expected = [count(forward, images, 500, seed) for seed in range(4)]
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda s=s: found.update({s: count(forward, images, 500, s)}))
        for s in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[s], expected[s]) for s in range(4))
