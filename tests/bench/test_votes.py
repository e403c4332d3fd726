"""The benchmark's pieces; its figures are not tested, since they depend on the machine."""

from __future__ import annotations

import pytest
import torch

from ddrs_core.bench.votes import agreement, interleave, measure, plain_counts, random_resnet20
from ddrs_core.models import NoisyForward, load_model


@pytest.mark.slow
def test_random_resnet_spreads_its_votes_and_folds_exactly():
    f = random_resnet20()
    forward = NoisyForward(f, precision="fp32")
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(7))
    result = agreement(f, forward, image, 0.5, samples=200)
    assert max(result.counts) < 150
    assert result.differing <= 2
    assert sum(result.counts) == sum(result.plain_counts) == 200


def test_plain_counts_count_everything():
    f = load_model("digits-gaussian-0.50", "cpu")
    assert plain_counts(f, torch.rand(1, 8, 8), 0.25, 1234).sum() == 1234


def test_interleave_runs_every_task_in_every_round():
    calls = []
    tasks = [lambda: calls.append("a") or 1, lambda: calls.append("b") or 2]
    rates = interleave(tasks, 1e-9, torch.device("cpu"))
    assert calls == ["a", "b"] * (1 + len(rates))


@pytest.mark.slow
def test_measure_reports_ratios_within_rounds():
    result = measure(load_model("digits-gaussian-0.50", "cpu"), "fp32", 1e-9)
    assert result.rounds == 3
    assert result.agreement.p_value > 1e-6
