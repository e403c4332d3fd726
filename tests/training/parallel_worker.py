"""One of the processes of ``test_parallel.py``: ``parallel_worker.py RANK SIZE FOLDER``."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ddrs_core.runs.training.run import train_and_save
from ddrs_core.training import (
    BatchSummary,
    EpochSummary,
    Group,
    SigmaTraining,
    SmoothAdv,
    TrainConfig,
    Trainer,
)
from ddrs_core.training.methods.macer import Macer

CPU = torch.device("cpu")
STEPS = 3  # of the weights, one epoch
_BASE = TrainConfig(
    "digits",
    "digits_cnn",
    sigma=0.25,
    data_dependent=SigmaTraining(steps=2),
    epochs=1,
    batch_size=432,
    lr=0.02,
    precision="fp32",
    augmentation="shift",
    ema=0.5,
)
RUNS = {
    "gaussian": _BASE,
    "one sigma": dataclasses.replace(_BASE, data_dependent=None, clip=0.5),
    "smoothadv": dataclasses.replace(_BASE, method=SmoothAdv(attack_steps=2, copies=2)),
    "macer": dataclasses.replace(_BASE, method=Macer(copies=2), clip=1.0),
}


def train(config: TrainConfig, group: Group) -> dict[str, Any]:
    """What a run has come to after its only epoch."""
    trainer = Trainer(config, CPU, group)
    epoch = None
    for step in trainer.steps(report_seconds=0.0):
        assert isinstance(step, (BatchSummary, EpochSummary))
        epoch = step
    assert isinstance(epoch, EpochSummary)
    return {
        "network": {k: t.clone() for k, t in trainer.classifier.network.state_dict().items()},
        "sigmas": trainer.sigmas.values if trainer.sigmas else torch.empty(0),
        "loss": epoch.loss,
        "accuracy": epoch.accuracy,
    }


def stop_and_go_on(group: Group, folder: Path) -> list[str]:
    """A run of two epochs that the last process alone is told to stop, and that goes on later."""
    config = dataclasses.replace(_BASE, epochs=2)
    ends = []
    for resume in (False, True):
        stop = threading.Event()
        steps = train_and_save(config, CPU, folder / "run", resume=resume, group=group, stop=stop)
        for step in steps:
            if not resume and group.rank == group.size - 1:
                stop.set()
            last = step
        ends.append(type(last).__name__)
    return ends


def batch() -> tuple[Tensor, Tensor]:
    """A batch [8, 3, 5, 4], each channel of another mean and spread, and the slope of its loss."""
    generator = torch.Generator().manual_seed(7)
    x, slope = torch.randn((2, 8, 3, 5, 4), generator=generator)
    scale = torch.tensor([1.0, 0.1, 5.0]).view(1, 3, 1, 1)
    return (x * scale + 3 * scale).requires_grad_(True), slope


def norm() -> nn.BatchNorm2d:
    """Batch-norm that is not as it was made."""
    module = nn.BatchNorm2d(3, momentum=0.3)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([0.5, 2.0, -1.0]))
        module.bias.copy_(torch.tensor([0.1, 0.0, 3.0]))
    return module


def normalise(group: Group) -> dict[str, Any]:
    """Two batches through batch-norm, the second after training, in eval mode."""
    module = group.synchronise(nn.Sequential(norm()))
    x, slope = batch()
    rows = group.share(len(x))
    out = module(x[rows])
    (out * slope[rows]).sum().backward()
    assert x.grad is not None
    gradients = {n: p.grad for n, p in module.named_parameters()}
    state = {k: t.clone() for k, t in module.state_dict().items()}
    with torch.no_grad():
        later = module.eval()(x[rows])
    return {
        "out": out.detach(),
        "x": x.grad[rows],
        "gradients": gradients,
        "state": state,
        "later": later,
    }


def main(rank: int, size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    group = Group(rank, size)
    share = torch.arange(3) + 10 * rank
    result = {
        "runs": {name: train(config, group) for name, config in RUNS.items()},
        "norm": normalise(group),
        "ends": stop_and_go_on(group, folder),
        "gathered": group.gather(share),
        "mean": group.mean(share.double()),
    }
    torch.save(result, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
