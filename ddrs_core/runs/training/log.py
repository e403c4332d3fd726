"""The training log: a JSON line for the settings and one for every epoch; also for TensorBoard."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddrs_core.atomic_write import replacing
from ddrs_core.errors import DDRSError
from ddrs_core.file_access import writing
from ddrs_core.models import registry
from ddrs_core.training import EpochSummary, SigmaSummary, SmoothedSummary, TrainConfig

FORMAT = 1


@dataclass(frozen=True)
class TrainingRecord:
    """What a training log holds."""

    config: dict[str, Any]  # as TrainConfig.to_dict gives it
    epochs: tuple[EpochSummary, ...]


class TrainingLog:
    """Appends epochs to a log; one that is continued loses what came after ``epochs_done``.

    Args:
        path: the JSON lines.
        tensorboard: the folder of TensorBoard's event files.
        config: the run.
        epochs_done: epochs that the run's state remembers.
    """

    def __init__(
        self, path: Path, tensorboard: Path, config: TrainConfig, epochs_done: int
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self._path = path
        kept = read_training_log(path).epochs[:epochs_done] if epochs_done and path.exists() else ()
        lines = [{"format": FORMAT, "config": config.to_dict()}, *(e.to_dict() for e in kept)]
        with replacing(path, partial=path.with_suffix(".partial")) as partial:
            partial.write_text("".join(_line(line) for line in lines), encoding="utf-8")
        self._writer = SummaryWriter(str(tensorboard), purge_step=epochs_done + 1)

    def append(self, epoch: EpochSummary) -> None:
        """Write one epoch to both logs."""
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(_line(epoch.to_dict()))
        add, number = self._writer.add_scalar, epoch.epoch
        add("loss", epoch.loss, number)
        add("noisy accuracy", epoch.accuracy, number)
        add("learning rate", epoch.lr, number)
        if epoch.smoothed is not None:
            add("smoothed accuracy", epoch.smoothed.smoothed, number)
            for radius, share in zip(epoch.smoothed.radii, epoch.smoothed.certified, strict=True):
                add(f"certified at {radius:g}", share, number)
        if epoch.sigma is not None:
            add("sigma/mean", epoch.sigma.mean, number)
            self._add_histogram(epoch.sigma, number)
        self._writer.flush()

    def close(self) -> None:
        """Finish TensorBoard's file."""
        self._writer.close()

    def _add_histogram(self, sigma: SigmaSummary, number: int) -> None:
        edges, counts = np.array(sigma.edges), np.array(sigma.counts)
        middles = (edges[1:] + edges[:-1]) / 2
        self._writer.add_histogram_raw(
            "sigma/images",
            min=edges[0],
            max=edges[-1],
            num=int(counts.sum()),
            sum=float(counts @ middles),
            sum_squares=float(counts @ middles**2),
            bucket_limits=edges[1:].tolist(),
            bucket_counts=counts.tolist(),
            global_step=number,
        )


def read_training_log(path: Path) -> TrainingRecord:
    """Read a training log; a last line that was cut off is left out.

    Raises:
        DDRSError: if the file is missing or something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines.pop()
        head, *epochs = (json.loads(line) for line in lines)
        if head["format"] != FORMAT:
            raise ValueError(f"format {head['format']} is not known to this version")
        return TrainingRecord(head["config"], tuple(_epoch(data) for data in epochs))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DDRSError(f"The training log {path.name} cannot be read: {error}.") from None


def shipped_logs() -> dict[str, Path]:
    """The training logs that come with the program, by the name of their model."""
    return {
        path.name.removesuffix(".log.jsonl"): path
        for path in sorted(registry.ASSETS.glob("*.log.jsonl"))
    }


def log_digest(path: Path) -> str:
    """SHA-256 of a log's file, as 16 hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":")) + "\n"


def _epoch(data: dict[str, Any]) -> EpochSummary:
    sigma = data.pop("sigma")
    if sigma is not None:
        sigma = SigmaSummary(
            sigma["mean"],
            tuple(sigma["edges"]),
            tuple(sigma["counts"]),
            tuple((int(i), float(s)) for i, s in sigma["moved"]),
        )
    smoothed = data.pop("smoothed", None)  # logs of earlier versions have none
    if smoothed is not None:
        lists = {name: tuple(smoothed[name]) for name in ("radii", "certified")}
        smoothed = SmoothedSummary(**{**smoothed, **lists})
    return EpochSummary(**data, sigma=sigma, smoothed=smoothed)
