"""The training benchmark's pieces; its figures are not tested, since they depend on the machine."""

from __future__ import annotations

import pytest

from ddrs_core.bench.training import bench_training


@pytest.mark.slow
def test_training_is_measured_against_its_bare_passes() -> None:
    (result,) = bench_training("cpu", seconds=1e-9)  # CIFAR-10 is not at hand in tests
    assert result.dataset == "digits"
    assert result.rounds == 3
