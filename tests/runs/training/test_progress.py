"""What a run says of itself while it trains."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil
import pytest
import torch

from ddrs_core.runs.training import progress as training_progress
from ddrs_core.runs.training.files import TrainingFiles
from ddrs_core.runs.training.progress import ProgressReporter, TrainingStage, read_progress
from ddrs_core.runs.training.run import TrainingStopped, train_and_save
from ddrs_core.training import BatchSummary, TrainConfig

CONFIG = TrainConfig("digits", "digits_cnn", epochs=3, batch_size=100, name="m")


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(training_progress, "time", made)
    return made


def batch(epoch: int, number: int) -> BatchSummary:
    return BatchSummary(epoch, number, 10, 0.5, 0.75)


def test_rate_and_time_left_come_from_the_clock(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "progress.json"
    reporter = ProgressReporter(path, CONFIG)
    reporter.start(0, 10)
    for number in range(1, 6):
        clock.now += 1.0
        reporter.batch(batch(1, number))
    found = read_progress(path)
    assert found is not None
    assert found.stage is TrainingStage.TRAINING
    assert (found.epoch, found.epochs, found.batch, found.batches) == (1, 3, 5, 10)
    assert (found.loss, found.accuracy) == (0.5, 0.75)
    assert found.images_per_second == pytest.approx(100.0)  # a batch of 100 a second
    assert found.seconds_left == pytest.approx(25.0)  # 25 of 30 batches
    assert found.done == pytest.approx(5 / 30)
    assert found.pid == psutil.Process().pid


def test_the_file_is_written_twice_a_second_at_most(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "progress.json"
    reporter = ProgressReporter(path, CONFIG)
    versions = set()
    for number in range(1, 101):
        clock.now += 0.02
        reporter.batch(BatchSummary(1, number, 100, 0.5, 0.5))
        found = read_progress(path)
        versions.add(found.batch if found is not None else None)
    assert len(versions) <= 5  # in two seconds


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "dancing", "epochs": 1}', '{"a": 1}'])
def test_what_cannot_be_read_is_nothing(text: str, tmp_path: Path) -> None:
    assert read_progress(tmp_path / "missing") is None
    (tmp_path / "p").write_text(text)
    assert read_progress(tmp_path / "p") is None


def test_a_run_tells_its_stages_and_a_stopped_one_where_it_is(tmp_path: Path) -> None:
    files = TrainingFiles(tmp_path, "m")
    stop = threading.Event()
    stages = set()
    for step in train_and_save(CONFIG, torch.device("cpu"), tmp_path, stop=stop):
        now = read_progress(files.progress)
        assert now is not None
        stages.add(now.stage)
        if isinstance(step, BatchSummary) and step.epoch == 2:
            stop.set()
    assert isinstance(step, TrainingStopped)
    stopped = read_progress(files.progress)
    assert stopped is not None
    assert stopped.stage is TrainingStage.STOPPED
    for _ in train_and_save(CONFIG, torch.device("cpu"), tmp_path, resume=True):
        now = read_progress(files.progress)
        assert now is not None
        stages.add(now.stage)
        assert now.epoch >= 2  # it went on
    assert stages == {TrainingStage.TRAINING, TrainingStage.STOPPED, TrainingStage.FINISHED}
    assert files.model.exists()
