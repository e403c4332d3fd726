"""ImageFolder layout: names, splits, laziness, and words for what is wrong."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights

from ddrs_core.cache import LRU
from ddrs_core.data import DamagedDataError, ImageError, add_dataset, attach_dataset, load_dataset
from ddrs_core.data.builtin.digits import INFO
from ddrs_core.data.formats import folder
from ddrs_core.data.images.preprocess import fit_picture
from ddrs_core.errors import DDRSError
from tests.data.layouts import cut_off, write_picture

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
    import sklearn.datasets  # slow

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


def names_and_labels(name: str, split: str = "test") -> dict[str, int]:
    """The label of each image, by the name of its class folder and file."""
    dataset = load_dataset(name, split)
    paths: list[str] = dataset.images._paths  # type: ignore[attr-defined]
    return {Path(p).name: int(label) for p, label in zip(paths, dataset.labels, strict=True)}


def tiny_imagenet(root: Path, wnids: Sequence[str] = ("n01", "n02", "n03")) -> Path:
    """The layout as it is downloaded: labels of val/ are in a list, test/ has none."""
    lines = []
    for number, wnid in enumerate(wnids):
        write_picture(root / "train" / wnid / "images" / f"{wnid}_0.JPEG")
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t62\t62\n")
        write_picture(root / "val" / "images" / f"val_{number}.JPEG")
        write_picture(root / "test" / "images" / f"test_{number}.JPEG")
        lines.append(f"val_{number}.JPEG\t{wnids[-1 - number]}\t0\t0\t62\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    return root


def test_tiny_imagenet_as_it_is_downloaded(tmp_path: Path) -> None:
    info = attach_dataset(tiny_imagenet(tmp_path / "tiny"))
    assert info.class_names == ("n01", "n02", "n03")
    assert info.splits == ("test", "train")
    assert "test/ have no labels: left out" in info.description
    assert names_and_labels(info.name, "train") == {f"n0{i + 1}_0.JPEG": i for i in range(3)}
    assert names_and_labels(info.name) == {f"val_{i}.JPEG": 2 - i for i in range(3)}


def test_a_list_of_labels_that_is_none_is_said(tmp_path: Path) -> None:
    root = tiny_imagenet(tmp_path / "tiny")
    listed = root / "val" / "val_annotations.txt"
    for content, said in (
        (b"val_0.JPEG n01\n", "Line 1 of .*val_annotations"),
        (b"val_0.JPEG\tcat\n", "no image in .*val with a class"),
        (b"\xff\xfe", "not text"),
    ):
        listed.write_bytes(content)
        with pytest.raises(DamagedDataError, match=said):
            attach_dataset(root)


def test_images_without_labels_beside_training_images_are_a_test_split_without_labels(
    tmp_path: Path,
) -> None:
    """Kaggle's layout, with and without a folder in between."""
    for inner in ("", "images", "unknown"):
        root = tmp_path / f"kaggle{inner}"
        for animal in ("cat", "dog"):
            write_picture(root / "train" / animal / "0.jpg")
        write_picture(root / "test" / inner / "1.jpg")
        info = attach_dataset(root)
        assert (info.class_names, info.splits) == (("cat", "dog"), ("test", "train"))
        assert names_and_labels(info.name) == {"1.jpg": -1}
        assert load_dataset(info.name, "train").labels.tolist() == [0, 1]
        assert "without labels" in info.description


@pytest.mark.parametrize("where", ["", "mnist_png/", "a/b/"])
@pytest.mark.parametrize(
    ("train", "test"),
    [("training", "testing"), ("train", "valid"), ("Train", "dev"), ("train", "eval")],
)
def test_splits_have_many_names_and_may_lie_deeper(
    tmp_path: Path, train: str, test: str, where: str
) -> None:
    root = tmp_path / "set"
    for digit in "0123":
        write_picture(root / where / train / digit / f"a{digit}.png", 0, 8)
        write_picture(root / where / test / digit / f"b{digit}.png", 0, 8)
    info = attach_dataset(root)
    assert (info.class_names, info.splits) == (tuple("0123"), ("test", "train"))
    assert names_and_labels(info.name) == {f"b{digit}.png": int(digit) for digit in "0123"}


def test_splits_may_lie_in_the_classes(tmp_path: Path) -> None:
    root = tmp_path / "textures"
    for number, name in enumerate(("brick", "wood")):
        write_picture(root / name / "train" / f"a{number}.png")
        write_picture(root / name / "test" / f"b{number}.png")
    info = attach_dataset(root)
    assert (info.class_names, info.splits) == (("brick", "wood"), ("test", "train"))
    assert names_and_labels(info.name) == {"b0.png": 0, "b1.png": 1}


def test_what_programs_leave_behind_is_skipped_at_every_level(tmp_path: Path) -> None:
    root = tmp_path / "zip"
    for split in ("train", "test"):
        for animal in ("cat", "dog"):
            write_picture(root / split / animal / "more" / "0.png")
    for folder_ in (root, root / "test", root / "test" / "cat", root / "test" / "cat" / "more"):
        for junk in ("__MACOSX", ".ipynb_checkpoints", "@eaDir", "$RECYCLE.BIN"):
            write_picture(folder_ / junk / "cat" / "0.png")
        (folder_ / "._0.png").write_bytes(bytes.fromhex("0005160700020000"))
        (folder_ / "Thumbs.db").write_bytes(b"x")
    info = attach_dataset(root)
    assert (info.class_names, info.splits) == (("cat", "dog"), ("test", "train"))
    assert load_dataset(info.name).labels.tolist() == [0, 1]


def test_what_looks_doubtful_is_said(tmp_path: Path, image_folder: Write) -> None:
    info = attach_dataset(image_folder("train/cat", "train/dog", "test/dog", "test/yak"))
    assert info.class_names == ("cat", "dog", "yak")
    assert "only in test/ and not in train/: yak" in info.description
    nested = tmp_path / "nested"
    for name in ("pet/cat", "pet/dog", "farm/cow"):
        write_picture(nested / name / "0.png")
    (nested / "labels").mkdir()
    info = attach_dataset(nested)
    assert info.class_names == ("farm", "labels", "pet")  # as ImageFolder has them
    assert "pet/ holds folders again (cat, dog)" in info.description
    assert "No image is in 1 of its 3 classes: labels" in info.description


def test_a_data_set_that_was_added_before_the_rules_changed_is_read_by_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tiny_imagenet(tmp_path / "tiny")
    monkeypatch.setattr(folder, "_RULES", 1)
    monkeypatch.setattr(folder, "describe", lambda *a: replace(INFO, name=a[1]))
    name = add_dataset(root).name
    monkeypatch.undo()
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(folder, "_STAMPS", LRU(1))  # as in another process
    assert load_dataset(name).info.class_names == ("n01", "n02", "n03")


def test_the_first_image_may_be_damaged(image_folder: Write) -> None:
    root = image_folder("cat", "dog")
    cut_off(root / "cat" / "image-0.png")
    name = attach_dataset(root).name
    read = load_dataset(name).read([0, 1, 2])
    assert read.indices == [1, 2]
    assert read.labels.tolist() == [0, 1]
    assert read.images.shape[0] == 2
    assert list(read.failures) == [0]
    assert "cat/image-0.png" in read.failures[0]


def test_a_disk_that_went_is_no_bad_image(image_folder: Write) -> None:
    root = image_folder("cat", "dog")
    dataset = load_dataset(attach_dataset(root).name)
    shutil.rmtree(root)
    with pytest.raises(DamagedDataError, match="no longer there"):
        dataset.read([0])


def test_a_machine_without_free_files_is_no_bad_image(
    image_folder: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_dataset(attach_dataset(image_folder("cat")).name)

    def no_more(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("builtins.open", no_more)
    with pytest.raises(DDRSError, match="cannot be opened now"):
        dataset.read([0])


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
    for number in range(2):
        (broken / "cat" / f"image-{number}.png").write_bytes(b"x")
    flat = tmp_path / "flat"
    write_picture(flat / "train" / "0.png")
    write_picture(flat / "test" / "1.png")
    for path, said in (
        (tmp_path / "empty", "folder of images for each class"),
        (tmp_path / "no-images", "hold no images"),
        (tmp_path / "nowhere", "nothing at"),
        (broken, r"cat/image-0\.png"),
        (flat, "called test, train.*no folders for classes"),
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


@pytest.mark.slow
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


def test_a_folder_of_images_has_no_labels(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / "photos" / f"{number}.jpg")
    (tmp_path / "photos" / "notes.txt").write_text("x")
    info = attach_dataset(tmp_path / "photos")
    assert (info.class_names, info.splits) == ((), ("test",))
    assert "without labels" in info.description
    assert names_and_labels(info.name) == dict.fromkeys(["0.jpg", "1.jpg", "2.jpg"], -1)
