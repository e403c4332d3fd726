"""``models`` and models by their path: somebody's checkpoint on the command line."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import re
import shutil
from pathlib import Path
from threading import Thread

import pytest
import torch
from safetensors.torch import save_file

from ddrs_core.data import load_dataset
from ddrs_core.models import (
    Classifier,
    Robustness,
    get_card,
    load_model,
    registry,
    robustness,
    spread_images,
    with_card,
)
from ddrs_core.models.checkpoint import read_card, write_card
from ddrs_core.models.importing import sandbox
from ddrs_core.runs.logs.reading import read_log
from ddrs_core.runs.results.comparison import certified_accuracy

CERTIFY = (
    "certify",
    "--dataset",
    "digits",
    "--method",
    "fixed",
    "--sigma",
    0.25,
    "--n",
    100,
    "--limit",
    3,
    "--device",
    "cpu",
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were given to a child process to read; this process stands in for
    it, since a child takes seconds to start (tests/models/importing/test_sandbox.py has real ones).
    """
    names: list[str] = []

    def run(path: Path, out: Path, *_: object) -> int:
        names.append(path.name)
        sandbox.answer(path, out)
        return 0

    monkeypatch.setattr(sandbox, "_run_child", run)
    return names


def layouts(model: Classifier) -> dict[str, object]:
    """The shipped digits network in everybody's layout."""
    state = {k: v.clone() for k, v in model.network.state_dict().items()}

    def named(prefix: str) -> dict[str, torch.Tensor]:
        return {prefix + name: tensor for name, tensor in state.items()}

    return {
        "cohen": {"epoch": 90, "arch": "digits_cnn", "state_dict": named("1."), "optimizer": {}},
        "smoothadv": {
            "epoch": 9,
            "arch": "digits_cnn",
            "state_dict": named("1.module."),
            "optimizer": {"state": {}, "param_groups": []},
        },
        "macer": {"net": state, "epoch": 440},
        "authors": {"epoch": 5, "state_dict": named("module."), "optimizer_param": {}},
        "plain": state,
        "parallel": named("module."),
    }


def rows_of(text: str) -> list[list[str]]:
    """The certificates without their times and without the name-dependent digest."""
    lines = [line.split("\t") for line in text.splitlines() if "\t" in line]
    time = lines[0].index("time")
    return [row[:time] + row[time + 1 :] for row in lines]


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout", ["cohen", "smoothadv", "macer", "authors", "plain", "parallel", "safetensors"]
)
def test_every_layout_gives_the_certificates_of_the_model_itself(
    command, model, read, tmp_path, layout
) -> None:
    path = tmp_path / "best.pth.tar"
    if layout == "safetensors":
        save_file(model.network.state_dict(), path)
    else:
        torch.save(layouts(model)[layout], path)
    expected = command(*CERTIFY, "--model", "digits-gaussian-0.25", "--precision", "fp32")
    found = command(*CERTIFY, "--model", path, "--arch", "digits_cnn", "--precision", "fp32")
    assert found.code == 0, found.err
    assert "normalisation 'digits'" in found.err
    assert rows_of(found.out) == rows_of(expected.out)
    assert read == [path.name]


@pytest.mark.slow
def test_inspect_says_in_about_ten_lines_what_a_file_is(command, model, tmp_path) -> None:
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(layouts(model)["cohen"], path)
    outcome = command("models", "inspect", path)
    assert outcome.code == 0, outcome.err
    assert 8 <= len(outcome.out.splitlines()) <= 16
    for words in (
        "Cohen / SmoothAdv",
        "epoch: 90",
        "digits_cnn",
        "classes: 10",
        "'1.'",
        "normalisation",
        "digest",
    ):
        assert words in outcome.out
    data = json.loads(command("models", "inspect", path, "--json").out)
    assert data["architectures"] == ["digits_cnn"]
    assert data["normalizations"][0]["name"] == "digits"


@pytest.mark.slow
def test_add_use_and_remove(command, model, tmp_path) -> None:
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(layouts(model)["cohen"], path)
    added = command("models", "add", path, "--name", "mine", "--sigma", 0.25)
    assert added.code == 0, added.err
    assert "under noise" in added.out
    assert "mine" in command("models").out
    assert command(*CERTIFY, "--model", "mine").code == 0
    assert command("models", "remove", "mine").code == 0
    assert "'mine'" in command(*CERTIFY, "--model", "mine").err


def test_without_a_name_it_is_called_after_file_and_digest(command, model, tmp_path) -> None:
    path = tmp_path / "my net (1).pth.tar"
    torch.save(layouts(model)["plain"], path)
    card = json.loads(command("models", "add", path, "--json").out)
    assert re.fullmatch(r"my-net-1-[0-9a-f]{8}", card["name"])
    assert card["digest"].startswith(card["name"][-8:])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "nowhere.pth"), "nowhere.pth"),
        (("--model", "digits-gaussian-0.25", "--arch", "digits_cnn"), "checkpoint file"),
        (("--model", "FILE", "--arch", "digit_cnn"), "'digits_cnn'"),
        (("--model", "FILE", "--arch", "cifar_resnet110"), "cifar_resnet110"),
        (("--model", "FILE", "--normalization", "digit"), "'digits'"),
        (("--model", "TEXT"), "text.pth"),
    ],
)
def test_wrong_input(command, model, tmp_path, words, said) -> None:
    torch.save(layouts(model)["plain"], tmp_path / "good.pth")
    (tmp_path / "text.pth").write_text("not weights")
    places = {"FILE": tmp_path / "good.pth", "TEXT": tmp_path / "text.pth"}
    outcome = command(*CERTIFY, *(places.get(w, w) for w in words))
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.slow
def test_certify_warns_of_a_network_that_does_not_bear_noise(command, model, tmp_path) -> None:
    path = tmp_path / "plain.pth"
    torch.save(layouts(model)["plain"], path)
    assert command("models", "add", path, "--name", "mine", "--sigma", 0).code == 0
    card = get_card("mine")
    clean = "warning: It does not bear noise of sigma 0.12"
    assert clean not in command(*CERTIFY, "--model", path).err
    for share, warns in ((0.2, True), (0.8, False)):
        accuracy = {0.0: 0.9, 0.12: share, 0.25: 0.7, 0.5: 0.6}
        robustness._remember(Robustness(card.digest, "digits", 100, 4, accuracy), card)
        for name in ("mine", path):  # in the library, or by its path
            outcome = command(*CERTIFY, "--model", name)
            assert outcome.code == 0, outcome.err
            assert (clean in outcome.err) is warns


def test_certify_warns_of_a_level_above_that_of_the_training(command, model) -> None:
    card = dataclasses.replace(model.card, accuracy={}, sigma=0.12)
    accuracy = {0.0: 0.9, 0.12: 0.9, 0.25: 0.4, 0.5: 0.1}
    robustness._remember(Robustness(card.digest, "digits", 100, 4, accuracy), card)
    own = copy.deepcopy(load_model(model.card.name, "cpu"))  # others hold the same model
    registry.attach_model(with_card(own, name="mine", sigma=0.12, accuracy={}))
    for sigma, warns in ((0.12, False), (0.25, True)):
        words = [sigma if word == 0.25 else word for word in CERTIFY]
        outcome = command(*words, "--model", "mine")
        assert ("warning: It does not bear noise of sigma 0.25" in outcome.err) is warns


@pytest.mark.slow
def test_a_model_without_noise_has_no_level_to_certify_at(command, model, tmp_path) -> None:
    folder = tmp_path / "sigma1"
    folder.mkdir()
    torch.save(layouts(model)["plain"], folder / "plain.pth")
    assert command("models", "add", folder / "plain.pth", "--name", "a", "--sigma", 0).code == 0
    outcome = command("certify", "--dataset", "digits", "--model", "a", "--method", "fixed")
    assert outcome.code == 2
    assert "was trained without noise: add --sigma" in outcome.err
    added = json.loads(command("models", "add", folder / "plain.pth", "--json").out)
    assert added["sigma"] == pytest.approx(0.25, abs=0.02)  # measured, whatever the folder's name


@pytest.mark.slow
def test_a_checkpoint_certifies_a_picture_that_has_no_label(command, model, tmp_path) -> None:
    from PIL import Image

    Image.new("L", (33, 21), 200).save(tmp_path / "grey.png")
    torch.save(layouts(model)["plain"], tmp_path / "plain.pth")
    outcome = command(
        "certify",
        "--dataset",
        tmp_path / "grey.png",
        "--model",
        tmp_path / "plain.pth",
        "--method",
        "fixed",
        "--sigma",
        0.25,
        "--n",
        100,
        "--json",
    )
    assert outcome.code == 0, outcome.err


def test_a_picture_is_certified_by_its_path(command, tmp_path) -> None:
    from PIL import Image

    Image.new("L", (33, 21), 200).save(tmp_path / "grey.png")
    outcome = command(
        "certify",
        "--dataset",
        tmp_path / "grey.png",
        "--model",
        "digits-gaussian-0.25",
        "--method",
        "fixed",
        "--sigma",
        0.25,
        "--n",
        100,
        "--json",
    )
    assert outcome.code == 0, outcome.err
    data = json.loads(outcome.out)
    assert data["summary"]["labelled"] == 0
    (certificate,) = data["certificates"]
    assert certificate["label"] is None
    assert sum(certificate["counts"]) == 100


def test_published_weights_are_listed_and_their_absence_is_said(command) -> None:
    names = {w["name"] for w in json.loads(command("models", "published", "--json").out)}
    assert "torchvision-resnet50-imagenet1k_v2" in names
    outcome = command(*CERTIFY, "--model", "torchvision-resnet50-imagenet1k_v2")
    assert outcome.code == 2
    assert "models download torchvision-resnet50-imagenet1k_v2" in outcome.err
    assert command("models", "download", "torchvision-resnet51").code == 2


def test_a_pipe_is_no_model_and_nobody_waits_for_it(command, tmp_path) -> None:
    path = tmp_path / "model.pt"
    os.mkfifo(path)
    done: list[object] = []
    thread = Thread(target=lambda: done.append(command("models", "inspect", path)), daemon=True)
    thread.start()
    thread.join(60)
    (outcome,) = done
    assert (outcome.code, "is a named pipe, not a file" in outcome.err) == (2, True)


def test_a_card_says_what_is_known_and_certifies_on_demand(command, tmp_path: Path) -> None:
    for path in registry.ASSETS.glob("digits-macer-0.25.*"):
        shutil.copy(path, tmp_path)
    weights = tmp_path / "digits-macer-0.25.safetensors"
    write_card(dataclasses.replace(read_card(weights), certified={}), weights)
    before = command("models", "card", weights).out
    assert "trained by macer at sigma 0.25, 80 epochs in " in before
    assert "certified accuracy: not measured" in before
    after = command("models", "card", weights, "--certify", "--device", "cpu")
    assert "Certifying with digits-macer-0.25" in after.err
    found = read_card(weights).certified
    assert found["radii"] == [0.0, 0.25, 0.5]  # 1,000 votes at 0.25 prove 0.62 at most
    pairs = zip(found["radii"], found["accuracy"], strict=True)
    said = ", ".join(f"{r:g}: {share:.3f}" for r, share in pairs)
    assert f"N = 1,000, alpha = 0.001, one-sided, sigma 0.25: {said}" in after.out

    chosen = spread_images(load_dataset("digits", "test"), 100)
    log = tmp_path / "same.tsv"
    command(
        *("certify", "--dataset", "digits", "--model", weights, "--method", "fixed"),
        *("--sigma", 0.25, "--n", 1000, "--bound", "one-sided", "--index", *chosen),
        *("--device", "cpu", "--out", log),
    )
    results = read_log(log)
    assert list(certified_accuracy(results, found["radii"])) == pytest.approx(found["accuracy"])


def test_a_published_figure_stands_beside_its_like(command) -> None:
    said = command("models", "card", "cifar10-resnet20-gaussian-0.50").out
    assert "Cohen, ResNet-20, sigma 0.50 (published)" in said
    assert "0: 0.670, 0.25: 0.554, 0.5: 0.428" in said


def test_a_model_without_noise_has_no_sigma_to_certify_at(command, tmp_path: Path) -> None:
    weights = tmp_path / "bare.safetensors"
    shutil.copy(registry.ASSETS / "digits-macer-0.25.safetensors", weights)
    write_card(dataclasses.replace(get_card("digits-macer-0.25"), name="bare", sigma=0.0), weights)
    refused = command("models", "card", weights, "--certify")
    assert refused.code == 2
    assert "bare was trained without noise" in refused.err
