"""How far a training run is, in a small file beside its state that anybody may read meanwhile."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ddrs_core.atomic_write import replacing

if TYPE_CHECKING:
    from ddrs_core.training import BatchSummary, TrainConfig

_WRITE_SECONDS = 0.5  # between two versions of the file
_RATE_SECONDS = 20.0  # over which the rate is averaged


class TrainingStage(StrEnum):
    """What the process of a run does, or did last."""

    WAITING = "waiting"  # for its turn on the device
    TRAINING = "training"
    GIVING_WAY = "giving way"  # to a computation that somebody watches on the device
    MEASURING = "measuring"  # the accuracies that go on the card
    STOPPED = "stopped"  # as it was asked to, with its state saved
    FINISHED = "finished"


@dataclass(frozen=True)
class TrainingProgress:
    """How far a run is."""

    stage: TrainingStage
    epochs: int
    epoch: int = 0  # that is under way, from 1; 0: none yet
    batch: int = 0  # batches done in it
    batches: int = 0  # of an epoch
    loss: float = 0.0  # mean over the last batches
    accuracy: float = 0.0  # on their noisy images
    images_per_second: float = 0.0
    seconds_left: float | None = None  # None: not known yet
    ahead: int = 0  # runs that come first, while it waits
    pid: int = 0
    process_started: float = 0.0  # seconds since 1970; tells a process from a later one of its id
    written: float = 0.0  # seconds since 1970

    @property
    def done(self) -> float:
        """Share of the epochs, 0 to 1."""
        if not self.batches:
            return 0.0
        return min(1.0, (self.epoch - 1 + self.batch / self.batches) / self.epochs)


class ProgressReporter:
    """Writes how far a run is; batches at most twice a second, stages at once.

    Args:
        path: the file; its folder must exist.
        config: the run.
    """

    def __init__(self, path: Path, config: TrainConfig) -> None:
        self._path = path
        self._batch_size = config.batch_size
        me = psutil.Process()
        self._now = TrainingProgress(
            TrainingStage.WAITING, config.epochs, pid=me.pid, process_started=me.create_time()
        )
        self._passed: deque[tuple[float, int]] = deque()  # when, batches so far
        self._written = -_WRITE_SECONDS

    def waiting(self, ahead: int) -> None:
        """The run waits for ``ahead`` others."""
        self._now = replace(self._now, ahead=ahead)
        self.stage(TrainingStage.WAITING)

    def start(self, done: int, batches: int) -> None:
        """Training begins, or goes on after ``done`` batches; an epoch has ``batches``."""
        epoch, batch = divmod(done, batches)
        self._now = replace(self._now, epoch=epoch + 1, batch=batch, batches=batches, ahead=0)
        self.stage(TrainingStage.TRAINING)

    def stage(self, stage: TrainingStage) -> None:
        """A new stage has begun."""
        left = 0.0 if stage is TrainingStage.FINISHED else None
        self._now = replace(self._now, stage=stage, seconds_left=left)
        self._write()

    def batch(self, summary: BatchSummary) -> None:
        """Take note of some batches."""
        now = time.monotonic()
        done = (summary.epoch - 1) * summary.batches + summary.batch
        self._passed.append((now, done))
        if now - self._written < _WRITE_SECONDS:
            return
        while len(self._passed) > 2 and now - self._passed[0][0] > _RATE_SECONDS:
            self._passed.popleft()
        since, before = self._passed[0]
        rate = self._batch_size * (done - before) / (now - since) if now > since else 0.0
        left = self._batch_size * (self._now.epochs * summary.batches - done)
        self._now = replace(
            self._now,
            epoch=summary.epoch,
            batch=summary.batch,
            batches=summary.batches,
            loss=summary.loss,
            accuracy=summary.accuracy,
            images_per_second=rate,
            seconds_left=left / rate if rate else None,
        )
        self._write()

    def _write(self) -> None:
        self._now = replace(self._now, written=time.time())
        with replacing(self._path, partial=self._path.with_suffix(".partial")) as partial:
            partial.write_text(json.dumps(asdict(self._now)), encoding="utf-8")
        self._written = time.monotonic()


def read_progress(path: Path) -> TrainingProgress | None:
    """What a run last said of itself; None if there is nothing that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return TrainingProgress(**{**data, "stage": TrainingStage(data["stage"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
