"""Evaluating a batch for gradients: in parts, where memory is short, or side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from ddrs_core.models.inference.cpu_pool import CpuPool

Network = Callable[[Tensor], Tensor]

_ROWS_MIN = 4  # for each thread; with fewer, calls cost a small network more than threads save


def checkpointed(network: Network, x: Tensor, rows: int) -> Tensor:
    """Logits [B, K] of ``x`` [B, C, H, W]; the activations of ``rows`` images are kept at a time.

    A part is evaluated a second time when its gradient is asked for.
    """
    if len(x) <= rows:
        return network(x)
    parts = [
        checkpoint(network, part, use_reentrant=False, preserve_rng_state=False)
        for part in x.split(rows)
    ]
    return torch.cat(parts)


def data_parallel_cpu(network: Network, x: Tensor, pool: CpuPool) -> Tensor:
    """Logits [B, K] of ``x`` [B, C, H, W], each thread of the pool taking a part both ways.

    No sum runs over the parts, so their order does not matter to the result.
    """
    if len(x) < pool.workers * _ROWS_MIN:
        return network(x)
    logits: Tensor = _SideBySide.apply(x, network, pool, -(-len(x) // pool.workers))
    return logits


class _SideBySide(torch.autograd.Function):
    """A network whose parts of a batch have graphs of their own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, network: Network, pool: CpuPool, rows: int) -> Tensor:
        ctx.pool = pool
        ctx.graphs = _all(pool, [partial(_graph, network, p) for p in x.detach().split(rows)])
        return torch.cat([logits.detach() for _, logits in ctx.graphs])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        graphs, ctx.graphs = ctx.graphs, None
        gradients = gradient.split([len(logits) for _, logits in graphs])
        works = [
            partial(_descend, leaf, logits, part)
            for (leaf, logits), part in zip(graphs, gradients, strict=True)
        ]
        return torch.cat(_all(ctx.pool, works)), None, None, None


def _graph(network: Network, part: Tensor) -> tuple[Tensor, Tensor]:
    """A part of the batch as a leaf, and its logits."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = part.requires_grad_(True)
        return leaf, network(leaf)


def _descend(leaf: Tensor, logits: Tensor, gradient: Tensor) -> Tensor:
    if not logits.requires_grad:  # votes, for example, are flat
        return torch.zeros_like(leaf)
    return torch.autograd.grad(logits, leaf, gradient)[0]


def _all(pool: CpuPool, works: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results of all works; all of them have ended when an error is raised."""
    results: list[Any] = []
    errors: list[Exception] = []
    for wait in [pool.start(work) for work in works]:
        try:
            results.append(wait())
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return results
