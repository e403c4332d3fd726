"""Parquet files in Hugging Face's layout: exact pixels, lazily, and words for what is wrong."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ddrs_core.data import (
    DamagedDataError,
    ImageError,
    add_dataset,
    attach_dataset,
    get_dataset_info,
    load_dataset,
)
from ddrs_core.data.formats import parquet, parquet_columns
from ddrs_core.data.images import decode
from ddrs_core.errors import DDRSError, InvalidParameterError, MismatchError, UnknownNameError
from tests.data.conftest import encoded, random_pixels, write_parquet

PIXELS = random_pixels(10, 8, 8, 3)
LABELS = [0, 1, 1, 0, 1, 0, 0, 1, -1, 1]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Ten images of 8x8 in three row groups."""
    return write_parquet(
        tmp_path / "small" / "test-00000-of-00001.parquet", list(map(encoded, PIXELS)), LABELS
    )


def test_pixels_labels_and_classes_come_back(small: Path) -> None:
    info = attach_dataset(small)
    assert info.class_names == ("cat", "dog")
    assert (info.shape, info.resizable, info.splits) == ((3, 8, 8), False, ("test",))
    images, labels = load_dataset(info.name).tensors()
    assert torch.equal(images, torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255)
    assert labels.tolist() == LABELS
    assert load_dataset(info.name).label(8) is None
    assert load_dataset(info.name).label(1) == 1


def test_images_in_any_order_are_those_asked_for(small: Path) -> None:
    dataset = load_dataset(attach_dataset(small).name)
    images, labels = dataset.tensors([9, 0, 9, 5])
    assert torch.equal(images[0], images[2])
    assert torch.equal(images[1], dataset[0][0])
    assert torch.equal(images[3], dataset[5][0])
    assert labels.tolist() == [LABELS[i] for i in (9, 0, 9, 5)]


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    pixels = random_pixels(3, 6, 5)
    path = write_parquet(tmp_path / "grey.parquet", list(map(encoded, pixels)), [0, 1, 0])
    info = attach_dataset(path)
    assert info.shape == (1, 6, 5)
    images, _ = load_dataset(info.name).tensors()
    assert torch.equal(images[:, 0], torch.from_numpy(pixels) / 255)


def test_photographs_have_any_shape(tmp_path: Path) -> None:
    images = [encoded(pixels) for pixels in random_pixels(2, 100, 80, 3)]
    name = attach_dataset(write_parquet(tmp_path / "p.parquet", images, [0, 1])).name
    assert load_dataset(name)[0][0].shape == (3, 224, 224)
    assert load_dataset(name, shape=(1, 32, 48))[0][0].shape == (1, 32, 48)
    assert load_dataset(name, shape=(1, 32, 48)).info.shape == (1, 32, 48)
    for shape in ((2, 8, 8), (3, 0, 8), (3, 8, 10**6), (8, 8)):
        with pytest.raises(InvalidParameterError):
            load_dataset(name, shape=shape)


def test_fixed_images_keep_their_shape(small: Path) -> None:
    name = attach_dataset(small).name
    assert load_dataset(name, shape=(3, 8, 8)).info.shape == (3, 8, 8)
    with pytest.raises(MismatchError, match=r"3 x 8 x 8.*3 x 32 x 32"):
        load_dataset(name, shape=(3, 32, 32))
    with pytest.raises(MismatchError, match="leave out the size"):
        attach_dataset(small, name="other", size=32)


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["train", "test"], {"test": "test", "train": "train"}),
        (["train", "validation"], {"test": "validation", "train": "train"}),
        (["train", "validation", "test"], {"test": "test", "train": "train"}),
        (["val"], {"test": "val"}),
        (["train"], {"test": "train"}),
        (["train", "extra"], {"test": "extra", "train": "train"}),
    ],
)
def test_splits(tmp_path: Path, files: list[str], splits: dict[str, str]) -> None:
    content = {}
    for value, split in enumerate(files):
        content[split] = value / 255
        image = encoded(np.full((4, 4), value, np.uint8))
        write_parquet(tmp_path / "d" / f"{split}-00000-of-00001.parquet", [image], [0])
    info = attach_dataset(tmp_path / "d")
    assert info.splits == tuple(splits)
    for split, source in splits.items():
        assert float(load_dataset(info.name, split)[0][0].max()) == pytest.approx(content[source])
    if "train" not in splits:
        with pytest.raises(UnknownNameError, match="test"):
            load_dataset(info.name, "train")


def test_shards_follow_one_another(tmp_path: Path) -> None:
    for part in range(3):
        images = list(map(encoded, PIXELS[3 * part : 3 * part + 3]))
        write_parquet(tmp_path / "s" / f"test-{part:05}-of-00003.parquet", images, [part % 2] * 3)
    dataset = load_dataset(attach_dataset(tmp_path / "s").name)
    images, labels = dataset.tensors()
    assert torch.equal(images, torch.from_numpy(PIXELS[:9]).permute(0, 3, 1, 2) / 255)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    (tmp_path / "s" / "test-00001-of-00003.parquet").unlink()
    with pytest.raises(DamagedDataError, match="3 files, but 2"):
        attach_dataset(tmp_path / "s", name="again")


def test_shards_that_do_not_fit_are_named_with_their_columns(tmp_path: Path) -> None:
    images = list(map(encoded, PIXELS[:3]))
    for number, (change, said) in enumerate(
        (
            ({"image": "image"}, "test-00000.*'img' and 'label'.*test-00001.*'image' and 'label'"),
            ({"label": "fine_label"}, "test-00000.*'label'.*test-00001.*'fine_label'"),
            ({"names": ("dog", "cat")}, "test-00000.*cat, dog.*test-00001.*dog, cat"),
            ({"image": "photo"}, "test-00001.*no column 'img' or 'image'"),
        )
    ):
        folder = tmp_path / str(number)
        write_parquet(folder / "test-00000-of-00002.parquet", images, [0] * 3)
        write_parquet(folder / "test-00001-of-00002.parquet", images, [0] * 3, **change)  # type: ignore[arg-type]
        with pytest.raises(DamagedDataError, match=said):
            attach_dataset(folder)


def test_shards_of_two_downloads_are_not_one_split(tmp_path: Path) -> None:
    for names in (["00000-of-00002", "00001-of-00003"], ["00000-of-00002-ab", "00000-of-00002-cd"]):
        folder = tmp_path / names[1]
        for name in names:
            write_parquet(folder / f"test-{name}.parquet", [encoded(PIXELS[0])], [0])
        with pytest.raises(DamagedDataError, match=r"should have 3 files|not one set.*0, 0 of 2"):
            attach_dataset(folder)


@pytest.mark.parametrize(
    ("files", "inside", "labels"),
    [
        ("default/train/0000 default/test/0000", "", {"test": [1], "train": [0]}),
        ("default/train/0000 default/train/0001", "", {"test": [0, 1]}),
        ("default/train/0000 other/train/0000", "", {"test": [0]}),
        (
            "plain_text/train-00000-of-00001 plain_text/test-00000-of-00001",
            "",
            {"test": [1], "train": [0]},
        ),
        (
            "default/partial-train/0000 default/validation/0000",
            "default",
            {"test": [1], "train": [0]},
        ),
        ("a/train/0000 b/test/0000", "a", {"test": [0]}),
        ("training testing", "", {"test": [1], "train": [0]}),
        ("train/part-0 valid/part-0", "", {"test": [1], "train": [0]}),
    ],
)
def test_layouts_of_hugging_face(
    tmp_path: Path, files: str, inside: str, labels: dict[str, list[int]]
) -> None:
    root = tmp_path / "mine"
    for number, name in enumerate(files.split(" ")):
        write_parquet(root / f"{name}.parquet", [encoded(PIXELS[number])], [number])
        (root / name).with_name("._x.parquet").write_bytes(b"left by macOS")
    info = attach_dataset(root / inside)
    assert info.splits == tuple(labels)
    for split, expected in labels.items():
        assert load_dataset(info.name, split).labels.tolist() == expected


def test_one_of_several_configurations_has_to_be_chosen(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_parquet(tmp_path / "d" / name / "train" / "0000.parquet", [encoded(PIXELS[0])], [0])
    with pytest.raises(DamagedDataError, match="several configurations: a, b"):
        attach_dataset(tmp_path / "d")


def test_names_are_numbers_where_the_file_tells_none(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "n.parquet", [encoded(PIXELS[0])] * 2, [0, 2], names=None)
    assert attach_dataset(path).class_names == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize("label", ["label", "fine_label", "kind"])
def test_the_label_column_may_have_another_name(tmp_path: Path, label: str) -> None:
    path = write_parquet(tmp_path / "l.parquet", [encoded(PIXELS[0])] * 2, [0, 1], label=label)
    assert load_dataset(attach_dataset(path).name).labels.tolist() == [0, 1]


def test_a_missing_label_is_unknown(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "l.parquet", [encoded(PIXELS[0])] * 2, [None, 1])
    assert load_dataset(attach_dataset(path).name).labels.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": "picture"}, "'img' or 'image'"),
        ({"labels": ["a", "b"]}, "whole numbers"),
        ({"labels": [0.5, 1.0]}, "whole numbers"),
        ({"labels": [0, 2]}, "0 to 1"),
        ({"labels": [0, -2]}, "0 to 1"),
        ({"labels": [0, 2**63], "label_type": pa.uint64()}, "damaged|0 to 1"),
        ({"labels": [0, 10**9], "names": None}, "labels from 0 to"),
        ({"images": [None, None]}, "no picture"),
        ({"images": [b"", b""]}, "empty"),
        ({"images": [b"text", b"text"]}, "not a picture"),
        ({"images": [], "labels": [], "label_type": pa.int64()}, "no images"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: dict[str, object], said: str) -> None:
    given = {"images": [encoded(PIXELS[0])] * 2, "labels": [0, 1], **change}
    path = write_parquet(tmp_path / "bad.parquet", **given)  # type: ignore[arg-type]
    with pytest.raises(DDRSError, match=said):
        attach_dataset(path)


def test_files_that_would_fill_the_memory_are_refused(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = attach_dataset(small).name
    monkeypatch.setattr(parquet_columns, "MAX_ROWS", 9)
    with pytest.raises(DamagedDataError, match="10 rows"):
        load_dataset(name)
    monkeypatch.setattr(parquet_columns, "MAX_ROWS", 10)
    monkeypatch.setattr(parquet, "MAX_GROUP_BYTES", 500)
    with pytest.raises(DamagedDataError, match="row group"):
        load_dataset(name)[0]


def test_a_column_that_is_no_struct_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"img": ["a.png"], "label": [0]}), tmp_path / "bad.parquet")
    with pytest.raises(DamagedDataError, match="struct"):
        attach_dataset(tmp_path / "bad.parquet")


def test_two_candidates_for_the_label_are_named(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary())])
    table = pa.table({"img": pa.array([{"bytes": b"x"}], kind), "a": [1], "b": [2]})
    pq.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(DamagedDataError, match="a and b"):
        attach_dataset(tmp_path / "bad.parquet")


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_never_ends_in_another_error(small: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(small.read_bytes())
    if seed % 4 == 0:
        data = data[: random.integers(len(data))]
    else:
        for place in random.integers(len(data), size=random.integers(1, 30)):
            data[place] = random.integers(256)
    small.write_bytes(data)
    try:
        dataset = load_dataset(attach_dataset(small).name)
    except DDRSError:
        return
    for index in range(len(dataset)):
        try:
            dataset[index]
        except DDRSError:
            continue


def test_one_broken_picture_leaves_the_others(tmp_path: Path) -> None:
    images: list[bytes | None] = [encoded(PIXELS[0])] * 20
    images[17], images[18], images[19] = b"broken", None, encoded(random_pixels(1, 9, 8, 3)[0])
    dataset = load_dataset(
        attach_dataset(write_parquet(tmp_path / "b.parquet", images, [0] * 20)).name
    )
    assert dataset[16][0].shape == (3, 8, 8)
    for index, said in ((17, "row 17 of b.parquet"), (18, "Row 18"), (19, "8 x 9")):
        with pytest.raises(ImageError, match=said):
            dataset[index]
    images[0], images[3] = None, b"broken"  # early ones say nothing about the others either
    info = attach_dataset(write_parquet(tmp_path / "early.parquet", images, [0] * 20))
    assert info.shape == (3, 8, 8)
    read = load_dataset(info.name).read(range(20))
    assert sorted(read.failures) == [0, 3, 17, 18, 19]


def test_rows_are_numbered_within_their_file(tmp_path: Path) -> None:
    for part in range(2):
        write_parquet(
            tmp_path / "s" / f"test-{part:05}-of-00002.parquet", [encoded(PIXELS[0]), None], [0, 0]
        )
    dataset = load_dataset(attach_dataset(tmp_path / "s").name)
    with pytest.raises(ImageError, match="Row 1 of test-00001-of-00002"):
        dataset[3]


def test_opening_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [encoded(PIXELS[0])] * 50_000
    path = write_parquet(tmp_path / "large.parquet", images, [0] * 50_000, rows=1000)
    name = add_dataset(path).name
    decoded, groups = [], []
    read = decode.read_picture
    monkeypatch.setattr(parquet, "read_picture", lambda *a: decoded.append(1) or read(*a))
    read_group = parquet._Rows._read_group
    monkeypatch.setattr(parquet._Rows, "_read_group", lambda *a: groups.append(1) or read_group(*a))
    dataset = load_dataset(name)
    assert len(dataset) == len(dataset.labels) == 50_000
    assert (decoded, groups) == ([], [])
    dataset[49_999]
    assert (len(decoded), len(groups)) == (1, 1)


def test_many_threads_read_the_same_images(tmp_path: Path) -> None:
    pixels = random_pixels(400, 8, 8, 3)
    path = write_parquet(tmp_path / "t.parquet", list(map(encoded, pixels)), [0] * 400, rows=50)
    dataset = load_dataset(attach_dataset(path).name)
    order = np.random.default_rng(1).permutation(np.tile(np.arange(400), 4))
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda i: dataset[int(i)][0], order))
    for index, image in zip(order, images, strict=True):
        assert torch.equal(image, torch.from_numpy(pixels[index]).permute(2, 0, 1) / 255)


def test_a_changed_file_is_opened_anew(small: Path) -> None:
    name = add_dataset(small).name
    before = load_dataset(name)
    assert load_dataset(name) is before
    write_parquet(small, list(map(encoded, PIXELS[:4])), [2, 1, 0, 2], names=["a", "b", "c"])
    after = load_dataset(name)
    assert len(after) == 4
    assert after.info.class_names == get_dataset_info(name).class_names == ("a", "b", "c")
    assert after.version != before.version


def test_a_file_that_cannot_be_read(small: Path) -> None:
    name = add_dataset(small).name
    os.truncate(small, 100)
    with pytest.raises(DamagedDataError, match="damaged"):
        load_dataset(name)


def test_cifar10_is_the_published_one(shared_data: Path) -> None:
    test, train = load_dataset("cifar10"), load_dataset("cifar10", "train")
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]  # cat, ship, ship, ...
    images, _ = test.tensors(range(1017))  # the lossless ones
    means = images.mean((0, 2, 3))
    # Channel means of CIFAR-10 as published with most models: .4914, .4822, .4465.
    assert torch.allclose(means, torch.tensor([0.4914, 0.4822, 0.4465]), atol=0.01)
    assert train[49_999][0].shape == (3, 32, 32)


def test_cifar10_has_the_original_pixels(shared_data: Path) -> None:
    image = load_dataset("cifar10")[0][0]
    pixels = (image * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    # The first row of test image 0 begins 158, 112, 49 in the original archive.
    assert pixels[0, 0].tolist() == [158, 112, 49]


def test_without_a_column_of_labels_none_is_known(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary())])
    images = pa.array([{"bytes": encoded(pixels)} for pixels in PIXELS[:3]], kind)
    pq.write_table(pa.table({"image": images, "caption": ["a", "b", "c"]}), tmp_path / "n.parquet")
    info = attach_dataset(tmp_path / "n.parquet")
    assert info.class_names == ()
    assert "without labels" in info.description
    assert load_dataset(info.name).labels.tolist() == [-1] * 3
    pq.write_table(pa.table({"image": images, "labels": ["a", "b", "c"]}), tmp_path / "t.parquet")
    with pytest.raises(DamagedDataError, match="whole numbers"):
        attach_dataset(tmp_path / "t.parquet")


def test_an_early_row_without_a_picture_is_one_failure(tmp_path: Path) -> None:
    pictures = [None, *map(encoded, PIXELS[:3])]
    path = write_parquet(tmp_path / "null.parquet", pictures, [0, 1, 0, 1])
    read = load_dataset(attach_dataset(path).name).read(range(4))
    assert read.indices == [1, 2, 3]
    assert read.failures.keys() == {0}
    assert "Row 0 of null.parquet holds no picture" in read.failures[0]
