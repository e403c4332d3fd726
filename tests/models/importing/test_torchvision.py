"""torchvision's published weights: what is known of them, loading and fetching by digest."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from ddrs_core.download import DownloadError
from ddrs_core.errors import CheckpointError, UnknownNameError
from ddrs_core.models.architectures import get_architecture
from ddrs_core.models.torchvision_weights import (
    PublishedWeights,
    download_published,
    get_published,
    is_downloaded,
    list_published,
    load_published,
)


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def publish(folder: Path, base: str = "http://localhost") -> PublishedWeights:
    """Weights of a small network, named by their digest as torchvision names files."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = get_architecture("squeezenet1_1").build(1000, 3).state_dict()
    torch.save(state, folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()
    path = (folder / "new.pth").rename(folder / f"squeezenet1_1-{digest[:8]}.pth")
    entry = get_published("torchvision-squeezenet1_1-imagenet1k_v1")
    return dataclasses.replace(
        entry, url=f"{base}/{path.name}", size_mb=path.stat().st_size / 2**20
    )


def test_facts_that_torchvision_publishes() -> None:
    resnet = get_published("torchvision-resnet50-imagenet1k_v2")
    assert (resnet.architecture, resnet.weights, resnet.shape) == (
        "resnet50",
        "IMAGENET1K_V2",
        (3, 224, 224),
    )
    assert resnet.accuracy == pytest.approx(0.80858)
    assert resnet.num_params == 25_557_032
    assert resnet.sha256_prefix == "11ad3fa6"
    assert (len(resnet.categories), resnet.categories[0]) == (1000, "tench")
    assert resnet.normalization.mean == (0.485, 0.456, 0.406)
    assert resnet.file.name == "resnet50-11ad3fa6.pth"


def test_every_entry_can_be_built_and_checked() -> None:
    published = list_published()
    assert len({p.name for p in published}) == len(published) > 100
    for entry in published:
        assert get_architecture(entry.architecture).shape[0] == 3
        assert len(entry.categories) == 1000
        assert len(entry.sha256_prefix) >= 8
        assert 0.5 < entry.accuracy < 0.9


def test_transformers_are_built_for_the_size_of_their_weights() -> None:
    for entry in list_published():
        if entry.architecture.startswith("vit_"):
            assert get_architecture(entry.architecture).shape == entry.shape


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_the_input_transformation_is_part_of_the_normalisation(name: str) -> None:
    """With published weights torchvision turns ImageNet's normalisation into another one."""
    from torchvision import models

    aux = {"init_weights": False, "transform_input": True}
    theirs = models.get_model(name, weights=None, **aux)
    entry = get_published(f"torchvision-{name}-imagenet1k_v1")
    pixels = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    ours = (pixels - torch.tensor(entry.normalization.mean).view(3, 1, 1)) / torch.tensor(
        entry.normalization.std
    ).view(3, 1, 1)
    torch.testing.assert_close(theirs._transform_input((pixels - mean) / std), ours)


def test_loading(hub: Path) -> None:
    entry = publish(hub)
    assert is_downloaded(entry)
    classifier = load_published(entry)
    card = classifier.card
    assert (card.name, card.dataset, card.method, card.sigma) == (
        "torchvision-squeezenet1_1-imagenet1k_v1",
        "imagenet",
        "standard",
        0.0,
    )
    assert card.origin == "torchvision, IMAGENET1K_V1"
    assert card.shape == (3, 224, 224)
    state = torch.load(entry.file, weights_only=True)
    assert all(torch.equal(v, state[k]) for k, v in classifier.network.state_dict().items())
    with torch.no_grad():
        assert classifier(torch.rand(1, 3, 64, 64)).shape == (1, 1000)


def test_files_that_are_not_here_or_not_whole(hub: Path) -> None:
    entry = publish(hub)
    content = entry.file.read_bytes()
    entry.file.write_bytes(content[:-1000])
    assert not is_downloaded(entry)
    entry.file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not is_downloaded(entry)
    with pytest.raises(CheckpointError, match="digest"):
        load_published(entry)
    entry.file.unlink()
    assert not is_downloaded(entry)
    with pytest.raises(CheckpointError, match="http://localhost"):
        load_published(entry)
    entry.file.write_bytes(content)
    assert is_downloaded(entry)


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="torchvision-resnet50-imagenet1k_v1"):
        get_published("torchvision-resnet50")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "server"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_fetching(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    folder, url = server
    entry = publish(folder, url)
    steps = list(download_published(entry))
    assert steps[-1].stage == "checking"
    assert is_downloaded(entry)
    assert list(download_published(entry)) == []  # it is here
    entry.file.write_bytes(b"something else")
    list(download_published(entry))
    assert is_downloaded(entry)


def test_another_file_than_expected_is_removed(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in os.environ if n.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    folder, url = server
    entry = publish(folder, url)
    served = folder / entry.file.name
    served.write_bytes(served.read_bytes()[:-1] + b"x")
    with pytest.raises(DownloadError, match="not the expected file"):
        list(download_published(entry))
    assert not entry.file.exists()
