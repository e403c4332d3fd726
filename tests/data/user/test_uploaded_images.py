"""Uploaded pictures: kept by digest, bounded, opened by name from anywhere."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from ddrs_core.data import ImageError, get_dataset_info, keep_picture, list_datasets, load_dataset
from ddrs_core.data.images.decode import read_picture
from ddrs_core.data.images.preprocess import fit_picture
from ddrs_core.data.user import records
from ddrs_core.data.user import uploaded_images as pictures
from ddrs_core.errors import DDRSError, UnknownNameError
from tests.data.conftest import encoded, random_pixels

DATA = encoded(random_pixels(1, 50, 70, 3)[0])


def test_a_kept_picture_is_a_data_set_of_one(home: Path) -> None:
    kept = keep_picture(DATA, "../my cat.png")
    assert kept.name == f"picture-{hashlib.sha256(DATA).hexdigest()[:16]}"
    assert (kept.title, kept.size, kept.notes) == ("my cat.png", (70, 50), ())
    dataset = load_dataset(kept.name, shape=(3, 32, 32))
    assert len(dataset) == 1
    assert dataset.label(0) is None
    assert (dataset.info.class_names, dataset.info.title) == ((), "my cat.png")
    assert torch.equal(dataset[0][0], fit_picture(read_picture(DATA), (3, 32, 32)))
    assert load_dataset(kept.name, shape=(1, 8, 8))[0][0].shape == (1, 8, 8)
    assert kept.name not in [info.name for info in list_datasets()]
    with pytest.raises(UnknownNameError, match="test"):
        load_dataset(kept.name, "train")


@pytest.mark.slow
def test_another_process_opens_it(home: Path) -> None:
    name = keep_picture(DATA, "cat.png").name
    code = f"from ddrs_core.data import load_dataset; print(load_dataset({name!r}).info.title)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "cat.png"


def test_what_is_no_picture_is_not_kept(home: Path) -> None:
    with pytest.raises(ImageError, match=r"'a\.png'"):
        keep_picture(b"text", "a.png")
    assert not home.exists()


def test_a_vanished_picture_is_to_be_uploaded_again(home: Path) -> None:
    name = keep_picture(DATA, "cat.png").name
    load_dataset(name)
    for path in (home / "uploads" / "pictures").iterdir():
        path.unlink()
    with pytest.raises(ImageError, match="Upload it again"):
        load_dataset(name)
    keep_picture(DATA, "cat.png")
    assert len(load_dataset(name)) == 1


def test_a_damaged_picture_is_to_be_uploaded_again(home: Path) -> None:
    name = keep_picture(DATA, "cat.png").name
    (path,) = (home / "uploads" / "pictures").glob("*.picture")
    path.write_bytes(DATA[:-1])
    with pytest.raises(ImageError, match="Upload it again"):
        load_dataset(name)


@pytest.mark.parametrize(
    "name",
    [
        "picture-../../../etc/passwd",
        "picture-0123456789abcdef/..",
        "picture-0123456789abcdef\n",
        "../digits",
        "/etc/passwd",
        "a\0b",
        "",
    ],
)
def test_other_names_never_become_paths(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_path", lambda _: pytest.fail("it became a path"))
    monkeypatch.setattr(records, "_file", lambda _: pytest.fail("it became a path"))
    with pytest.raises(UnknownNameError):
        load_dataset(name)


def test_the_oldest_make_room(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURES", 3)
    names = []
    for i in range(5):
        names.append(keep_picture(encoded(random_pixels(1, 4, 4, seed=i)[0]), f"{i}.png").name)
        for file in (home / "uploads" / "pictures").glob("*.picture"):
            stat = file.stat()  # as if a minute had passed
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns - 60 * 10**9))
    assert len(list((home / "uploads" / "pictures").iterdir())) == 2 * 3
    for name in names[2:]:
        assert get_dataset_info(name).num_classes == 0
    for name in names[:2]:
        with pytest.raises(ImageError, match="Upload it again"):
            get_dataset_info(name)


def test_the_store_is_bounded_in_bytes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_STORE_BYTES", 2 * len(DATA) + 100)
    for i in range(4):
        keep_picture(encoded(random_pixels(1, 50, 70, 3, seed=i)[0]), "a.png")
    kept = list((home / "uploads" / "pictures").glob("*.picture"))
    assert sum(path.stat().st_size for path in kept) <= 2 * len(DATA) + 100
    assert kept


def test_many_at_once(home: Path) -> None:
    images = [encoded(random_pixels(1, 8, 8, seed=i % 5)[0]) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda data: keep_picture(data, "x.png"), images))
    assert len({picture.name for picture in kept}) == 5
    for picture in kept:
        assert len(load_dataset(picture.name)) == 1
    assert not list((home / "uploads" / "pictures").glob(".*"))


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "file"))
    with pytest.raises(DDRSError, match="DDRS_HOME"):
        keep_picture(DATA, "cat.png")
