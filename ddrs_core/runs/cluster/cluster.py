"""Certification on many GPUs or machines: units of a run are spread over the workers of Ray.

A worker gets the model once, and images and labels with each unit. What it has certified comes
back about as soon as it is made, to the one process that asked; so whatever happens to a worker,
only what had not come back is made again, by another one. A unit is what
:meth:`~ddrs_core.runs.certify.run.CertifyRun.block` treats as a whole, which is why the numbers are
those of a run on one device.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ddrs_core.errors import DeviceError, InvalidParameterError
from ddrs_core.models import load_model, resolve_device
from ddrs_core.runs.certify.config import CertifyConfig
from ddrs_core.runs.certify.run import BLOCK, CertifyRun, RunStep, images_together, open_runs
from ddrs_core.runs.cluster.connection import check_address, connected, require_ray
from ddrs_core.runs.cluster.pool import Task, WorkerPool
from ddrs_core.runs.cluster.worker import Unit, WorkerSetup

_SHARED = ("dataset", "split", "model", "device", "precision", "batch_size")


def cluster_steps(
    configs: Sequence[CertifyConfig], done: Sequence[Container[int]], address: str
) -> Iterator[tuple[int, RunStep]]:
    """As :func:`~ddrs_core.runs.certify.run.interleave`, by all workers of a Ray cluster at once.

    Every certificate is the one that a single process makes on the same kind of device; they come
    in the order in which they are made. There is a worker for each GPU, or for each few cores
    where no machine has one (or the configuration says ``cpu``). Closing the iterator sends the
    workers home, and ends Ray if it was started here.

    Args:
        configs: settings of one run: the same images, model, device and precision. Any ``cuda``
            device means a GPU for each worker.
        done: for each of them the positions in the plan whose certificates are there already.
        address: of the cluster: ``HOST:PORT``, ``ray://HOST:PORT``, or ``auto`` for the one that
            this machine belongs to, else for this machine alone.

    Yields:
        The number of the setting, and its step; at least about once a second, without certificate
        and votes where there is nothing to tell.

    Raises:
        DDRSError: for what does not fit, a cluster that cannot be reached, workers that compute
            differently, a unit that ends every worker, or what a worker complains about.
    """
    require_ray()
    check_address(address)
    for config in configs:
        _check_device(config.device)
    runs = open_runs([replace(config, device="cpu") for config in configs])
    if len({tuple(getattr(c, name) for name in _SHARED) for c in configs}) > 1:
        raise InvalidParameterError(
            f"The settings of a run on a cluster must have the same {', '.join(_SHARED)}."
        )
    return _steps(configs, runs, done, address)


def _steps(
    configs: Sequence[CertifyConfig],
    runs: Sequence[CertifyRun],
    done: Sequence[Container[int]],
    address: str,
) -> Iterator[tuple[int, RunStep]]:
    missing = any(
        position not in there
        for run, there in zip(runs, done, strict=True)
        for position in range(len(run.plan))
    )
    if not missing:
        return
    model = load_model(configs[0].model, "cpu")
    state = model.network.state_dict()
    size = sum(tensor.nbytes for tensor in state.values())
    with connected(address, size) as ray:
        device = _worker_device(configs[0].device, ray.nodes(), address)
        setup = WorkerSetup(
            model.card,
            state,
            runs[0].dataset.info,
            configs[0].split,
            device,
            configs[0].precision,
            configs[0].batch_size,
        )
        with WorkerPool(ray, setup, lambda task: _unit(runs[task.setting], task)) as pool:
            yield from pool.work(deque(_tasks(runs, done, device)))


def _tasks(
    runs: Sequence[CertifyRun], done: Sequence[Container[int]], device: str
) -> Iterator[Task]:
    """What is to be done, block by block, so that all settings grow together."""
    for first in runs[0].blocks:
        for setting, run in enumerate(runs):
            positions = range(first, min(first + BLOCK, len(run.plan)))
            # Sigmas are chosen for a whole block; with a fixed one a group is enough.
            fixed = run.config.strategy is None
            size = images_together(run.config.budget, device) if fixed else BLOCK
            for start in range(0, len(positions), size):
                part = positions[start : start + size]
                there = {position for position in part if position in done[setting]}
                if len(there) < len(part):
                    yield Task(setting, part, there)


def _unit(run: CertifyRun, task: Task) -> Unit:
    """A task with its images, as it is sent to a worker."""
    indices = [run.plan[position] for position in task.positions]
    read = run.dataset.read(indices)
    config = replace(run.config, indices=tuple(indices), limit=None)
    there = frozenset(position - task.positions.start for position in task.there)
    return Unit(config, read, run.dataset.labels[indices], there)


def _check_device(name: str) -> None:
    """Refuse what cannot be a device; a GPU need not be on this machine."""
    if not re.fullmatch(r"cuda(:[0-9]{1,4})?", name):
        resolve_device(name)


def _worker_device(wanted: str, nodes: Iterable[dict[str, Any]], address: str) -> str:
    """``cuda`` or ``cpu``.

    Raises:
        DeviceError: if a GPU is wanted, and no machine of the cluster has one.
    """
    if wanted == "cpu":
        return "cpu"
    if any(node["Resources"].get("GPU", 0) >= 1 for node in nodes if node["Alive"]):
        return "cuda"
    if wanted != "auto":
        raise DeviceError(
            f"No machine of the Ray cluster ({address}) has a GPU, so {wanted!r} cannot be used. "
            "Choose auto or cpu."
        )
    return "cpu"
