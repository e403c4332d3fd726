"""A network made ready for sampling: its batch-norms fused into the convolutions before them."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_LOG = logging.getLogger(__name__)


class PlainFunction(nn.Module):
    """A plain function as a module without weights."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def fuse_batchnorm(f: nn.Module, shape: Sequence[int]) -> nn.Module:
    """A copy of ``f`` whose batch-norms are fused into the convolutions before them.

    One pass over a blank image of ``shape`` [C, H, W] shows which batch-norms see nothing
    but the output of a convolution that is used once and by nobody else. A network that cannot be
    run is copied as it is. The fused network computes the same function up to rounding, 30 to
    40 % faster; where torch has changed so that nothing can be fused, a warning says so.

    Other threads may run networks at the same time: unlike ``torch.fx``, which replaces
    ``nn.Module.__call__`` in the whole process while it traces, this touches only its own copy.
    """
    if isinstance(f, PlainFunction):
        return f
    copied = copy.deepcopy(f)
    pairs: list[tuple[str, str]] = []
    try:
        pairs = _find_pairs(copied, shape)
    except Exception as error:  # a foreign network raises whatever it raises
        if runs_on_blank(copied, shape):  # but this one does not: watching it has failed
            _warn(error)
    if not pairs and any(isinstance(module, nn.BatchNorm2d) for module in copied.modules()):
        _check_once()
    for conv, norm in pairs:
        before, after = copied.get_submodule(conv), copied.get_submodule(norm)
        assert isinstance(before, nn.Conv2d)
        assert isinstance(after, nn.BatchNorm2d)
        copied.set_submodule(conv, fuse_conv_bn_eval(before, after))
        copied.set_submodule(norm, nn.Identity())
    return copied


def runs_on_blank(network: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a network takes a blank image of ``shape`` [C, H, W]."""
    try:
        _run_on_blank(network, shape)
    except Exception:  # a foreign network raises whatever it raises
        return False
    return True


@lru_cache(maxsize=1)
def _check_once() -> None:
    """Warn if not even the plainest network can be fused, as with a torch of another build."""
    plain = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval()
    try:
        found = _find_pairs(plain, (1, 1, 1))
    except Exception as error:
        _warn(error)
        return
    if found != [("0", "1")]:
        _warn("the batch-norm behind a convolution is not seen")


def _warn(reason: object) -> None:
    _LOG.warning(
        "Batch-norm is not fused into convolutions under torch %s, so networks run up to 40 %% "
        "slower: %s. Install a version of torch that requirements.txt allows.",
        torch.__version__,
        reason,
    )


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
    try:
        with uses:
            _run_on_blank(network, shape)
    finally:
        for hook in hooks:
            hook.remove()
    pairs = []
    for norm, tensor in inputs.items():
        conv = uses.noted.get(tensor, ("", None))[0]
        if conv and calls[conv] == calls[norm] == 1 and uses.of[tensor] == 1:
            pairs.append((conv, norm))
    return pairs


def _run_on_blank(network: nn.Module, shape: Sequence[int]) -> None:
    first = next((t for t in (*network.parameters(), *network.buffers())), torch.empty(0))
    with torch.inference_mode(False), torch.no_grad():
        network(torch.zeros((1, *shape), device=first.device))
