"""Architectures, shipped models, and what fits together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from ddrs_core.data import list_datasets
from ddrs_core.data.builtin import cifar10, digits
from ddrs_core.errors import (
    CheckpointError,
    InvalidParameterError,
    MismatchError,
    UnknownNameError,
)
from ddrs_core.models import (
    build_classifier,
    check_fit,
    get_card,
    list_models,
    load_model,
    registry,
    save_checkpoint,
    weights_digest,
)
from ddrs_core.models.architectures import get_architecture, list_architectures
from ddrs_core.models.architectures.cifar_resnet import CifarResNet

SHIPPED = ["digits-gaussian-0.25", "digits-gaussian-0.50"]


def test_resnet20_has_the_published_size() -> None:
    # He et al. (2016), table 6: 0.27 M parameters; option-A shortcuts have none.
    network = get_architecture("cifar_resnet20").build(10, 3)
    assert sum(p.numel() for p in network.parameters()) == 269_722
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) + 1 == 20  # and the final linear layer


@pytest.mark.parametrize("architecture", list_architectures(), ids=lambda a: a.name)
@pytest.mark.parametrize("classes", [2, 10])
def test_architectures_give_logits(architecture, classes: int) -> None:
    network = architecture.build(classes, architecture.shape[0]).eval()
    with torch.no_grad():
        assert network(torch.rand(3, *architecture.shape)).shape == (3, classes)


@pytest.mark.parametrize("depth", [2, 10, 21])
def test_resnet_depths_are_6n_plus_2(depth: int) -> None:
    with pytest.raises(InvalidParameterError, match=str(depth)):
        CifarResNet(depth)


def test_unknown_names_propose_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="cifar_resnet20"):
        get_architecture("cifar_resnet2")
    with pytest.raises(UnknownNameError, match=r"digits-gaussian-0\.25"):
        get_card("digits-gausian-0.25")
    with pytest.raises(UnknownNameError):
        load_model("../../etc/passwd")


def test_the_shipped_models_are_listed_in_order() -> None:
    names = [card.name for card in list_models()]
    assert [n for n in names if n in SHIPPED] == SHIPPED
    assert names == sorted(names, key=lambda n: ("-ds" in n, n))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_what_its_card_says(name: str) -> None:
    model = load_model(name, "cpu")
    card = model.card
    assert card.name == name
    assert card.method == "gaussian"
    assert name.endswith(f"{card.sigma:.2f}")
    assert card.digest == weights_digest(model.network)
    assert card.parameters == sum(p.numel() for p in model.network.parameters())
    assert f"--sigma {card.sigma:g}" in card.command
    assert f"--seed {card.seed}" in card.command
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


def test_a_model_is_loaded_once() -> None:
    assert load_model(SHIPPED[0], "cpu") is load_model(SHIPPED[0], "cpu")


def test_every_shipped_model_fits_its_data_set() -> None:
    infos = {info.name: info for info in (digits.INFO, cifar10.INFO)}
    for card in list_models():
        check_fit(card, infos[card.dataset])


def test_what_does_not_fit_is_said() -> None:
    card, info = get_card(SHIPPED[0]), list_datasets()[0]
    with pytest.raises(MismatchError, match="3 x 32 x 32"):
        check_fit(dataclasses.replace(card, shape=(3, 32, 32)), info)
    with pytest.raises(MismatchError, match="100 classes"):
        check_fit(dataclasses.replace(card, num_classes=100), info)


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models with one that works and one, ``broken``, that a test may damage."""
    card = get_card(SHIPPED[0])
    monkeypatch.setattr(registry, "ASSETS", tmp_path)
    for name in ("good", "broken"):
        save_checkpoint(build_classifier(dataclasses.replace(card, name=name)), tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("broken.json", b"{", "cannot be read"),
        ("broken.json", b"[" * 100_000, "cannot be read"),
        ("broken.json", b"\xff\xfe", "cannot be read"),
        ("broken.json", b'{"name": "broken"}', "not usable"),
        ("broken.json", None, "no card"),
        ("broken.safetensors", b"", "safetensors"),
        ("broken.safetensors", b"garbage" * 100, "safetensors"),
    ],
)
def test_a_damaged_model_is_left_out_and_named_when_asked_for(
    assets: Path, caplog: pytest.LogCaptureFixture, file: str, content: bytes | None, said: str
) -> None:
    assert [card.name for card in list_models()] == ["broken", "good"]
    if content is None:
        (assets / file).unlink()
    else:
        (assets / file).write_bytes(content)
    for _ in range(3):
        assert [card.name for card in list_models()] == ["good"]
    assert len(caplog.records) == 1  # pages ask many times a second
    assert "broken" in caplog.text
    for open_it in (get_card, lambda name: load_model(name, "cpu")):
        with pytest.raises(CheckpointError, match=said) as caught:
            open_it("broken")
        assert file in str(caught.value)
    assert get_card("good").name == "good"
    with pytest.raises(UnknownNameError, match="good"):
        get_card("god")


def test_cut_off_weights_and_cards_of_other_models(assets: Path) -> None:
    weights = assets / "broken.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    assert [card.name for card in list_models()] == ["good"]
    weights.write_bytes(whole)
    assert len(list_models()) == 2  # mended
    (assets / "broken.json").write_bytes((assets / "good.json").read_bytes())
    with pytest.raises(CheckpointError, match="'good'"):
        get_card("broken")
