"""A data folder that an earlier version made still opens, lists, reports, settles and goes on."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ddrs_core.cli import main
from ddrs_core.data import get_dataset_info, load_dataset
from ddrs_core.jobs.runs import list_runs, resume_run
from ddrs_core.models import get_card, load_checkpoint, load_model
from ddrs_core.runs.from_database import recorded_log, setting_results
from ddrs_core.runs.logs.reading import read_log
from ddrs_core.runs.training.log import read_training_log
from ddrs_core.runs.training.recorded import (
    run_command,
    run_files,
    run_progress,
    training_run,
    training_runs,
)
from ddrs_core.runs.worker import work_on
from ddrs_core.smoothing.recompute import recompute
from ddrs_core.store import MemoryBank, RunState, open_store

OLD_DATA = Path(__file__).parent / "old_data"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The old data folder, in a new place."""
    with tarfile.open(OLD_DATA / "0.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    record = tmp_path / "home" / "datasets" / "my-digits.json"
    record.write_text(record.read_text().replace("/tmp/ddrs-old-data", str(tmp_path)))
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DDRS_DATABASE_URL", raising=False)
    yield tmp_path / "home"
    for run in list_runs():
        if run.state.is_moving and run.process is not None:
            psutil.Process(run.process.pid).kill()


def test_finished_runs_are_listed_and_report_what_they_certified(home: Path) -> None:
    store = open_store()
    runs = {run.title: run for run in store.runs() if run.kind == "certify"}
    assert set(runs) == {"Fixed", "Two settings", "Paused"}
    assert [r.title for r in store.runs("ada") if r.kind == "certify"] == ["Paused"]
    for title, settings, images in (("Fixed", 1, 8), ("Two settings", 2, 6)):
        run = runs[title]
        assert run.state is RunState.FINISHED
        stored = store.certificates(run.id)
        assert len(stored) == run.stored == run.total == settings * images
        assert not any(found.problem for found in recompute([s.certificate for s in stored]))
        for setting in range(settings):
            certificates = [s.certificate for s in stored if s.setting == setting]
            assert len(setting_results(run, setting, certificates).rows) == images
            assert recorded_log(store, run, setting).count("\n") == images + 1


def test_a_paused_run_goes_on_with_the_users_own_model_and_images(home: Path) -> None:
    assert get_dataset_info("my-digits").num_classes == 10
    assert len(load_dataset("my-digits", "test")) == 40
    assert get_card("my-model").architecture == "digits_cnn"
    load_model("my-model", "cpu")
    store = open_store()
    (paused,) = (run for run in store.runs() if run.title == "Paused")
    assert (paused.state, paused.stored) == (RunState.PAUSED, 4)
    before = store.certificates(paused.id)
    for _ in work_on(store, paused.id):
        pass
    assert store.run(paused.id).state is RunState.FINISHED
    after = store.certificates(paused.id)
    assert len(after) == 10
    assert after[:4] == before


def test_a_log_and_an_upload_are_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(read_log(home / "fixed.tsv").rows) == 5
    assert main(["report", str(home / "fixed.tsv")]) == 0
    assert "0.39" in capsys.readouterr().out  # the average certified radius
    assert open_store().uploads("ada", "picture") == ["cat"]


def test_a_memory_bank_settles_further_certificates(home: Path) -> None:
    bank = MemoryBank.find(None, "my-bank")
    record = bank.record()
    assert (record.settled, record.stored, record.budget.planned) == (12, 9, 100)
    checked = bank.check()
    assert checked.balls == 9
    assert checked.holds
    common = ["--dataset", "digits", "--model", "digits-gaussian-0.50", "--sigma", "0.5"]
    few = ["--n", "1000", "--start", "12", "--limit", "3", "--device", "cpu", "--quiet"]
    assert main(["memory", "add", "--bank", "my-bank", *common, *few]) == 0
    assert bank.record().settled == 15


@pytest.mark.slow
def test_training_runs_are_listed_and_a_stopped_one_goes_on(home: Path) -> None:
    store = open_store()
    runs = {run.state: run for run in training_runs(store, "ada")}
    assert set(runs) == {RunState.FINISHED, RunState.PAUSED}
    assert len(list_runs("ada")) == 3  # with a certification run
    finished, stopped = runs[RunState.FINISHED], runs[RunState.PAUSED]
    assert finished.title == "digits-gaussian-ds2-0.50"
    assert (finished.stored, finished.total) == (2, 2)
    assert len(read_training_log(run_files(finished).log).epochs) == 2
    assert load_checkpoint(run_files(finished).model).card.name == finished.title
    assert run_command(finished).startswith("python -m ddrs_core train --dataset digits")
    progress = run_progress(stopped)
    assert progress is not None
    assert 2 <= progress.epoch < 30
    assert run_files(stopped).state.exists()
    resume_run(stopped.id)
    deadline = time.monotonic() + 240
    while (run := training_run(store, stopped.id)).state.is_moving:
        assert time.monotonic() < deadline, run
        time.sleep(0.2)
    assert run.state is RunState.FINISHED, run.error
    assert [e.epoch for e in read_training_log(run_files(run).log).epochs] == list(range(1, 31))
    assert load_checkpoint(run_files(run).model).card.name == run.title
