"""The models that come with the program are what their names, cards and logs say."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from ddrs_core.models import get_card, list_models, load_model
from ddrs_core.models.registry import ASSETS
from ddrs_core.runs.training.log import log_digest, read_training_log
from ddrs_core.training import measure_accuracy, measure_certified

DIGITS = [
    f"digits-{method}{kind}-{sigma}"
    for method, kind, sigma in product(
        ("gaussian", "smoothadv", "macer", "consistency"), ("", "-ds2"), ("0.25", "0.50")
    )
]
CIFAR10 = [
    "cifar10-resnet20-gaussian-0.12",
    "cifar10-resnet20-gaussian-0.25",
    "cifar10-resnet20-gaussian-0.50",
    "cifar10-resnet20-smoothadv-0.25",
    "cifar10-resnet20-macer-0.25",
    "cifar10-resnet20-gaussian-ds2-0.25",
    "cifar10-resnet20-smoothadv-ds2-0.25",
    "cifar10-resnet20-macer-ds2-0.25",
    "cifar10-resnet20-consistency-0.50",
]
SUITE = [*DIGITS, *CIFAR10]
MEGABYTES = 15


def log_of(name: str) -> Path:
    return ASSETS / f"{name}.log.jsonl"


def test_every_model_of_the_suite_is_listed() -> None:
    assert set(SUITE) <= {card.name for card in list_models()}


@pytest.mark.parametrize("name", SUITE)
def test_name_card_and_log_agree(name: str) -> None:
    card = get_card(name)
    method, sigma = card.method, f"{card.sigma:.2f}"
    data_dependent = card.training["data_dependent"] is not None
    assert name.endswith(f"-{method}{'-ds2' if data_dependent else ''}-{sigma}")
    assert card.training["method"]["name"] == method
    record = read_training_log(log_of(name))
    assert log_digest(log_of(name)) == card.log_digest
    assert record.config == card.training
    assert [e.epoch for e in record.epochs] == list(range(1, card.training["epochs"] + 1))
    assert all((e.sigma is not None) == data_dependent for e in record.epochs)
    assert f"--method {method}" in card.command
    assert ("--data-dependent" in card.command) == data_dependent


@pytest.mark.parametrize("name", DIGITS)
def test_accuracy_is_that_of_the_card(name: str) -> None:
    card = get_card(name)
    sigma = card.sigma or 0.0
    found = measure_accuracy(load_model(name, "cpu"), "digits", (sigma,), copies=5)
    assert found[f"noise {sigma:.2f}"] > 0.7  # chance is 0.1
    for noise, share in found.items():
        assert share == pytest.approx(card.accuracy[noise], abs=0.005)  # bf16 here, fp32 there


@pytest.mark.parametrize("name", ["digits-gaussian-0.50", "digits-consistency-ds2-0.25"])
def test_certified_accuracy_is_that_of_the_card(name: str) -> None:
    card = get_card(name)
    classifier = load_model(name, "cpu")
    found = measure_certified(classifier, "digits", card.sigma or 0.0, precision="fp32")
    assert found["radii"] == card.certified["radii"]
    assert found["accuracy"] == pytest.approx(card.certified["accuracy"], abs=0.03)  # bf16 there


def test_every_card_has_certified_accuracy() -> None:
    for name in SUITE:
        found = get_card(name).certified
        assert (found["images"], found["n"], found["sigma"]) == (100, 1000, get_card(name).sigma)


def test_the_suite_is_small() -> None:
    size = sum(path.stat().st_size for path in ASSETS.iterdir())
    assert size < MEGABYTES * 2**20
