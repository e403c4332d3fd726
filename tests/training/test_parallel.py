"""Two processes train what one does, up to rounding."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ddrs_core.cli import main
from ddrs_core.errors import InvalidParameterError
from ddrs_core.models import load_checkpoint
from ddrs_core.runs.training.log import read_training_log
from ddrs_core.training import ALONE, Group, Trainer, join_group
from tests.training import parallel_worker as worker

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
    "MASTER_ADDR": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("two")
    script = str(ROOT / "tests" / "training" / "parallel_worker.py")
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), "2", str(folder)],
            env=ENVIRONMENT,
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        for process in processes:
            _, err = process.communicate(timeout=200)
            assert process.returncode == 0, err[-3000:]
    finally:
        for process in processes:
            process.kill()
    return [{**torch.load(folder / f"{rank}.pt"), "folder": folder / "run"} for rank in (0, 1)]


@pytest.fixture(scope="module", params=worker.RUNS)
def runs(request: pytest.FixtureRequest, two: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One run by a single process, by the first of two and by the second."""
    alone = worker.train(worker.RUNS[request.param], ALONE)
    return [alone, *(result["runs"][request.param] for result in two)]


@pytest.mark.slow
def test_two_processes_find_the_weights_of_one(runs: list[dict[str, Any]]) -> None:
    alone, first, second = (run["network"] for run in runs)
    start = Trainer(worker.RUNS["gaussian"], worker.CPU).classifier.network.state_dict()
    assert list(first) == list(alone)  # the names of the weights stay
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        way, apart = value - start[name], first[name] - value
        assert float(way.double().norm()) > 0, name
        assert float(apart.double().norm()) < 0.002 * float(way.double().norm()), name
    statistics = [name for name in alone if "running" in name or "tracked" in name]
    assert len(statistics) == 9
    assert {int(first[n]) for n in statistics if "tracked" in n} == {worker.STEPS}


@pytest.mark.slow
def test_two_processes_find_the_sigmas_of_one(runs: list[dict[str, Any]]) -> None:
    alone, first, second = (run["sigmas"] for run in runs)
    assert torch.equal(first, second)
    assert torch.allclose(first, alone, atol=1e-4)
    if len(alone):
        assert int((alone != 0.25).sum()) > 1000


@pytest.mark.slow
def test_two_processes_report_the_loss_of_one(runs: list[dict[str, Any]]) -> None:
    alone, first, second = runs
    assert first["loss"] == second["loss"] == pytest.approx(alone["loss"], rel=1e-4)
    assert first["accuracy"] == pytest.approx(alone["accuracy"], abs=2 / 432)


@pytest.mark.slow
def test_batch_norm_over_two_processes_is_that_of_the_whole_batch(
    two: list[dict[str, Any]],
) -> None:
    x, slope = worker.batch()
    module = worker.norm()
    out = module(x)
    (out * slope).sum().backward()
    assert x.grad is not None
    first, second = (result["norm"] for result in two)
    assert torch.allclose(torch.cat([first["out"], second["out"]]), out, atol=1e-5)
    assert torch.allclose(torch.cat([first["x"], second["x"]]), x.grad, rtol=1e-4, atol=1e-5)
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        total = first["gradients"][f"0.{name}"] + second["gradients"][f"0.{name}"]
        assert torch.allclose(total, parameter.grad, atol=1e-4)
    for name, value in module.state_dict().items():
        for state in (first["state"], second["state"]):
            assert torch.allclose(state[f"0.{name}"], value, rtol=1e-5), name
    later = torch.cat([first["later"], second["later"]])
    assert torch.allclose(later, module.eval()(x), atol=1e-5)


@pytest.mark.slow
def test_rows_are_gathered_in_order_and_averaged(two: list[dict[str, Any]]) -> None:
    for result in two:
        assert result["gathered"].tolist() == [0, 1, 2, 10, 11, 12]
        assert result["mean"].tolist() == [5, 6, 7]


@pytest.mark.slow
def test_processes_stop_together_and_go_on(two: list[dict[str, Any]]) -> None:
    first, second = two
    assert first["ends"] == ["TrainingStopped", "ModelSaved"]
    assert second["ends"] == ["TrainingStopped", "EpochSummary"]
    (path,) = first["folder"].glob("*.safetensors")
    assert load_checkpoint(path).card.training["epochs"] == 2
    log = read_training_log(path.with_name(path.name.replace(".safetensors", ".log.jsonl")))
    assert [epoch.epoch for epoch in log.epochs] == [1, 2]
    alone = worker.train(dataclasses.replace(worker.RUNS["gaussian"], epochs=2), ALONE)
    assert log.epochs[-1].loss == pytest.approx(alone["loss"], rel=1e-3)


# --- Without other processes ----------------------------------------------------------------


def test_every_row_has_one_process() -> None:
    for size in (1, 2, 4):
        rows = [list(range(12))[Group(rank, size).share(12)] for rank in range(size)]
        assert [i for row in rows for i in row] == list(range(12))
        assert {len(r) for r in rows} == {12 // size}


def test_a_batch_that_cannot_be_divided_is_refused_in_words() -> None:
    config = dataclasses.replace(worker.RUNS["gaussian"], batch_size=255)
    with pytest.raises(InvalidParameterError, match="255 cannot be shared evenly by 2"):
        Trainer(config, worker.CPU, Group(0, 2))


def test_alone_nothing_is_shared() -> None:
    assert join_group(worker.CPU) == (ALONE, worker.CPU)
    assert ALONE.leads
    network = torch.nn.Linear(2, 2)
    assert ALONE.wrap(network) is ALONE.synchronise(network) is network


# --- The command line -----------------------------------------------------------------------


@pytest.mark.slow
def test_torchrun_trains_and_writes_one_model(tmp_path: Path) -> None:
    words = [
        "train",
        "--dataset",
        "digits",
        "--method",
        "macer",
        "--sigma",
        "0.25",
        "--copies",
        "2",
        "--data-dependent",
        "--epochs",
        "1",
        "--batch-size",
        "432",
        "--lr",
        "0.02",
        "--precision",
        "fp32",
        "--device",
        "cpu",
        "--out",
    ]
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*run, "-m", "ddrs_core", *words, str(tmp_path / "two")],
        env=ENVIRONMENT,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("Saved ") == 1
    assert main([*words, str(tmp_path / "one"), "--quiet"]) == 0
    paths = [list((tmp_path / part).glob("*.safetensors")) for part in ("one", "two")]
    assert [[p.name for p in found] for found in paths] == [
        ["digits-macer-ds2-0.25.safetensors"]
    ] * 2
    one, two = (load_checkpoint(found[0]) for found in paths)
    theirs = two.network.state_dict()
    for name, value in one.network.state_dict().items():  # rounded to half precision
        assert torch.allclose(theirs[name].double(), value.double(), rtol=2e-3, atol=1e-4), name
    for key, share in one.card.accuracy.items():
        assert two.card.accuracy[key] == pytest.approx(share, abs=0.004)
    logs = [
        read_training_log(found[0].with_name("digits-macer-ds2-0.25.log.jsonl")) for found in paths
    ]
    assert len(logs[0].epochs) == len(logs[1].epochs) == 1
    assert logs[1].epochs[0].loss == pytest.approx(logs[0].epochs[0].loss, rel=1e-4)
