"""Adding, attaching, removing and opening by name; classes; thumbnails."""

from __future__ import annotations

import io
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ddrs_core.data import (
    DamagedDataError,
    Dataset,
    DatasetInfo,
    add_dataset,
    attach_dataset,
    get_dataset_info,
    list_datasets,
    list_downloads,
    load_dataset,
    remove_dataset,
    thumbnail,
)
from ddrs_core.data.class_matching import match_classes
from ddrs_core.data.images.thumbnails import placeholder
from ddrs_core.data.registry import NotDownloadedError
from ddrs_core.errors import DDRSError, InvalidParameterError, UnknownNameError
from tests.data.conftest import encoded, random_pixels, write_parquet

Write = Callable[..., Path]


def names() -> list[str]:
    return [info.name for info in list_datasets()]


def test_the_list_is_ordered(shared_data: Path, image_folder: Write) -> None:
    root = image_folder("cat")
    for name in ("zebra", "ant"):
        add_dataset(root, name=name)
    attach_dataset(root, name="moth")
    assert names() == ["digits", "cifar10", "ant", "moth", "zebra"]
    assert list_downloads() == []


def test_the_name_of_a_folder_is_not_cut_at_a_dot(image_folder: Write, tmp_path: Path) -> None:
    """Such as CIFAR-10.1, which is another data set than CIFAR-10."""
    info = attach_dataset(image_folder("cat").rename(tmp_path / "cifar10.1"))
    assert (info.name, info.title) == ("cifar10.1", "cifar10.1")


def test_what_is_not_at_hand_says_how_to_get_it(home: Path) -> None:
    assert names() == ["digits"]
    assert [info.name for info in list_downloads()] == ["cifar10"]
    for ask in (load_dataset, get_dataset_info):
        with pytest.raises(NotDownloadedError, match=r"datasets download cifar10.*DDRS_DATA_DIR"):
            ask("cifar10")


def test_added_is_remembered_and_removed_is_forgotten(home: Path, image_folder: Write) -> None:
    root = image_folder("cat", "dog")
    info = add_dataset(root, title="My  animals\n")
    assert (info.name, info.title, info.origin) == ("animals", "My animals", str(root))
    (record,) = (home / "datasets").iterdir()
    assert record.name == "animals.json"
    assert get_dataset_info("animals") == info
    assert list_datasets()[-1] == info
    dataset = load_dataset("animals")
    remove_dataset("animals")
    assert names() == ["digits"]
    assert (root / "cat" / "image-0.png").exists()
    assert dataset[0][0].shape == (3, 224, 224)  # whoever has it open may go on
    with pytest.raises(UnknownNameError):
        load_dataset("animals")
    with pytest.raises(UnknownNameError, match="added data set"):
        remove_dataset("animals")
    assert add_dataset(root, size=64).shape == (3, 64, 64)
    assert load_dataset("animals")[0][0].shape == (3, 64, 64)


def test_a_name_is_given_once_however_many_ask_at_once(home: Path, image_folder: Write) -> None:
    path, together = image_folder("cat"), threading.Barrier(6)

    def add(number: int) -> int:
        together.wait()
        try:
            add_dataset(path, name="wanted", title=f"of person {number}")
        except InvalidParameterError:
            return -1
        return number

    with ThreadPoolExecutor(6) as people:
        (winner,) = [number for number in people.map(add, range(6)) if number >= 0]
    assert get_dataset_info("wanted").title == f"of person {winner}"


def test_attached_is_not_remembered(home: Path, image_folder: Write) -> None:
    info = attach_dataset(image_folder("cat"))
    assert names() == ["digits", "animals"]
    assert not home.exists()
    assert attach_dataset(info.origin) == info  # again, by a second page
    assert names() == ["digits", "animals"]
    remove_dataset("animals")
    assert names() == ["digits"]


def test_a_single_picture_can_be_attached_not_added(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(encoded(random_pixels(1, 20, 20, 3)[0]))
    with pytest.raises(DamagedDataError, match="single picture"):
        add_dataset(tmp_path / "cat.png")
    info = attach_dataset(tmp_path / "cat.png", size=32)
    dataset = load_dataset(info.name)
    assert (len(dataset), dataset.label(0), dataset[0][0].shape) == (1, None, (3, 32, 32))
    assert load_dataset(info.name, shape=(1, 8, 8))[0][0].shape == (1, 8, 8)
    (tmp_path / "cat.png").write_bytes(b"text")
    with pytest.raises(DDRSError, match=r"cat\.png"):
        load_dataset(info.name)


@pytest.mark.parametrize("open_it", [add_dataset, attach_dataset])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../escape", "letters"),
        (".hidden", "letters"),
        ("a/b", "letters"),
        ("a\n", "letters"),
        ("", "letters"),
        ("x" * 65, "letters"),
        ("digits", "already"),
        ("CIFAR10", "already"),
        ("taken", "already"),
        ("picture-0123456789abcdef", "uploaded"),
    ],
)
def test_names_that_are_refused(
    home: Path, image_folder: Write, open_it: Callable[..., DatasetInfo], name: str, said: str
) -> None:
    root = image_folder("cat")
    add_dataset(root, name="taken")
    with pytest.raises(InvalidParameterError, match=said):
        open_it(root, name=name)
    assert names() == ["digits", "taken"]


def test_names_from_paths_are_free_and_well_formed(tmp_path: Path, image_folder: Write) -> None:
    root = image_folder("cat")
    for folder, expected in (
        ("digits", "digits-2"),
        ("My Photos (2024)", "my-photos-2024"),
        ("my photos [2024]", "my-photos-2024-2"),
        ("..., ...", "images"),
        ("picture-0123456789abcdef", "my-picture-0123456789abcdef"),
    ):
        shutil.copytree(root, tmp_path / "in" / folder)
        assert add_dataset(tmp_path / "in" / folder).name == expected


@pytest.mark.parametrize("size", [0, -1, 10_000, 1.5])
def test_sizes_that_are_refused(image_folder: Write, size: int) -> None:
    with pytest.raises(InvalidParameterError, match="size"):
        add_dataset(image_folder("cat"), size=size)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"kind": "parquet"}', "ÿ", '{"info": 3}', "9" * 5000, "[" * 5000],
)
def test_a_damaged_record_is_left_out_with_one_warning(
    home: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "datasets").mkdir(parents=True)
    (home / "datasets" / "mine.json").write_text(content, encoding="latin-1")
    with caplog.at_level(logging.WARNING):
        assert names() == names() == ["digits"]
    assert len(caplog.records) == 1
    assert "mine" in caplog.text
    with pytest.raises(DamagedDataError, match=r"mine.*datasets remove mine"):
        load_dataset("mine")
    remove_dataset("mine")
    with pytest.raises(UnknownNameError):
        load_dataset("mine")


def test_a_record_cannot_take_another_name(home: Path, image_folder: Write) -> None:
    add_dataset(image_folder("cat"), name="mine")
    record = home / "datasets" / "mine.json"
    stored = json.loads(record.read_text())
    stored["info"]["name"] = "digits"
    record.write_text(json.dumps(stored))
    assert names() == ["digits"]


def test_files_that_vanished_are_explained(
    image_folder: Write, caplog: pytest.LogCaptureFixture
) -> None:
    root = image_folder("cat")
    add_dataset(root, name="mine")
    shutil.rmtree(root)
    with caplog.at_level(logging.WARNING):
        assert names() == names() == ["digits"]
    assert len(caplog.records) == 1
    with pytest.raises(DamagedDataError, match=r"nothing is there.*datasets remove mine"):
        load_dataset("mine")


def test_listing_is_cheap(shared_data: Path, image_folder: Write) -> None:
    root = image_folder(*(f"class-{i}" for i in range(30)))
    for i in range(5):
        add_dataset(root, name=f"set-{i}")
    names()
    started = time.process_time()
    for _ in range(100):
        names()
    assert time.process_time() - started < 1  # 10 ms each; about 1 ms on an idle machine


def test_the_same_split_is_opened_once(image_folder: Write) -> None:
    name = add_dataset(image_folder("cat")).name
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: load_dataset(name), range(32)))
    assert all(dataset is opened[0] for dataset in opened)
    assert load_dataset(name, shape=(3, 224, 224)) is opened[0]  # the default shape
    assert load_dataset(name, shape=(3, 32, 32)) is not opened[0]


def test_classes_are_matched_by_name() -> None:
    theirs = ["tench, Tinca tinca", "great_white-shark", "crane", "crane", "Crane, machine", "dog"]
    ours = ["Tinca  Tinca", "Great White Shark", "crane", "DOG, hound", "cat", "machine"]
    assert match_classes(ours, theirs) == [0, 1, -1, 5, -1, 4]


def test_the_whole_name_goes_before_a_synonym() -> None:
    assert match_classes(["crane"], ["crane", "crane, machine"]) == [0]


def test_labels_for_a_model_with_other_classes(tmp_path: Path) -> None:
    images = [encoded(pixels) for pixels in random_pixels(4, 4, 4)]
    path = write_parquet(tmp_path / "c.parquet", images, [0, 1, 1, -1])  # cat, dog, dog, unknown
    dataset = load_dataset(attach_dataset(path).name)
    assert dataset.for_classes(["A", "B"]) is dataset
    other = dataset.for_classes(["dog", "eel", "fox"])
    assert other.labels.tolist() == [-1, 0, 0, -1]
    assert other.info.class_names == ("dog", "eel", "fox")
    assert other.label(0) is None
    assert torch.equal(other[1][0], dataset[1][0])
    assert dataset.labels.tolist() == [0, 1, 1, -1]


def test_a_picture_has_unknown_labels_for_every_model(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(encoded(random_pixels(1, 20, 20, 3)[0]))
    dataset = load_dataset(attach_dataset(tmp_path / "cat.png").name).for_classes(["a", "b"])
    assert (dataset.labels.tolist(), dataset.info.num_classes) == ([-1], 2)


def decoded(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return np.asarray(image)


def test_thumbnails_are_untouched_or_reduced(tmp_path: Path, image_folder: Write) -> None:
    pixels = random_pixels(3, 12, 10, 3)
    path = write_parquet(tmp_path / "t.parquet", list(map(encoded, pixels)), [0, 1, 1])
    dataset = load_dataset(attach_dataset(path).name)
    for i in range(3):
        assert (decoded(thumbnail(dataset, i)) == pixels[i]).all()
    assert decoded(thumbnail(load_dataset("digits"), 0)).shape == (8, 8)
    photographs = load_dataset(attach_dataset(image_folder("cat")).name)
    assert decoded(thumbnail(photographs, 0)).shape == (64, 64, 3)
    assert decoded(thumbnail(photographs, 0, size=32)).shape == (32, 32, 3)
    with pytest.raises(InvalidParameterError):
        thumbnail(dataset, 3)


def test_thumbnails_follow_the_files(tmp_path: Path) -> None:
    one, two = random_pixels(2, 8, 8)
    path = write_parquet(tmp_path / "t.parquet", [encoded(one)], [0])
    name = attach_dataset(path).name
    assert (decoded(thumbnail(load_dataset(name), 0)) == one).all()
    write_parquet(path, [encoded(two)] * 2, [0, 1])
    assert (decoded(thumbnail(load_dataset(name), 0)) == two).all()


def test_a_broken_image_has_a_neutral_thumbnail(tmp_path: Path) -> None:
    images = [encoded(random_pixels(1, 8, 8)[0])] * 16 + [b"broken"]
    dataset = load_dataset(
        attach_dataset(write_parquet(tmp_path / "t.parquet", images, [0] * 17)).name
    )
    assert thumbnail(dataset, 16) == placeholder()
    assert decoded(placeholder()).shape == (64, 64)


def test_each_thumbnail_is_made_once_between_threads() -> None:
    read: list[int] = []

    class Images:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> torch.Tensor:
            read.append(index)
            time.sleep(0.01)
            return torch.full((1, 4, 4), index / 255)

    info = DatasetInfo("once", "Once", "", ("a",), (1, 4, 4))
    dataset = Dataset(info, "test", Images(), np.zeros(5, np.int64), version=str(time.time_ns()))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: thumbnail(dataset, i % 5), range(40)))
    assert sorted(read) == [0, 1, 2, 3, 4]
    assert [int(decoded(png)[0, 0]) for png in made] == [i % 5 for i in range(40)]
