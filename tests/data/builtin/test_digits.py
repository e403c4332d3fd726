"""The digits: all of scikit-learn's, split once and for all."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ddrs_core.data import list_datasets, load_dataset
from ddrs_core.data.builtin import digits
from ddrs_core.data.builtin.digits import load_digits_split
from ddrs_core.data.dataset import image_digest
from ddrs_core.errors import InvalidParameterError, UnknownNameError


def test_the_splits_hold_every_digit_once() -> None:
    train, _ = load_digits_split("train")
    test, _ = load_digits_split("test")
    assert (len(train), len(test)) == (1297, 500)
    ours = torch.cat([train, test]).flatten(1).numpy() * 16
    from sklearn.datasets import load_digits

    theirs = load_digits().data
    assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs))


def test_labels_belong_to_their_images() -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    label_of = {tuple(row): int(t) for row, t in zip(bunch.data, bunch.target, strict=True)}
    for split in ("train", "test"):
        images, labels = load_digits_split(split)
        rows = images.flatten(1).numpy() * 16
        assert [label_of[tuple(r)] for r in rows] == labels.tolist()


def test_the_library_stands_in_for_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = digits._load_table()
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    np.testing.assert_array_equal(digits._load_table(), ours)


def test_every_class_is_in_both_splits() -> None:
    for split, per_class in (("train", 130), ("test", 50)):
        counts = np.bincount(load_dataset("digits", split).labels, minlength=10)
        assert len(counts) == 10
        assert (abs(counts - per_class) < 0.4 * per_class).all()


def test_images_are_float32_in_the_unit_range() -> None:
    images, labels = load_dataset("digits").tensors()
    assert images.dtype == torch.float32
    assert images.shape == (500, 1, 8, 8)
    assert float(images.min()) == 0.0
    assert float(images.max()) == 1.0
    assert labels.dtype == torch.int64


def test_the_split_never_changes() -> None:
    first, labels = load_digits_split("test")
    again, labels_again = load_digits_split("test")
    assert torch.equal(first, again)
    assert (labels == labels_again).all()
    # Published with the shipped models: another order would silently test on training images.
    assert image_digest(first) == "8406fbf450bf83c9"


def test_the_caller_may_change_an_image() -> None:
    dataset = load_dataset("digits")
    image, label = dataset[3]
    kept = image.clone()
    image.fill_(7.0)
    assert torch.equal(dataset[3][0], kept)
    assert dataset[3][1] == label == int(dataset.labels[3])


@pytest.mark.parametrize("index", [-1, 500, 10**9, math.nan])
def test_an_index_out_of_range_names_the_range(index: int) -> None:
    with pytest.raises(InvalidParameterError, match="0 to 499"):
        load_dataset("digits")[index]


def test_some_images_by_index() -> None:
    dataset = load_dataset("digits")
    images, labels = dataset.tensors([7, 2])
    assert torch.equal(images[1], dataset[2][0])
    assert labels.tolist() == [dataset[7][1], dataset[2][1]]


def test_unknown_names_propose_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="digits"):
        load_dataset("digit")
    with pytest.raises(UnknownNameError, match="train"):
        load_dataset("digits", "trian")


def test_the_list_can_be_opened() -> None:
    for info in list_datasets():
        dataset = load_dataset(info.name)
        assert tuple(dataset[0][0].shape) == info.shape
        assert int(dataset.labels.max()) < info.num_classes
