"""A run killed at any moment goes on to the same model, and its folder tells what happened."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ddrs_core.cli import main
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError
from ddrs_core.models import (
    Classifier,
    ModelCard,
    build_classifier,
    checkpoint,
    get_card,
    load_checkpoint,
    read_card,
    save_checkpoint,
    weights_digest,
    with_card,
)
from ddrs_core.models.checkpoint import round_weights
from ddrs_core.runs.argv import command_lines, to_argv
from ddrs_core.runs.training import finish
from ddrs_core.runs.training import run as training
from ddrs_core.runs.training.files import TrainingFiles, read_state, write_state
from ddrs_core.runs.training.finish import round_where_harmless
from ddrs_core.runs.training.log import log_digest, read_training_log
from ddrs_core.runs.training.run import ModelSaved, TrainingStopped, train_and_save
from ddrs_core.training import (
    BatchSummary,
    EpochSummary,
    SigmaTraining,
    TrainConfig,
    Trainer,
    measure_accuracy,
)

pytestmark = pytest.mark.usefixtures("one_thread")

PROGRAM = (sys.executable, "-m", "ddrs_core")

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[3]
CONFIG = TrainConfig(
    "digits",
    "digits_cnn",
    sigma=0.12,
    data_dependent=SigmaTraining(samples=1),
    epochs=4,
    batch_size=432,
    precision="fp32",
    ema=0.8,
    seed=3,
)
NAME = "digits-gaussian-ds2-0.12"


def run(folder: Path, config: TrainConfig = CONFIG, **options: Any) -> list[Any]:
    command = command_lines([config], "--out", str(folder))
    return list(train_and_save(config, CPU, folder, command=command, **options))


def saved(steps: list[Any]) -> ModelSaved:
    assert isinstance(steps[-1], ModelSaved)
    return steps[-1]


def plain(card: ModelCard) -> ModelCard:
    """As it comes back from a file, with lists for tuples."""
    return ModelCard.from_dict(json.loads(json.dumps(card.to_dict())))


def told(folder: Path) -> list[dict[str, Any]]:
    """The epochs of a run's log, without their seconds."""
    epochs = read_training_log(TrainingFiles(folder, NAME).log).epochs
    return [{**epoch.to_dict(), "seconds": None} for epoch in epochs]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


# --- What a finished run leaves -------------------------------------------------------------


def test_exactly_one_model_with_its_card_and_log(whole: tuple[Path, list[Any]]) -> None:
    folder, steps = whole
    assert [type(s) for s in steps if not isinstance(s, BatchSummary)] == [
        *[EpochSummary] * 4,
        ModelSaved,
    ]
    names = {path.name for path in folder.iterdir()}
    assert names == {f"{NAME}.safetensors", f"{NAME}.json", f"{NAME}.log.jsonl", f"{NAME}.run"}
    assert saved(steps).path == folder / f"{NAME}.safetensors"
    assert not TrainingFiles(folder, NAME).state.exists()
    assert not list(folder.rglob("*.partial"))


def test_the_card_tells_what_was_measured_on_the_stored_weights(
    whole: tuple[Path, list[Any]],
) -> None:
    _, steps = whole
    card, stored = saved(steps).card, load_checkpoint(saved(steps).path)
    assert read_card(saved(steps).path) == plain(card)
    assert weights_digest(stored.network) == card.digest == stored.card.digest
    sigmas = (0.12, 0.25, 0.50)
    measured = measure_accuracy(stored, "digits", sigmas, copies=5, precision="fp32")
    assert measured == card.accuracy
    assert set(measured) == {"clean", "noise 0.12", "noise 0.25", "noise 0.50"}
    assert card.own_noise_accuracy == card.accuracy["noise 0.12"]
    assert (card.sigma, card.method, card.seed, card.dataset) == (0.12, "gaussian", 3, "digits")
    assert plain(card).training == json.loads(json.dumps(CONFIG.to_dict()))
    assert "torch" in card.machine


def test_the_log_tells_settings_and_epochs(whole: tuple[Path, list[Any]]) -> None:
    folder, steps = whole
    path = TrainingFiles(folder, NAME).log
    record = read_training_log(path)
    assert record.config == json.loads(json.dumps(CONFIG.to_dict()))
    expected = [dataclasses.replace(s, classifier=None) for s in steps if is_epoch(s)]
    assert list(record.epochs) == expected
    assert log_digest(path) == saved(steps).card.log_digest
    path.with_name("other").write_bytes(path.read_bytes() + b" ")
    assert log_digest(path.with_name("other")) != saved(steps).card.log_digest
    path.with_name("other").unlink()


def is_epoch(step: Any) -> bool:
    return isinstance(step, EpochSummary)


def test_a_log_that_was_cut_off_or_is_none(whole: tuple[Path, list[Any]], tmp_path: Path) -> None:
    data = TrainingFiles(whole[0], NAME).log.read_bytes()
    path = tmp_path / "cut.jsonl"
    lines = data.splitlines(keepends=True)
    for kept in range(1, 5):
        start = b"".join(lines[: kept + 1])
        for end in (b"", lines[-1][:1], lines[-1][:-1]):
            path.write_bytes(start + end)
            assert len(read_training_log(path).epochs) == kept
    for content in (b"", b"dear diary\n", b"[1]\n", b"\xff\xfe\n", b'{"format": 99}\n', lines[1]):
        path.write_bytes(content)
        with pytest.raises(DDRSError, match=r"cut\.jsonl cannot be read"):
            read_training_log(path)
    with pytest.raises(DDRSError, match="missing"):
        read_training_log(tmp_path / "missing.jsonl")


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(TrainingFiles(folder, NAME).tensorboard))
    accumulator.Reload()
    return accumulator


def test_tensorboard_shows_the_same_figures(whole: tuple[Path, list[Any]]) -> None:
    folder, steps = whole
    board = events(folder)
    epochs = [s for s in steps if is_epoch(s)]
    for name, values in (
        ("loss", [e.loss for e in epochs]),
        ("noisy accuracy", [e.accuracy for e in epochs]),
        ("learning rate", [e.lr for e in epochs]),
        ("sigma/mean", [e.sigma.mean for e in epochs]),
    ):
        scalars = board.Scalars(name)
        assert [s.step for s in scalars] == [1, 2, 3, 4]
        assert [s.value for s in scalars] == pytest.approx(values)
    counts = board.Histograms("sigma/images")[-1].histogram_value.bucket
    assert sum(counts) == 1297


def test_the_command_on_the_card_makes_the_same_model(
    whole: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    card = saved(whole[1]).card
    words = shlex.split(card.command)
    assert words[:4] == ["python", "-m", "ddrs_core", "train"]
    assert words[-2:] == ["--out", str(whole[0])]
    assert main([*words[3:-1], str(tmp_path)]) == 0
    again = load_checkpoint(tmp_path / f"{NAME}.safetensors").card
    assert again.digest == card.digest
    assert again.training == plain(card).training
    assert again.accuracy == card.accuracy
    assert told(tmp_path) == told(whole[0])


# --- Killed and resumed ---------------------------------------------------------------------


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    words = [*PROGRAM, *to_argv(CONFIG), "--out", str(folder), "--device", "cpu", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(path: Path, text: str, process: subprocess.Popen[str]) -> None:
    """Until a file holds some text, or the process has ended."""
    end = time.monotonic() + 100
    while process.poll() is None and time.monotonic() < end:
        if path.exists() and text in path.read_text(errors="replace"):
            return
        time.sleep(0.005)


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_model(
    whole: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    """Twice ``kill -9`` at a moment that chance chooses, and then to the end."""
    files = TrainingFiles(tmp_path, NAME)
    chance = random.Random(time.time_ns())
    for epoch in (1, 2):
        process = start(tmp_path, "--resume")
        wait_for(files.log, f'"epoch":{epoch},', process)
        delay = chance.uniform(0, 0.3)
        time.sleep(delay)
        process.kill()
        process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0), f"after {delay} s"
    time.sleep(1.0)  # TensorBoard sorts its files by the second
    steps = run(tmp_path, resume=True)
    expected = saved(whole[1]).card
    assert saved(steps).card.digest == expected.digest
    assert saved(steps).card.accuracy == expected.accuracy
    assert told(tmp_path) == told(whole[0])  # each epoch once, with the same figures
    assert [p.name for p in tmp_path.glob("*.safetensors")] == [f"{NAME}.safetensors"]
    assert [s.step for s in events(tmp_path).Scalars("loss")] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_polite_kill_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, epochs=2000)
    words = [*PROGRAM, *to_argv(config), "--out", str(tmp_path), "--device", "cpu"]
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    files = TrainingFiles(tmp_path, NAME)
    try:
        wait_for(files.log, '"epoch":2,', process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    epoch = len(read_training_log(files.log).epochs) + 1
    assert err.strip() == f"Stopped in epoch {epoch}; the same command with --resume goes on."
    state = read_state(files.state)
    assert (epoch - 1) * 3 <= int(state["step"]) <= epoch * 3
    assert not files.model.exists()


@pytest.mark.slow
@pytest.mark.parametrize("batches", [0, 1, 3, 5])
def test_a_run_that_is_told_to_stop_stops_with_its_state(
    batches: int, whole: tuple[Path, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_every_batch(monkeypatch)
    stop = threading.Event()
    if not batches:
        stop.set()
    steps = []
    for step in train_and_save(CONFIG, CPU, tmp_path, stop=stop):
        steps.append(step)
        if len([s for s in steps if isinstance(s, BatchSummary)]) == batches:
            stop.set()
    last = steps[-1]
    assert isinstance(last, TrainingStopped)
    assert last.folder == tmp_path
    done = int(read_state(TrainingFiles(tmp_path, NAME).state)["step"])
    assert batches <= done <= batches + 1
    assert last.epoch in (done // 3 + 1, (done - 1) // 3 + 1)
    with pytest.raises(DDRSError, match="--resume"):
        run(tmp_path)
    assert saved(run(tmp_path, resume=True)).card.digest == saved(whole[1]).card.digest
    assert told(tmp_path) == told(whole[0])


def report_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Trainer.steps
    monkeypatch.setattr(Trainer, "steps", lambda self: steps(self, report_seconds=0.0))


@pytest.mark.slow
def test_it_may_die_between_any_two_steps(
    whole: tuple[Path, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that gets one step further each time, and dies; also on the last batch."""
    report_every_batch(monkeypatch)
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)  # after every batch
    for _ in range(100):
        steps = train_and_save(CONFIG, CPU, tmp_path, resume=True)
        seen = list(itertools.islice(steps, 2))
        if isinstance(seen[-1], ModelSaved):
            break
        if not isinstance(seen[-1], EpochSummary) or seen[-1].classifier is None:
            steps.close()  # type: ignore[attr-defined]
        else:
            list(steps)
    assert saved(run(tmp_path, resume=True)).card.digest == saved(whole[1]).card.digest
    assert told(tmp_path) == told(whole[0])


@pytest.mark.slow
def test_it_may_die_between_the_log_and_the_state(
    whole: tuple[Path, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for epoch in (1, 3):
        with monkeypatch.context() as patch:

            def die(state: dict[str, Any], path: Path, last: int = epoch) -> None:
                if state["epochs"] == last:
                    raise SystemExit
                write_state(state, path)

            patch.setattr(training, "write_state", die)
            with pytest.raises(SystemExit):
                run(tmp_path, resume=True)
        assert len(told(tmp_path)) == epoch
    assert saved(run(tmp_path, resume=True)).card.digest == saved(whole[1]).card.digest
    assert told(tmp_path) == told(whole[0])


@pytest.mark.slow
def test_it_may_die_while_the_model_is_written(
    whole: tuple[Path, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(state: Any) -> None:
        (tmp_path / f"{CONFIG.model_name}.partial").write_bytes(b"half of it")
        raise SystemExit

    short = dataclasses.replace(CONFIG, epochs=1)
    for config in (short, CONFIG):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "save", half)
            with pytest.raises(SystemExit):
                run(tmp_path, config, overwrite=True)
        assert not list(tmp_path.glob("*.safetensors"))
    assert saved(run(tmp_path, resume=True)).card.digest == saved(whole[1]).card.digest
    assert not list(tmp_path.glob("*.partial"))


# --- Folders that hold something ------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_finished_run_is_neither_trained_again_nor_lost(whole: tuple[Path, list[Any]]) -> None:
    folder = whole[0]
    before = contents(folder)
    (only,) = run(folder, resume=True)
    assert only == ModelSaved(saved(whole[1]).path, plain(saved(whole[1]).card))
    with pytest.raises(DDRSError, match=r"holds a run .* already"):
        run(folder)
    for changes in ({"epochs": 9}, {"seed": 4}, {"data_dependent": SigmaTraining()}):
        other = dataclasses.replace(CONFIG, **changes)  # type: ignore[arg-type]
        with pytest.raises(InvalidParameterError, match="trained with"):
            run(folder, other, resume=True)
    assert contents(folder) == before


def test_a_run_that_cannot_begin_loses_nothing(whole: tuple[Path, list[Any]]) -> None:
    folder = whole[0]
    before = contents(folder)
    for changes in ({"epochs": 0}, {"init": "nothing"}, {"batch_size": 5000}, {"sigma": -1.0}):
        other = dataclasses.replace(CONFIG, name=NAME, **changes)  # type: ignore[arg-type]
        with pytest.raises(DDRSError):
            run(folder, other, overwrite=True)
    assert contents(folder) == before


def test_a_name_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    victim = tmp_path / "mine.safetensors"
    victim.write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    for name in ("../mine", "..", "a/b", "", "x" * 101, ".hidden", "a b"):
        config = dataclasses.replace(CONFIG, name=name)
        if not name:
            continue  # means: choose one
        with pytest.raises(InvalidParameterError, match="letters"):
            run(tmp_path / "out", config, overwrite=True)
        words = ["train", "--dataset", "digits", "--method", "gaussian", "--sigma", "0.25"]
        out = ["--overwrite", "--name", name, "--out", str(tmp_path / "out")]
        assert main([*words, *out]) == 2
    assert victim.read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.safetensors", "out"]
    assert not list((tmp_path / "out").iterdir())


def test_overwriting_starts_afresh(tmp_path: Path) -> None:
    short = dataclasses.replace(CONFIG, epochs=1)
    first = saved(run(tmp_path, short)).card
    other = saved(run(tmp_path, dataclasses.replace(short, seed=4), overwrite=True)).card
    assert other.digest != first.digest
    assert len(read_training_log(TrainingFiles(tmp_path, NAME).log).epochs) == 1
    steps = train_and_save(short, CPU, tmp_path, overwrite=True)
    next(steps)
    assert not list(tmp_path.glob("*.json")) + list(tmp_path.glob("*.safetensors"))
    assert not read_training_log(TrainingFiles(tmp_path, NAME).log).epochs
    assert saved(list(steps)).card.digest == first.digest


def test_other_settings_do_not_go_on_with_a_run(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    run(tmp_path, stop=stop)
    before = contents(tmp_path)
    with pytest.raises(InvalidParameterError, match="seed = 3, not 4"):
        run(tmp_path, dataclasses.replace(CONFIG, seed=4), resume=True)
    assert contents(tmp_path) == before


def test_a_damaged_state_is_refused_in_words(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    run(tmp_path, stop=stop)
    state = TrainingFiles(tmp_path, NAME).state
    data = state.read_bytes()
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    pickled = b"cos\nsystem\n(S'touch /tmp/ddrs-was-here'\ntR."
    for content in (
        b"",
        b"garbage",
        data[: len(data) // 2],
        pickled,
        (tmp_path / "other.pt").read_bytes(),
        (tmp_path / "tensor.pt").read_bytes(),
    ):
        state.write_bytes(content)
        with pytest.raises(DDRSError, match=r"cannot be read .*--overwrite"):
            run(tmp_path, resume=True)
    assert not Path("/tmp/ddrs-was-here").exists()
    state.write_bytes(data)
    assert next(iter(train_and_save(CONFIG, CPU, tmp_path, resume=True)))


def test_a_state_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.pt"
    good = {"config": {}, "step": 1, "network": {}, "momentum": {}}
    write_state(good, path)

    def half(state: Any, file: Any) -> None:
        file.write(b"half")
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half)
        with pytest.raises(SystemExit):
            write_state({**good, "step": 2}, path)
    assert read_state(path)["step"] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DDRSError, match="cannot be written to"):
        run(tmp_path)


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (Path("/proc/models"), tmp_path / "file" / "below"):
        with pytest.raises(DDRSError, match="cannot be made"):
            run(folder)


def test_architectures_for_other_images_are_refused(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, architecture="cifar_resnet20")
    with pytest.raises(MismatchError, match="Use digits_cnn"):
        run(tmp_path / "new", config)
    assert not (tmp_path / "new").exists()


# --- Half precision -------------------------------------------------------------------------


@pytest.fixture
def classifier() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        card = dataclasses.replace(get_card("digits-gaussian-0.25"), name="fresh")
        return build_classifier(card).eval().requires_grad_(False)


def test_rounded_weights_are_near_and_half_as_large(classifier: Classifier, tmp_path: Path) -> None:
    exact = {k: t.clone() for k, t in classifier.network.state_dict().items()}
    large = save_checkpoint(classifier, tmp_path / "exact")
    round_weights(classifier)
    small = save_checkpoint(classifier, tmp_path / "rounded")
    assert small.stat().st_size < 0.55 * large.stat().st_size
    for name, tensor in classifier.network.state_dict().items():
        if tensor.ndim > 1:
            assert not torch.equal(tensor, exact[name])
            assert torch.allclose(tensor, exact[name], rtol=2**-11, atol=2**-25)
        else:
            assert torch.equal(tensor, exact[name])
    digest = classifier.card.digest
    assert digest == weights_digest(classifier.network) != weights_digest_of(exact, classifier)
    for path, expected in ((small, classifier.network.state_dict()), (large, exact)):
        loaded = load_checkpoint(path).network.state_dict()
        assert all(torch.equal(loaded[k], t) for k, t in expected.items())
        assert all(loaded[k].dtype == t.dtype for k, t in expected.items())
    round_weights(classifier)
    assert classifier.card.digest == digest  # once is enough


def weights_digest_of(state: dict[str, torch.Tensor], classifier: Classifier) -> str:
    other = build_classifier(classifier.card)
    other.network.load_state_dict(state)
    return weights_digest(other.network)


def test_what_half_precision_cannot_hold_is_stored_in_full(
    classifier: Classifier, tmp_path: Path
) -> None:
    matrices = [t for t in classifier.network.state_dict().values() if t.ndim > 1]
    round_weights(classifier)
    with torch.no_grad():
        matrices[0][0] = 1e6  # beyond its range, so that rounding leaves the tensor alone
        matrices[0][1] = 0.1
        matrices[1].flatten()[0] = 1 / 3
    kept = [t.clone() for t in matrices]
    loaded = load_checkpoint(save_checkpoint(with_card(classifier), tmp_path))
    stored = [t for t in loaded.network.state_dict().values() if t.ndim > 1]
    assert all(torch.equal(a, b) for a, b in zip(stored, kept, strict=True))
    round_weights(classifier)
    assert torch.equal(matrices[0], kept[0])
    assert float(matrices[1].flatten()[0]) == float(torch.tensor(1 / 3).half())


def test_rounding_that_costs_accuracy_is_undone(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = {k: t.clone() for k, t in classifier.network.state_dict().items()}
    digest = weights_digest(classifier.network)
    for after, undone in ((0.9, False), (0.896, False), (0.894, True)):
        classifier.network.load_state_dict(exact)
        measured = iter([{"clean": 0.95, "noise 0.25": 0.9}, {"clean": 0.95, "noise 0.25": after}])
        monkeypatch.setattr(finish, "measure_accuracy", lambda *a, m=measured, **o: next(m))
        round_where_harmless(classifier, "digits", 0.25)
        assert (weights_digest(classifier.network) == digest) is undone
        assert classifier.card.digest == weights_digest(classifier.network)
