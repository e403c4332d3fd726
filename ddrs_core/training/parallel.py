"""Several processes that train one network, started by ``torchrun``.

Every process takes its share of each batch's rows. Noise is drawn for the whole batch and
batch-norm sees the whole batch, so that the result is that of one process up to rounding.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce  # differentiable
from torch.nn.parallel import DistributedDataParallel

from ddrs_core.errors import InvalidParameterError


@dataclass(frozen=True)
class Group:
    """The processes of a run and the place of this one among them."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """This process's rows of a batch.

        Raises:
            InvalidParameterError: if the batch cannot be divided evenly.
        """
        if batch_size % self.size:
            raise InvalidParameterError(
                f"A batch of {batch_size} cannot be shared evenly by {self.size} processes. "
                f"Use a batch size that {self.size} divides."
            )
        rows = batch_size // self.size
        return slice(self.rank * rows, (self.rank + 1) * rows)

    def gather(self, share: Tensor) -> Tensor:
        """The rows of all processes, in order, from this one's ``share``."""
        if self.size == 1:
            return share
        shares = [torch.empty_like(share) for _ in range(self.size)]
        dist.all_gather(shares, share.contiguous())
        return torch.cat(shares)

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.size == 1:
            return value
        total = value.clone()
        dist.all_reduce(total)
        return total / self.size

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether ``flag`` is set in some process; all of them have to ask."""
        return bool(self.mean(torch.tensor(float(flag), device=device)) > 0)

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network, its gradients averaged over all processes."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, broadcast_buffers=False)

    def synchronise(self, network: nn.Module) -> nn.Module:
        """The network with batch statistics of all processes; names of weights stay."""
        if self.size == 1:
            return network
        if next(network.parameters()).is_cuda:
            synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
            return synchronised
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.__class__ = _SyncBatchNorm2d
        return network


ALONE = Group()


def join_group(device: torch.device) -> tuple[Group, torch.device]:
    """Join the other processes if ``torchrun`` started this one, each with its own GPU.

    Returns:
        The group, and the device of this process.
    """
    if not dist.is_torchelastic_launched():
        return ALONE, device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    return Group(dist.get_rank(), dist.get_world_size()), device


def leave_group() -> None:
    """Take leave of the other processes, if there are any."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


class _SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch-norm over the batches of all processes, on the CPU, where torch has none."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()
        rows = torch.full((1,), float(x.numel() // x.shape[1]))
        sums = all_reduce(torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), rows]))
        channels, count = x.shape[1], sums[-1]
        mean = sums[:channels] / count
        variance = sums[channels:-1] / count - mean.square()
        with torch.no_grad():
            momentum = 0.1 if self.momentum is None else self.momentum
            assert self.running_mean is not None and self.running_var is not None  # noqa: PT018
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (values * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)).to(x.dtype)
