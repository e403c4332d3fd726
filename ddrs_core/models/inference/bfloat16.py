"""Networks in bfloat16 on processors that cannot multiply in it.

There torch falls back to loops that are ten times slower than its products in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn


def emulate_bfloat16(network: nn.Module) -> None:
    """Let the layers of a network on the CPU, which runs under ``torch.autocast``, compute by the
    kernels for float32 what products in bfloat16 would: factors of 8 bits, sums in float32, and
    one rounding at the end. Changed in place.

    Other operations are autocast's as before, and so are layers whose weights are not float32 or
    may be made by hooks, and all of a compiled network: the compiler has kernels of its own.
    """
    if any(_is_compiled(module) for module in network.modules()):
        return
    for module in network.modules():
        if type(module) not in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear):
            continue
        if module.weight.dtype == torch.float32 and not module._forward_pre_hooks:
            with torch.inference_mode(False), torch.no_grad():
                for parameter in module.parameters():
                    parameter.copy_(_rounded(parameter))
            module.forward = partial(_product, module.forward)


def _product(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return forward(_rounded(x)).bfloat16()


def _rounded(x: Tensor) -> Tensor:
    return x.bfloat16().float()


def _is_compiled(module: nn.Module) -> bool:
    """Whether ``torch.compile(module)`` or ``module.compile()`` has made it."""
    return hasattr(module, "_orig_mod") or module._compiled_call_impl is not None
