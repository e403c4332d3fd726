"""What is certified while a network is trained."""

from __future__ import annotations

from dataclasses import replace

import torch

from ddrs_core.data import load_dataset
from ddrs_core.models import NoisyForward, load_model
from ddrs_core.smoothing import SmoothedClassifier
from ddrs_core.training import EpochSummary, Trainer, recipe
from ddrs_core.training.monitor import BUDGET, IMAGES, Monitor

CONFIG = recipe("digits", "digits_cnn", "gaussian", 0.5, epochs=30, name="net")


def test_it_costs_a_tenth_of_the_training_at_most() -> None:
    due = [epoch for epoch in range(1, 31) if Monitor(CONFIG, 1_297).is_due(epoch)]
    assert due[0] == 1
    assert due[-1] == 30
    passes = len(due[1:-1]) * IMAGES * (BUDGET.n0 + BUDGET.n)
    assert passes <= 0.1 * 30 * 3 * 1_297
    assert all(Monitor(CONFIG, 50_000).is_due(epoch) for epoch in range(1, 31))


def test_it_says_what_certificates_say_and_leaves_the_network_alone(one_thread: None) -> None:
    classifier = load_model("digits-gaussian-0.50", "cpu").train()
    before = {name: t.clone() for name, t in classifier.state_dict().items()}
    found = Monitor(CONFIG, 1_297).measure(classifier, {})
    assert classifier.training
    for name, tensor in classifier.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    smoothed = SmoothedClassifier(NoisyForward(classifier.eval()), 10)
    digits = load_dataset("digits", "test")
    read = digits.read([round(i) for i in torch.linspace(0, 499, IMAGES).tolist()])
    *_, last = smoothed.certify_batch(
        read.images,
        sigmas=[0.5] * IMAGES,
        budget=replace(BUDGET, n=4_000, seed=1),
        labels=read.labels.tolist(),
    )
    exact = [
        sum(bool(c.correct) and c.radius >= r for c in last.certificates) / IMAGES
        for r in found.radii
    ]
    assert found.radii == (0.25, 0.5)
    for share, wanted in zip(found.certified, exact, strict=True):
        assert wanted - 0.3 <= share <= wanted + 0.07  # fewer votes prove less
    assert abs(found.smoothed - sum(bool(c.correct) for c in last.certificates) / IMAGES) < 0.12


def test_an_average_takes_the_place_of_the_weights(one_thread: None) -> None:
    classifier = load_model("digits-gaussian-0.50", "cpu")
    zero = {
        name: torch.zeros_like(t)
        for name, t in classifier.network.state_dict().items()
        if t.is_floating_point() and name.endswith("weight")
    }
    found = Monitor(CONFIG, 1_297).measure(classifier, zero)
    assert found.certified[-1] <= 0.2  # one class for everything
    assert Monitor(CONFIG, 1_297).measure(classifier, {}).clean > 0.8


def test_the_last_epoch_is_always_measured(one_thread: None) -> None:
    config = replace(CONFIG, epochs=3)
    steps = Trainer(config, torch.device("cpu")).steps()
    epochs = [step for step in steps if isinstance(step, EpochSummary)]
    assert [e.smoothed is not None for e in epochs] == [True, False, True]
