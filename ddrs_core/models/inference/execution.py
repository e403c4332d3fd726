"""What decides, beside model, precision and noise, how a network rounds, as text."""

from __future__ import annotations

import re

import torch

import ddrs_core
from ddrs_core.models.inference.device import device_info

_BATCH = re.compile(r"batch=([1-9][0-9]{0,6}) ")


def execution_text(batch_size: int, device: torch.device) -> str:
    """The text of :meth:`~ddrs_core.models.NoisyForward.execution`."""
    threads = f" threads={torch.get_num_threads()}" if device.type == "cpu" else ""
    where = " ".join(device_info(str(device)).title.partition(" (")[0].split())
    return (
        f"batch={batch_size}{threads} torch={torch.__version__} ddrs={ddrs_core.__version__} "
        f"on {where}"
    )


def batch_size_of(execution: str) -> int | None:
    """The batch size in the text of :func:`execution_text`; None where it has none."""
    found = _BATCH.match(execution)
    return int(found[1]) if found else None
