"""The cost that is told beforehand is the cost that is paid."""

from __future__ import annotations

import math

import pytest
import torch

from ddrs_core.data import get_dataset_info
from ddrs_core.runs.cost import passes_per_image, training_rates
from ddrs_core.training import Gaussian, SigmaTraining, SmoothAdv, TrainConfig, Trainer
from ddrs_core.training.methods.base import TrainingMethod
from ddrs_core.training.methods.macer import Macer
from ddrs_core.training.monitor import Monitor

CPU = torch.device("cpu")


@pytest.mark.parametrize("sigmas", [None, SigmaTraining(steps=2, samples=3)])
@pytest.mark.parametrize(
    "method", [Gaussian(), SmoothAdv(attack_steps=2, copies=2), Macer(copies=3)]
)
def test_images_meet_the_network_as_often_as_told(
    method: TrainingMethod, sigmas: SigmaTraining | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Monitor, "is_due", lambda *_: False)  # what is only watched costs little
    config = TrainConfig(
        "digits", "digits_cnn", method, epochs=1, batch_size=250, data_dependent=sigmas
    )
    trainer = Trainer(config, CPU)
    seen = []
    trainer.classifier.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    for _ in trainer.steps():
        pass
    assert sum(seen) == passes_per_image(config) * trainer.batches * config.batch_size


def test_trials_are_timed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = list(training_rates("digits_cnn", get_dataset_info("digits"), CPU))
    assert torch.equal(torch.get_rng_state(), before)
    assert len(found) >= 3
    assert found == sorted(found)  # the fastest so far
    assert 0 < found[0] < math.inf
