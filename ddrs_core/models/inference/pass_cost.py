"""What one forward pass costs: floating-point operations and memory for activations.

Both are counted in one pass over a single blank image, so they do not depend on the speed of the
machine.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ddrs_core.models.inference.fuse_batchnorm import PlainFunction, runs_on_blank

_LOG = logging.getLogger(__name__)
# Convolutions take workspaces and copies in other layouts that no operator's output shows, and
# allocators round up: what is counted is doubled.
_SAFETY = 2
# A network that cannot be counted is taken for one of the hungrier kinds: in multiples of its
# input, doubled, a ResNet-20 has 34 alive and 245 in all, a ViT-B/16 26 and 738.
_UNKNOWN_LIVE, _UNKNOWN_SAVED = 40, 768


@dataclass(frozen=True)
class PassCost:
    """One image's forward pass."""

    flops: float  # a multiplication and an addition are two operations; 0: unknown
    live_bytes: int  # activations that are needed at the same time, without gradients
    saved_bytes: int  # all activations together: gradients need them later


def measure_pass(network: nn.Module, shape: Sequence[int]) -> PassCost:
    """Count the forward pass of one image of shape [C, H, W]; never raises.

    Plain functions may keep state and are not run: they get an estimate and unknown operations.
    """
    if isinstance(network, PlainFunction):
        return _unknown(shape)
    reason: Exception | None = None
    for pretend in (False, True):  # without data where there is no memory for one image
        try:
            return _count(_without_data(network) if pretend else network, shape)
        except Exception as error:  # a foreign network raises whatever it raises
            reason = reason or error
    if runs_on_blank(network, shape):  # but this one does not: counting has failed
        _LOG.warning(
            "What a forward pass costs cannot be counted under torch %s, so batches are planned "
            "from a guess: %s. Install a version of torch that requirements.txt allows.",
            torch.__version__,
            reason,
        )
    return _unknown(shape)


class _Counter(TorchDispatchMode):
    """Adds up operations and the memory of new tensors."""

    def __init__(self, known: list[Tensor]) -> None:
        from torch.utils.flop_counter import flop_registry  # loads Triton: .1 s

        super().__init__()
        self._formulas = flop_registry
        self.flops = 0.0
        self.peak = self.total = 0
        self._weights = {_key(t) for t in known}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first use would load torch's compiler, which takes seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = self._formulas.get(func._overloadpacket)
        if count is not None:
            self.flops += count(*args, **(kwargs or {}), out_val=out)
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self.add(tensor)
        return out

    def add(self, tensor: Tensor) -> None:
        """Note a tensor, unless it is a view of a known one."""
        self._alive = {k: v for k, v in self._alive.items() if not v[0].expired()}
        key = _key(tensor)
        if key in self._weights or key in self._alive:
            return
        size = tensor.untyped_storage().nbytes()
        self._alive[key] = StorageWeakRef(tensor.untyped_storage()), size
        self.total += size
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _count(network: nn.Module, shape: Sequence[int]) -> PassCost:
    tensors = [*network.parameters(), *network.buffers()]
    like = next((t for t in tensors if t.is_floating_point()), torch.empty(0))
    with torch.inference_mode(False), torch.no_grad():
        x = torch.zeros((1, *shape), dtype=like.dtype, device=like.device)
        x = x.contiguous(memory_format=torch.channels_last)
        counter = _Counter(tensors)
        counter.add(x)
        with counter:
            network(x)
    return PassCost(counter.flops, _SAFETY * counter.peak, _SAFETY * counter.total)


def _without_data(network: nn.Module) -> nn.Module:
    """A copy of ``network`` whose tensors have shapes but no numbers."""
    empty: dict[int, Any] = {}
    with torch.inference_mode(False):
        for p in network.parameters():
            empty[id(p)] = nn.Parameter(p.detach().to("meta"), requires_grad=False)
        for b in network.buffers():
            empty[id(b)] = b.detach().to("meta")
        return copy.deepcopy(network, empty)


def _unknown(shape: Sequence[int]) -> PassCost:
    size = 4 * max(1, int(torch.Size(shape).numel()))
    return PassCost(0.0, _UNKNOWN_LIVE * size, _UNKNOWN_SAVED * size)
