"""From somebody's file to a model in the pickers: proposals, fitting, keeping, noise."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ddrs_core.data import Dataset, DatasetInfo, load_dataset
from ddrs_core.data.user import datasets as added
from ddrs_core.errors import CheckpointError, InvalidParameterError, MismatchError, UnknownNameError
from ddrs_core.models import (
    Classifier,
    ModelCard,
    NoisyForward,
    Normalization,
    Robustness,
    accept,
    add_model,
    attach_model,
    build_classifier,
    check_fit,
    class_names,
    find_robustness,
    get_card,
    keep_upload,
    list_models,
    load_model,
    measure_robustness,
    open_for_model,
    propose,
    registry,
    remove_model,
    spread_images,
    with_card,
)
from ddrs_core.models import user_models as library
from ddrs_core.models.importing import normalizations
from ddrs_core.models.importing import proposal as proposal_module
from ddrs_core.models.importing.proposal import IN_FILE, sigma_in
from ddrs_core.models.importing.read import read_here
from ddrs_core.models.robustness import robustness_on_card


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def checkpoint(model: Classifier, tmp_path: Path) -> Path:
    """The shipped digits network, trained with the normalisation "digits", as Cohen et al.'s code
    writes files: the normalisation layer comes first and is not in the file."""
    state = {f"1.{name}": tensor for name, tensor in model.network.state_dict().items()}
    path = tmp_path / "checkpoint.pth.tar"
    content = {"epoch": 90, "arch": "digits_cnn", "state_dict": state, "optimizer": {}}
    torch.save(content, path)
    return path


def test_the_right_normalisation_is_proposed(checkpoint: Path, model: Classifier) -> None:
    proposal = propose(read_here(checkpoint))
    assert (proposal.architecture, proposal.dataset) == ("digits_cnn", "digits")
    assert proposal.normalization == "digits"
    assert proposal.sigma == pytest.approx(0.25, abs=0.02)  # the weights tell it
    assert "sigma 0.25" in proposal.advice
    assert not proposal.near_chance
    assert not proposal.equals
    assert proposal.trials[0].accuracy > 0.95
    x = torch.rand((16, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    built = accept(proposal, "mine")
    torch.testing.assert_close(built(x), model(x), atol=1e-5, rtol=0)
    assert (built.card.name, built.card.dataset) == ("mine", "digits")
    assert "Cohen" in built.card.origin


def test_another_normalisation_can_be_chosen(checkpoint: Path, model: Classifier) -> None:
    proposal = propose(read_here(checkpoint))
    built = accept(proposal, "mine", normalization="none", sigma=0.5, method="gaussian")
    assert built.card.normalization.std == (1.0,)
    assert (built.card.sigma, built.card.method) == (0.5, "gaussian")
    with pytest.raises(UnknownNameError, match="digits"):
        accept(proposal, "mine", normalization="digit")


def test_a_normalisation_in_the_file_wins(model: Classifier, tmp_path: Path) -> None:
    state = {f"1.{name}": tensor for name, tensor in model.network.state_dict().items()}
    state |= {"0.mean": torch.tensor([0.3052]), "0.std": torch.tensor([0.376])}
    torch.save(state, tmp_path / "whole.pth")
    proposal = propose(read_here(tmp_path / "whole.pth"))
    assert proposal.normalization == proposal.trials[0].name == IN_FILE
    assert accept(proposal, "mine").card.normalization.mean == pytest.approx((0.3052,))


def test_an_untrained_network_is_flagged(tmp_path: Path) -> None:
    network = registry.load_model("digits-gaussian-0.25", "cpu").network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        state = {
            k: torch.randn_like(v) if v.is_floating_point() and "var" not in k else v
            for k, v in network.state_dict().items()
        }
    torch.save(state, tmp_path / "noise.pth")
    proposal = propose(read_here(tmp_path / "noise.pth"))
    assert proposal.near_chance
    assert "guessing" in proposal.advice


def test_a_data_set_that_does_not_fit_is_refused(checkpoint: Path) -> None:
    raw = read_here(checkpoint)
    with pytest.raises(UnknownNameError):
        propose(raw, dataset="digitz")
    with pytest.raises(CheckpointError, match="cifar_resnet20"):
        propose(raw, architecture="cifar_resnet20")


@pytest.mark.parametrize(
    ("name", "sigma"),
    [
        ("resnet110_noise_0.25.pth.tar", 0.25),
        ("noise_1.00", 1.0),
        ("sigma-0.5.pt", 0.5),
        ("noise_0.12-again-sigma=.25.pth", 0.25),
        ("checkpoint.pth.tar", None),
        ("noise_100.pth", None),
    ],
)
def test_names_tell_the_training_noise(name: str, sigma: float | None) -> None:
    assert sigma_in(name) == sigma


@pytest.mark.parametrize(
    ("name", "sigma", "words"),
    [
        ("noise_0.25/net.pth", 0.25, ""),
        ("sigma1/net.pth", 0.25, ""),  # folders are named after anything
        ("net_sigma_0.25.pth", 0.25, ""),
        ("net_sigma_1.pth", 0.25, "sigma 1, but its first batch-norm says 0.25"),
    ],
)
def test_the_measured_noise_is_believed_and_a_contradicting_name_is_said(
    model: Classifier, tmp_path: Path, name: str, sigma: float, words: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    torch.save(model.network.state_dict(), path)
    proposal = propose(read_here(path))
    assert accept(proposal, "mine").card.sigma == pytest.approx(sigma, abs=0.02)
    assert words in proposal.noise
    assert bool(words) == bool(proposal.noise)
    assert proposal.noise in proposal.advice


@pytest.mark.parametrize(
    ("told", "collapses", "sigma", "words"),
    [
        (1.0, True, None, "sigma 1, but of 90% right without noise, 20% are left at sigma 0.12"),
        (1.0, False, 1.0, ""),
        (1.0, None, 1.0, "name alone"),
        (0.0, True, 0.0, ""),
        (None, True, None, ""),
    ],
)
def test_without_a_first_batch_norm_the_accuracy_under_noise_is_asked(
    told: float | None, collapses: bool | None, sigma: float | None, words: str
) -> None:
    robustness = None
    if collapses is not None:
        share = 0.2 if collapses else 0.9
        accuracy = {0.0: 0.9, 0.12: share, 0.25: share, 0.5: share}
        robustness = Robustness("x", "digits", 100, 4, accuracy)
    found, said = proposal_module._noise(told, None, robustness)
    assert found == sigma
    assert words in said
    assert bool(words) == bool(said)


def test_normalisations_that_do_equally_well_are_named(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = Normalization((0.3055,), (0.3755,))
    candidates = {**normalizations.list_normalizations(1), "near": near}
    monkeypatch.setitem(normalizations._CANDIDATES, 1, candidates)
    proposal = propose(read_here(checkpoint))
    assert {proposal.normalization, *proposal.equals} == {"digits", "near"}
    assert repr(proposal.equals[0]) in proposal.advice


def test_a_normalisation_in_the_file_that_fails_is_not_proposed(
    model: Classifier, tmp_path: Path
) -> None:
    state = {f"1.{name}": tensor for name, tensor in model.network.state_dict().items()}
    state |= {"0.mean": torch.tensor([1.4]), "0.std": torch.tensor([0.02])}
    torch.save(state, tmp_path / "whole.pth")
    proposal = propose(read_here(tmp_path / "whole.pth"))
    assert proposal.normalization == "digits"
    assert "own normalisation" in proposal.advice
    assert accept(proposal, "mine", normalization=IN_FILE).card.normalization.mean == (
        pytest.approx((1.4,))
    )


def test_uploads_are_found_by_name_and_never_listed(
    checkpoint: Path, model: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for normalization in ("digits", "none", "mnist"):
        proposal = propose(read_here(checkpoint))
        names.append(keep_upload(accept(proposal, "x", normalization=normalization)).name)
    assert len(set(names)) == 3  # the same weights, but not the same function
    assert not set(names) & {card.name for card in list_models()}
    x = torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(load_model(names[0], "cpu")(x), model(x), atol=1e-5, rtol=0)
    monkeypatch.setattr(library, "MAX_UPLOADS", 2)
    keep_upload(accept(propose(read_here(checkpoint)), "x", sigma=0.7))
    assert len(list(registry.uploads_folder().glob("*"))) == 4  # two models with their cards
    with pytest.raises(CheckpointError, match="Upload it again"):
        get_card(names[0])
    with pytest.raises(UnknownNameError):
        get_card("upload-../../../etc/passwd")


def test_a_name_is_given_once_however_many_ask_at_once(checkpoint: Path) -> None:
    models = [accept(propose(read_here(checkpoint)), "wanted", sigma=0.1 * n) for n in range(1, 5)]
    together = threading.Barrier(4)

    def add(model: Classifier) -> float | None:
        together.wait()
        try:
            return add_model(model).sigma
        except InvalidParameterError:
            return None

    with ThreadPoolExecutor(4) as people:
        (sigma,) = [given for given in people.map(add, models) if given is not None]
    assert get_card("wanted").sigma == sigma


def test_added_models_are_listed_and_can_be_removed(checkpoint: Path) -> None:
    card = add_model(accept(propose(read_here(checkpoint)), "mine"))
    assert get_card("mine") == card
    assert "mine" in [c.name for c in list_models()]
    with pytest.raises(InvalidParameterError, match="already"):
        add_model(accept(propose(read_here(checkpoint)), "mine"))
    remove_model("mine")
    with pytest.raises(UnknownNameError):
        get_card("mine")
    for name in ("../mine", "digits-gaussian-0.25", "mine"):
        with pytest.raises(UnknownNameError):
            remove_model(name)
    for name in ("a b", "a/b", "upload-0123456789abcdef", "torchvision-mine", "-x"):
        with pytest.raises(InvalidParameterError, match="name"):
            add_model(accept(propose(read_here(checkpoint)), name))


def test_a_card_of_another_shape_is_refused() -> None:
    card = ModelCard("odd", "lenet", "cifar10", 10, (3, 32, 32))
    with pytest.raises(CheckpointError, match="lenet does not take"):
        add_model(build_classifier(card).eval())


def test_attached_models_live_as_long_as_the_process(checkpoint: Path) -> None:
    built = accept(propose(read_here(checkpoint)), "here-only")
    attach_model(built)
    assert load_model("here-only", "cpu") is built


def folder_of(tmp_path: Path, *classes: str) -> str:
    """Grey photographs of 40 x 30 pixels, two for each class, attached as a data set."""
    from PIL import Image

    for i, name in enumerate(classes):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for j in range(2):
            pixels = np.full((30, 40), 40 * i + j, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{j}.png")
    return added.attach(tmp_path / "photos", None, None, taken=()).name


def test_photographs_come_at_the_models_size_with_its_classes(
    model: Classifier, tmp_path: Path
) -> None:
    name = folder_of(tmp_path, "3", "1", "seven")
    opened = open_for_model(name, model.card)
    assert opened[0][0].shape == (1, 8, 8)
    assert opened.info.num_classes == 10
    assert [opened.label(i) for i in range(6)] == [1, 1, 3, 3, None, None]
    with pytest.raises(MismatchError, match="seven"):
        check_fit(model.card, load_dataset(name).info)


def test_class_names_come_from_where_they_are_known() -> None:
    card = get_card("digits-gaussian-0.25")
    assert class_names(card) == tuple("0123456789")
    stranger = dataclasses.replace(card, dataset="unknown")
    assert class_names(stranger)[3] == "class 3"
    photographs = dataclasses.replace(stranger, num_classes=1000, shape=(3, 224, 224))
    assert class_names(photographs)[1] == "goldfish"
    cifar = get_card("cifar10-resnet20-gaussian-0.25")  # also where its images are not available
    assert class_names(cifar)[3] == "cat"


class _Fragile(nn.Module):
    """Right on clean digits, wrong on everything that leaves their grid of 17 grey levels."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        off_grid = ((x * 16).round() - x * 16).abs().amax(dim=(1, 2, 3)) > 1e-3
        return torch.where(off_grid[:, None], -self.inner(x), self.inner(x))


def fragile(model: Classifier) -> Classifier:
    card = dataclasses.replace(model.card, normalization=type(model.card.normalization)())
    network = Classifier(_Fragile(model), card).eval()
    return with_card(network, digest="fragile", accuracy={}, sigma=None)


def test_a_collapse_under_noise_is_measured_remembered_and_explained(
    model: Classifier, test_split: Dataset
) -> None:
    plain = fragile(model)
    *_, found = measure_robustness(NoisyForward(plain), test_split, plain.card)
    assert found.is_complete
    assert found.accuracy[0.0] > 0.95
    assert max(found.accuracy[s] for s in (0.12, 0.25, 0.5)) < 0.3
    assert found.collapses_at == 0.12
    assert "abstain" in found.explain(10)
    assert find_robustness(plain.card, "digits") == found
    other = dataclasses.replace(plain.card, digest="other")
    assert find_robustness(other, "digits") is None
    behind = dataclasses.replace(plain.card, normalization=model.card.normalization)
    assert find_robustness(behind, "digits") is None  # the same weights are another function


def test_a_model_trained_with_noise_gets_no_warning(model: Classifier, test_split: Dataset) -> None:
    *_, found = measure_robustness(NoisyForward(model), test_split, model.card)
    assert found.explain(10) == ""
    on_card = robustness_on_card(model.card, "digits")
    assert on_card is not None
    for sigma, share in found.accuracy.items():  # 100 images against all 500
        assert share == pytest.approx(on_card.accuracy[sigma], abs=0.1)


def test_a_damaged_memory_is_measured_again(
    model: Classifier, test_split: Dataset, home: Path
) -> None:
    plain = fragile(model)
    list(measure_robustness(NoisyForward(plain), test_split, plain.card))
    (remembered,) = (home / "robustness").iterdir()
    for content in ("", "{", "[]", '{"accuracy": {"0": 1}}', '{"accuracy": 3}'):
        remembered.write_text(content)
        assert find_robustness(plain.card, "digits") is None


class _Labels:
    """Images that must not be looked at."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Tensor:
        raise AssertionError("an image was read")


def split_of(labels: np.ndarray) -> Dataset:
    info = DatasetInfo("x", "x", "", tuple("0123456789"), (1, 1, 1))
    return Dataset(info, "test", _Labels(len(labels)), labels.astype(np.int64))


def test_images_are_spread_over_the_first_thousand_of_a_shuffled_split() -> None:
    rng = np.random.default_rng(0)
    chosen = spread_images(split_of(rng.integers(0, 10, 10_000)), 100)
    assert len(set(chosen)) == 100
    assert max(chosen) < 1000


def test_images_are_spread_over_all_of_a_sorted_split_and_unlabelled_ones_left_out() -> None:
    labels = np.repeat(np.arange(10), 500)
    labels[::7] = -1
    chosen = spread_images(split_of(labels), 200)
    assert {int(labels[i]) for i in chosen} == set(range(10))
    assert spread_images(split_of(np.full(5, -1)), 3) == []
    assert ModelCard.from_dict(get_card("digits-gaussian-0.25").to_dict()).origin == ""
