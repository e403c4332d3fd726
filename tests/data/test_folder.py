"""ImageFolder layout: names, splits, laziness, and words for what is wrong."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sklearn.datasets
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights

from ddrs_core.data import (
    DamagedDataError,
    ImageError,
    add_dataset,
    attach_dataset,
    fit_picture,
    folder,
    load_dataset,
)
from ddrs_core.errors import DDRSError

Write = Callable[..., Path]


def test_folders_are_classes(image_folder: Write) -> None:
    root = image_folder("dog", "cat", "bird")
    info = attach_dataset(root)
    assert info.class_names == ("bird", "cat", "dog")
    assert (info.resizable, info.shape, info.splits) == (True, (3, 224, 224), ("test",))
    dataset = load_dataset(info.name, shape=(3, 40, 40))
    assert dataset.labels.tolist() == [0, 0, 1, 1, 2, 2]
    with Image.open(root / "cat" / "image-1.png") as image:
        assert torch.equal(dataset[3][0], fit_picture(image, (3, 40, 40)))
    assert attach_dataset(root, name="small", size=64).shape == (3, 64, 64)


def test_real_photographs(tmp_path: Path) -> None:
    """The two that scikit-learn ships: 640 x 427 pixels."""
    images = Path(sklearn.datasets.__file__).parent / "images"
    for name in ("china", "flower"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        shutil.copy(images / f"{name}.jpg", tmp_path / "photos" / name)
    dataset = load_dataset(add_dataset(tmp_path / "photos").name)
    assert dataset.info.class_names == ("china", "flower")
    assert dataset.labels.tolist() == [0, 1]
    sky, flower = dataset.tensors()[0]
    assert sky.shape == (3, 224, 224)
    assert float(sky[2, :40].mean()) > 0.5  # a bright sky above the temple
    red, green, _ = flower.mean((1, 2))
    assert float(red) > 0.2 > 0
    assert float(green) > 0.2


@pytest.mark.parametrize(
    ("parts", "splits"),
    [
        (("train/cat", "val/cat", "val/dog"), ("test", "train")),
        (("train/cat", "train/dog", "test/cat", "validation/dog"), ("test", "train")),
        (("train/cat", "train/dog"), ("test",)),
        (("Val/cat", "Train/dog"), ("test", "train")),
    ],
)
def test_splits(image_folder: Write, parts: tuple[str, ...], splits: tuple[str, ...]) -> None:
    info = attach_dataset(image_folder(*parts))
    assert info.class_names == (("cat", "dog") if "/dog" in "".join(parts) else ("cat",))
    assert info.splits == splits
    for split in splits:
        assert len(load_dataset(info.name, split)) in (2, 4)


def test_numbers_of_classes_agree_between_splits(image_folder: Write) -> None:
    info = attach_dataset(image_folder("train/cat", "train/dog", "test/dog"))
    assert load_dataset(info.name, "train").labels.tolist() == [0, 0, 1, 1]
    assert load_dataset(info.name, "test").labels.tolist() == [1, 1]


def test_a_train_is_also_a_vehicle(image_folder: Write) -> None:
    assert attach_dataset(image_folder("bus", "train")).class_names == ("bus", "train")


def test_one_class_is_enough(image_folder: Write) -> None:
    assert attach_dataset(image_folder("cat")).class_names == ("cat",)


def test_all_of_imagenet_has_its_names() -> None:
    synsets = [f"n{i:08d}" for i in range(1000)]
    names = folder._class_names(synsets)
    assert names == tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])
    assert names[0] == "tench"  # n01440764 is the first of all synsets
    assert folder._class_names(synsets[:999]) == tuple(synsets[:999])


def test_what_is_wrong_is_said(tmp_path: Path, image_folder: Write) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no-images" / "cat").mkdir(parents=True)
    (tmp_path / "no-images" / "cat" / "notes.txt").write_text("x")
    broken = image_folder("cat")
    (broken / "cat" / "image-0.png").write_bytes(b"x")
    for path, said in (
        (tmp_path / "empty", "folder of images for each class"),
        (tmp_path / "no-images", "hold no images"),
        (tmp_path / "nowhere", "nothing at"),
        (broken, "image-0.png"),
    ):
        with pytest.raises(DDRSError, match=said):
            attach_dataset(path)


def test_a_broken_file_leaves_the_others(image_folder: Write) -> None:
    root = image_folder("cat", count=5)
    name = attach_dataset(root).name
    (root / "cat" / "image-2.png").write_bytes(b"broken")
    os.unlink(root / "cat" / "image-3.png")
    os.mkfifo(root / "cat" / "image-4.png.png")
    dataset = load_dataset(name, shape=(3, 8, 8))
    assert len(dataset) == 5
    assert dataset[0][0].shape == (3, 8, 8)
    with pytest.raises(ImageError, match=r"image-2\.png"):
        dataset[2]
    with pytest.raises(ImageError, match="not a file"):
        dataset[4]


def test_a_file_that_goes_while_the_data_set_is_open(image_folder: Write) -> None:
    root = image_folder("cat")
    dataset = load_dataset(attach_dataset(root).name)
    os.unlink(root / "cat" / "image-1.png")
    with pytest.raises(ImageError, match=r"image-1\.png.*No such file"):
        dataset[1]


def test_new_images_and_classes_are_noticed(
    image_folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_RECHECK_SECONDS", 1e-9)
    root = image_folder("cat")
    name = add_dataset(root).name
    assert len(load_dataset(name)) == 2
    shutil.copy(root / "cat" / "image-0.png", root / "cat" / "image-9.png")
    assert len(load_dataset(name)) == 3
    shutil.copytree(root / "cat", root / "ant")
    dataset = load_dataset(name)
    assert dataset.info.class_names == ("ant", "cat")
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
    shutil.rmtree(root)
    with pytest.raises(DamagedDataError, match="nothing is there"):
        load_dataset(name)


def test_fifty_thousand_files_list_quickly(
    image_folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = image_folder(*(f"class-{i:02d}" for i in range(50)), count=1)
    for i in range(50):
        first = root / f"class-{i:02d}" / "image-0.png"
        for number in range(1, 1000):
            os.link(first, first.with_name(f"copy-{number}.png"))
    name = add_dataset(root).name
    monkeypatch.setattr(folder, "read_picture_file", lambda _: pytest.fail("an image was read"))
    started = time.process_time()
    dataset = load_dataset(name)
    assert len(dataset) == 50_000
    assert time.process_time() - started < 3  # about half a second on an idle machine
