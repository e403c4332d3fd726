"""The bench of the memory bank: small here, and in agreement with brute force."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from ddrs_core.bench import memory as bench
from ddrs_core.bench.memory import MemoryBench, MemoryProgress
from ddrs_core.cli import main
from ddrs_core.errors import InvalidParameterError


@pytest.mark.slow
def test_a_small_bank_is_filled_and_agrees_with_brute_force(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "QUERIES", 40)
    monkeypatch.setattr(bench, "BRUTE_QUERIES", 40)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    *progress, result = bench.bench_memory(1200)
    assert [p.images for p in progress if isinstance(p, MemoryProgress)] == [1000, 200]
    assert isinstance(result, MemoryBench)
    assert result.images == result.balls == 1200  # none abstained
    assert 0 < result.indexed <= 1200
    assert result.agreeing == result.compared == 40
    assert sum(result.outcomes.values()) == 40
    assert len(result.outcomes) >= 3  # near queries are among them
    assert result.measured_most >= 1
    assert result.lookup_median_ms <= result.lookup_p95_ms
    assert list(tmp_path.iterdir()) == []


def test_its_images_are_like_photographs() -> None:
    """Most of their energy lies in low frequencies; brightness and contrast are CIFAR-10's."""
    images = bench._photographs(200, np.random.default_rng(0)) / 255
    assert images.shape == (200, 3, 32, 32)
    assert images.mean() == pytest.approx(0.47, abs=0.05)  # published: .491, .482, .447
    assert images.std() == pytest.approx(0.25, abs=0.05)  # published: .247, .243, .262
    spectrum = np.abs(np.fft.fft2(images - images.mean((2, 3), keepdims=True))) ** 2
    low = spectrum[..., :5, :5].sum() + spectrum[..., :5, -4:].sum()
    assert low > 0.3 * spectrum.sum()


def test_the_command_prints_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "QUERIES", 10)
    monkeypatch.setattr(bench, "BRUTE_QUERIES", 3)
    assert main(["bench", "memory", "--balls", "60", "--json", "--device", "cpu"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["balls"] == 60
    assert main(["bench", "memory", "--balls", "60", "--device", "cpu"]) == 0
    assert "the same settlement in 3 of 3" in capsys.readouterr().out


def test_a_bank_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="--balls"):
        list(bench.bench_memory(0))
