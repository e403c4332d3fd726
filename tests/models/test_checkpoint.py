"""Model files: what is written is read back, and what is damaged is refused in words."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ddrs_core.errors import CheckpointError, DDRSError, UnknownNameError
from ddrs_core.models import (
    Classifier,
    ModelCard,
    Normalization,
    build_classifier,
    load_checkpoint,
    read_card,
    save_checkpoint,
    weights_digest,
)

CARD = ModelCard(
    name="tiny",
    architecture="digits_cnn",
    dataset="digits",
    num_classes=10,
    shape=(1, 8, 8),
    normalization=Normalization((0.3,), (0.4,)),
    method="gaussian",
    sigma=0.25,
    accuracy={"clean": 0.5},
    seed=3,
)


@pytest.fixture
def classifier() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = build_classifier(CARD)
        built.train()
        built(torch.rand(64, 1, 8, 8))  # moves the statistics of batch-norm
    return built.eval()


@pytest.fixture
def path(classifier: Classifier, tmp_path: Path) -> Path:
    return save_checkpoint(classifier, tmp_path / "new" / "folder")


def edit_card(path: Path, **changes: Any) -> None:
    card = path.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), **changes}))


def edit_weights(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    state = load_file(path)
    change(state)
    save_file(state, path)


def test_round_trip(classifier: Classifier, path: Path) -> None:
    loaded = load_checkpoint(path)
    x = torch.rand((16, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded(x), classifier(x))
    assert loaded.card == classifier.card == read_card(path)
    assert loaded.card.digest == weights_digest(loaded.network)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_folder_gets_one_model_with_its_card(path: Path) -> None:
    assert sorted(p.name for p in path.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_noise_is_added_before_the_normalisation(classifier: Classifier) -> None:
    x = torch.rand((2, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(classifier(x), classifier.network((x - 0.3) / 0.4))


def test_the_digest_sees_every_weight(classifier: Classifier) -> None:
    before = weights_digest(classifier.network)
    with torch.no_grad():
        next(iter(classifier.network.parameters())).flatten()[0] += 1e-6
    assert weights_digest(classifier.network) != before


def test_another_file_than_the_card_describes(path: Path) -> None:
    edit_card(path, digest="0123456789abcdef")
    with pytest.raises(CheckpointError, match="digest"):
        load_checkpoint(path)


@pytest.mark.parametrize("size", [0, 4, 100, 20_000])
def test_a_truncated_file(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"tiny\.safetensors"):
        load_checkpoint(path)


def test_a_missing_file_or_card(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="card"):
        load_checkpoint(tmp_path / "nowhere.safetensors")
    path.with_suffix(".json").unlink()
    with pytest.raises(CheckpointError, match=r"tiny\.json"):
        load_checkpoint(path)


def test_weights_missing_beside_a_card(path: Path) -> None:
    path.unlink()
    with pytest.raises(CheckpointError, match="tiny"):
        load_checkpoint(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(path: Path, value: float) -> None:
    edit_weights(path, lambda s: s["features.0.weight"].view(-1)[3].fill_(value))
    with pytest.raises(CheckpointError, match="finite"):
        load_checkpoint(path)


def test_changed_weights_are_noticed(path: Path) -> None:
    edit_weights(path, lambda s: s["features.0.weight"].view(-1)[3].add_(0.5))
    with pytest.raises(CheckpointError, match="digest"):
        load_checkpoint(path)


def test_weights_of_another_architecture(path: Path) -> None:
    edit_card(path, architecture="cifar_resnet20", shape=[3, 32, 32])
    with pytest.raises(CheckpointError, match="cifar_resnet20"):
        load_checkpoint(path)


def test_weights_missing_in_the_file(path: Path) -> None:
    edit_weights(path, lambda s: s.__delitem__("features.0.weight"))
    with pytest.raises(CheckpointError, match=r"features\.0\.weight"):
        load_checkpoint(path)


def test_an_unknown_architecture_proposes_a_near_one(path: Path) -> None:
    edit_card(path, architecture="digit_cnn")
    with pytest.raises(UnknownNameError, match="digits_cnn"):
        load_checkpoint(path)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '"a"', "null", "{}", '{"name": "x"}', "\x00"])
def test_cards_that_are_no_cards(path: Path, text: str) -> None:
    path.with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_classes": "ten"},
        {"num_classes": -1},
        {"num_classes": 10**12},
        {"shape": [1, 8]},
        {"shape": "big"},
        {"shape": [0, 8, 8]},
        {"normalization": {"mean": ["a"], "std": [1.0]}},
        {"normalization": {"mean": [0.1], "std": [0.0]}},
        {"normalization": {"mean": [0.1, 0.2], "std": [1.0, 1.0]}},
        {"normalization": 3},
        {"architecture": 7},
        {"accuracy": "good"},
        {"certified": {"radii": [0.0, 0.25], "accuracy": [0.9]}},
        {
            "certified": {
                "radii": ["0"],
                "accuracy": [0.9],
                "images": 1,
                "n": 1,
                "alpha": 0.1,
                "sigma": 1,
                "bound": "one-sided",
            }
        },
        {"sigma": "large"},
        {"unknown_field": 1},
    ],
)
def test_hostile_cards(path: Path, changes: dict[str, Any]) -> None:
    edit_card(path, **changes)
    with pytest.raises(DDRSError):
        load_checkpoint(path)


def test_bytes_that_are_not_text(path: Path) -> None:
    path.with_suffix(".json").write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(CheckpointError):
        read_card(path)


def test_a_card_survives_json() -> None:
    text = json.dumps(CARD.to_dict())
    assert ModelCard.from_dict(json.loads(text)) == CARD
    assert dataclasses.replace(CARD, name="other") != CARD
