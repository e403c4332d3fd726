"""Training learns, repeats itself, and leaves the rest of the process alone."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch

from ddrs_core.data import load_dataset
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError, UnknownNameError
from ddrs_core.models import Classifier, weights_digest
from ddrs_core.training import (
    BatchSummary,
    EpochSummary,
    TrainConfig,
    measure_accuracy,
    train_steps,
)

CPU = torch.device("cpu")
SHORT = TrainConfig("digits", "digits_cnn", "gaussian", 0.25, epochs=3, seed=1)


def train(config: TrainConfig) -> tuple[Classifier, list[BatchSummary | EpochSummary]]:
    steps = list(train_steps(config, CPU))
    last = steps[-1]
    assert isinstance(last, EpochSummary)
    assert last.classifier is not None
    return last.classifier, steps


@pytest.fixture(scope="module")
def trained() -> tuple[Classifier, list[BatchSummary | EpochSummary]]:
    return train(SHORT)


def test_a_few_epochs_learn(trained: tuple[Classifier, list[Any]]) -> None:
    accuracy = measure_accuracy(trained[0], "digits", (0.25,), copies=2)
    assert accuracy["clean"] > 0.85  # chance is 0.10
    assert accuracy["noise 0.25"] > 0.7
    epochs = [s for s in trained[1] if isinstance(s, EpochSummary)]
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].accuracy > epochs[0].accuracy


def test_every_batch_and_epoch_is_reported(trained: tuple[Classifier, list[Any]]) -> None:
    batches = [s for s in trained[1] if isinstance(s, BatchSummary)]
    epochs = [s for s in trained[1] if isinstance(s, EpochSummary)]
    per_epoch = 1297 // SHORT.batch_size
    assert len(batches) == 3 * per_epoch
    assert [e.epoch for e in epochs] == [1, 2, 3]
    assert [e.classifier is None for e in epochs] == [True, True, False]
    lrs = [e.lr for e in epochs]
    assert lrs[0] == SHORT.lr
    assert lrs == sorted(lrs, reverse=True)


def test_the_result_is_ready_to_use(trained: tuple[Classifier, list[Any]]) -> None:
    classifier = trained[0]
    assert not any(m.training for m in classifier.modules())
    assert not any(p.requires_grad for p in classifier.parameters())
    card = classifier.card
    assert card.digest == weights_digest(classifier.network)
    assert (card.name, card.method, card.sigma, card.seed) == (
        "digits-gaussian-0.25", "gaussian", 0.25, 1,
    )  # fmt: skip
    pixels = load_dataset("digits", "train").tensors()[0]
    assert card.normalization.mean[0] == pytest.approx(float(pixels.mean()), abs=1e-4)


def test_the_seed_decides(trained: tuple[Classifier, list[Any]]) -> None:
    short = dataclasses.replace(SHORT, epochs=1)
    first, again = train(short)[0], train(short)[0]
    other = train(dataclasses.replace(short, seed=2))[0]
    assert first.card.digest == again.card.digest
    assert len({first.card.digest, other.card.digest, trained[0].card.digest}) == 3


def test_the_global_generator_stays() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    steps = train_steps(SHORT, CPU)
    next(steps)
    next(steps)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_works_for_a_consumer_without_gradients() -> None:
    with torch.no_grad():
        steps = train_steps(SHORT, CPU)
        losses = [next(steps).loss for _ in range(8)]
    assert losses[-1] < losses[0]


def test_the_data_set_stays() -> None:
    images, labels = load_dataset("digits", "train").tensors()
    steps = train_steps(SHORT, CPU)
    for _ in range(3):
        next(steps)
    again, labels_again = load_dataset("digits", "train").tensors()
    assert torch.equal(images, again)
    assert torch.equal(labels, labels_again)


def test_measuring_repeats_itself(trained: tuple[Classifier, list[Any]]) -> None:
    first = measure_accuracy(trained[0], "digits", (0.5,), copies=2)
    assert first == measure_accuracy(trained[0], "digits", (0.5,), copies=2)
    assert set(first) == {"clean", "noise 0.50"}


def test_names_that_are_not_there() -> None:
    for changes, near in (
        ({"method": "gausian"}, "gaussian"),
        ({"dataset": "digit"}, "digits"),
        ({"architecture": "digits_cn"}, "digits_cnn"),
    ):
        with pytest.raises(UnknownNameError, match=near):
            train_steps(dataclasses.replace(SHORT, **changes), CPU)


@pytest.mark.parametrize(
    "changes",
    [
        {"sigma": 0.0}, {"sigma": math.nan}, {"lr": 0.0}, {"lr": math.inf}, {"epochs": 0},
        {"batch_size": 1}, {"batch_size": 5000}, {"momentum": 1.5}, {"momentum": math.nan},
        {"weight_decay": -1.0}, {"seed": -1}, {"seed": 2**70},
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        train_steps(dataclasses.replace(SHORT, **changes), CPU)


def test_an_architecture_for_other_images() -> None:
    with pytest.raises(MismatchError, match="cifar_resnet20"):
        train_steps(dataclasses.replace(SHORT, architecture="cifar_resnet20"), CPU)


def test_without_momentum() -> None:
    assert next(train_steps(dataclasses.replace(SHORT, momentum=0.0), CPU)).loss > 0


def test_all_errors_are_ours() -> None:
    assert issubclass(MismatchError, DDRSError)
