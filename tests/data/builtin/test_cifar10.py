"""CIFAR-10 in its original form: downloaded, verified, and never taken half-written."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from ddrs_core.data import (
    DamagedDataError,
    download_dataset,
    get_dataset_info,
    list_datasets,
    list_downloads,
    load_dataset,
)
from ddrs_core.data.builtin import cifar10
from ddrs_core.data.registry import NotDownloadedError
from ddrs_core.download import DownloadError
from ddrs_core.errors import UnknownNameError
from tests.data.conftest import encoded, random_pixels, write_parquet

PIXELS = random_pixels(12, 3, 32, 32)  # two images in each of six batches
LABELS = np.arange(12) % 10


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tiny archive of CIFAR-10's layout on a server, in place of the real one."""
    batches = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    files = {}
    for i, name in enumerate(batches):
        rows = PIXELS[2 * i : 2 * i + 2].reshape(2, -1)
        files[name] = pickle.dumps({"data": rows, "labels": LABELS[2 * i : 2 * i + 2].tolist()})
    files["batches.meta"] = pickle.dumps({"label_names": list(cifar10.INFO.class_names)})
    archive = tmp_path / "server" / CIFAR10.filename
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    handler = functools.partial(QuietHandler, directory=str(archive.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{server.server_port}/{archive.name}")
        monkeypatch.setattr(CIFAR10, "tgz_md5", md5(archive.read_bytes()))
        lists = [[name, md5(files[name])] for name in batches]
        monkeypatch.setattr(CIFAR10, "train_list", lists[:5])
        monkeypatch.setattr(CIFAR10, "test_list", lists[5:])
        meta = {**CIFAR10.meta, "md5": md5(files["batches.meta"])}
        monkeypatch.setattr(CIFAR10, "meta", meta)
        yield archive
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_download_and_open(published: Path, home: Path) -> None:
    assert [info.name for info in list_downloads()] == ["cifar10"]
    steps = list(download_dataset("cifar10"))
    assert [step.stage for step in steps][-2:] == ["checking", "unpacking"]
    assert list_downloads() == []
    assert get_dataset_info("cifar10").origin == str(home / "downloads" / "cifar10")
    for split, part in (("train", slice(0, 10)), ("test", slice(10, 12))):
        images, labels = load_dataset("cifar10", split).tensors()
        assert torch.equal(images, torch.from_numpy(PIXELS[part]) / 255)
        assert labels.tolist() == LABELS[part].tolist()
    assert list(download_dataset("cifar10")) == []
    left = {path.name for path in (home / "downloads").iterdir()}
    assert {name for name in left if not name.endswith(".lock")} == {"cifar10"}


def test_the_caller_may_change_an_image(published: Path) -> None:
    list(download_dataset("cifar10"))
    images = load_dataset("cifar10").images
    images[0].fill_(7)
    assert torch.equal(images[0], torch.from_numpy(PIXELS[10]) / 255)


@pytest.mark.parametrize("harm", ["missing", "shorter", "no marker"])
def test_a_half_written_folder_is_not_at_hand(published: Path, home: Path, harm: str) -> None:
    list(download_dataset("cifar10"))
    folder = home / "downloads" / "cifar10"
    batch = folder / CIFAR10.base_folder / "data_batch_3"
    if harm == "missing":
        batch.unlink()
    elif harm == "shorter":
        batch.write_bytes(batch.read_bytes()[:-1])
    else:
        (folder / "complete.json").unlink()
    assert [info.name for info in list_datasets()] == ["digits"]
    with pytest.raises(NotDownloadedError):
        load_dataset("cifar10")
    list(download_dataset("cifar10"))
    assert len(load_dataset("cifar10", "train")) == 10


def test_changed_bytes_are_noticed_when_opened(published: Path, home: Path) -> None:
    list(download_dataset("cifar10"))
    batch = home / "downloads" / "cifar10" / CIFAR10.base_folder / "data_batch_3"
    data = bytearray(batch.read_bytes())
    data[-10] ^= 1
    batch.write_bytes(data)
    with pytest.raises(DamagedDataError, match=r"damaged.*datasets download cifar10"):
        load_dataset("cifar10", "train")
    list(download_dataset("cifar10"))
    assert len(load_dataset("cifar10", "train")) == 10


def test_a_download_that_stops_while_unpacking(published: Path, home: Path) -> None:
    steps = download_dataset("cifar10")
    for step in steps:
        if step.stage == "unpacking":
            break
    steps.close()  # type: ignore[attr-defined]
    left = home / "downloads" / ".unpacking-killed"
    left.mkdir()
    (left / "data_batch_1").write_bytes(b"half")
    assert [info.name for info in list_datasets()] == ["digits"]
    list(download_dataset("cifar10"))
    assert not left.exists()
    assert len(load_dataset("cifar10")) == 2


def test_an_archive_with_other_files_is_refused(
    published: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5(b"something else")]])
    with pytest.raises(DamagedDataError, match="does not hold"):
        list(download_dataset("cifar10"))
    assert [info.name for info in list_datasets()] == ["digits"]
    left = {path.name for path in (home / "downloads").iterdir()}
    assert all(name.endswith(".lock") for name in left)


def test_without_a_network_the_alternative_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddrs_core.download._PAUSE", 0.01)
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9.*DDRS_DATA_DIR"):
        list(download_dataset("cifar10"))


def test_only_known_ones_can_be_downloaded() -> None:
    for name in ("digits", "cifar"):
        with pytest.raises(UnknownNameError, match="cifar10"):
            download_dataset(name)


def test_parquet_files_go_before_the_download(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(download_dataset("cifar10"))
    images = [encoded(pixels) for pixels in random_pixels(3, 32, 32, 3)]
    names = list(cifar10.INFO.class_names)
    folder = tmp_path / "data" / "cifar10"
    write_parquet(folder / "test-00000-of-00001.parquet", images, [0, 5, 9], names=names)
    monkeypatch.setenv("DDRS_DATA_DIR", str(tmp_path / "data"))
    assert load_dataset("cifar10").labels.tolist() == [0, 5, 9]
    assert get_dataset_info("cifar10").splits == ("test",)
    monkeypatch.delenv("DDRS_DATA_DIR")
    assert len(load_dataset("cifar10")) == 2


def test_other_classes_in_its_place_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [encoded(pixels) for pixels in random_pixels(2, 32, 32, 3)]
    write_parquet(tmp_path / "cifar10" / "test-00000-of-00001.parquet", images, [0, 1])
    monkeypatch.setenv("DDRS_DATA_DIR", str(tmp_path))
    with pytest.raises(DamagedDataError, match=r"airplane.*cat, dog"):
        load_dataset("cifar10")


def test_the_published_facts() -> None:
    assert CIFAR10.url.startswith("https://www.cs.toronto.edu/")
    assert cifar10.INFO.shape == (3, 32, 32)
    assert cifar10.INFO.class_names[3] == "cat"
    assert cifar10.INFO.class_names[9] == "truck"
