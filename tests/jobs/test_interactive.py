"""A live computation that somebody watches goes before the run of another process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ddrs_core.jobs import JobManager, JobRequest
from ddrs_core.jobs.runs import pause_run, start_training
from ddrs_core.runs.training.recorded import run_progress
from ddrs_core.store import RunRecord, RunState, open_store
from ddrs_core.training import recipe


def _live() -> Iterator[int]:
    while True:
        time.sleep(0.02)
        yield 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_training_run_gives_way_still_progresses_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    store, manager = open_store(), JobManager()
    config = recipe("digits", "digits_cnn", "gaussian", 0.5, epochs=5000)
    run = start_training(config, "me", device="cpu")
    job = None

    def wait(done: Callable[[RunRecord], bool]) -> RunRecord:
        deadline = time.monotonic() + 120
        while not done(found := store.run(run.id)):
            assert time.monotonic() < deadline, found
            if job is not None:
                job.touch()  # somebody watches it
            time.sleep(0.1)
        return found

    def done() -> float:
        progress = run_progress(store.run(run.id))
        return progress.done if progress is not None else 0.0

    try:
        wait(lambda found: found.state is RunState.RUNNING and found.progress is not None)
        job = manager.submit(JobRequest("live", "live", "sigma", "cpu", _live, 1e9), "you")
        found = wait(lambda found: found.gives_way)
        assert found.standing == "gives way to somebody's live computation"
        before = done()
        wait(lambda found: done() > before)  # it does not starve
        job.cancel()
        job = None
        wait(lambda found: not found.gives_way)
        before = done()
        wait(lambda found: done() > before)
        pause_run(run.id)
        wait(lambda found: found.state is RunState.PAUSED)
    finally:
        manager.close()
        process = store.run(run.id).process
        if process is not None and process.lives(0.0):
            psutil.Process(process.pid).kill()
