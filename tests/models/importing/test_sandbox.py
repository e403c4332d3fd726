"""Reading in a process of its own: the same answers, and whatever a file does stays there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ddrs_core.errors import CheckpointError
from ddrs_core.models.architectures import get_architecture
from ddrs_core.models.importing import sandbox
from ddrs_core.models.importing.read import read_here
from ddrs_core.models.importing.recognise import recognise
from ddrs_core.models.importing.sandbox import Limits, read_state

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")


class Call:
    def __init__(self, *path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, self.path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    model = nn.Sequential(nn.Identity(), get_architecture("cifar_resnet20_projection").build(10, 3))
    content = {"epoch": 90, "arch": "cifar_resnet20", "state_dict": model.state_dict()}
    state = content["state_dict"]
    content["state_dict"] = {"0.mean": torch.rand(3), "0.std": torch.rand(3) + 0.1, **state}
    torch.save({**content, "optimizer": {}}, tmp_path / "checkpoint.pth.tar")
    return tmp_path / "checkpoint.pth.tar"


@pytest.mark.slow
def test_the_answer_is_that_of_reading_here(path: Path) -> None:
    here, there = read_here(path), read_state(path)
    assert here.normalization is not None
    for name in (
        "name",
        "layout",
        "prefix",
        "arch_hint",
        "epoch",
        "extras",
        "normalization",
        "notes",
        "size",
    ):
        assert getattr(here, name) == getattr(there, name)
    assert here.state.keys() == there.state.keys()
    assert all(torch.equal(here.state[key], there.state[key]) for key in here.state)
    assert recognise(here) == recognise(there)


@pytest.mark.slow
def test_refusals_are_in_the_same_words(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    torch.save({"w": Call(str(marker))}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError) as here:
        read_here(tmp_path / "a.pt")
    with pytest.raises(CheckpointError) as there:
        read_state(tmp_path / "a.pt")
    assert str(here.value) == str(there.value)
    assert "mkdir" in str(there.value)
    assert not marker.exists()


@pytest.mark.slow
@linux
@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(memory=1 << 20), "memory"),
        (Limits(cpu_seconds=0), "0 s of computing"),
        (Limits(seconds=0.05), r"within 0\.05 s,"),
    ],
    ids=["memory", "computing", "clock"],
)
def test_limits_are_kept_and_said(path: Path, limits: Limits, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read_state(path, limits)


@pytest.mark.parametrize("report", ["", "nonsense", "[]", '{"layout": 3}', '{"layout": "MACER"}'])
def test_a_child_that_was_taken_over_is_not_believed(
    path: Path, report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretend(path: Path, out: Path, *_: Any) -> int:
        (out / sandbox.REPORT).write_text(report)
        save_file({"w": torch.rand(3)}, out / sandbox.WEIGHTS)
        return 0

    monkeypatch.setattr(sandbox, "_run_child", pretend)
    with pytest.raises(CheckpointError, match="refused"):
        read_state(path)


@linux
def test_a_crash_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for code, words in ((-11, "stop"), (-9, "memory"), (1, "stop")):
        monkeypatch.setattr(sandbox, "_run_child", lambda *_, code=code: code)
        with pytest.raises(CheckpointError, match=words):
            read_state(path)
