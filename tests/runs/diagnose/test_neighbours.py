"""The nearest training images, against all distances computed one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddrs_core.data import Dataset, DatasetInfo
from ddrs_core.runs.diagnose import neighbours
from ddrs_core.runs.diagnose.neighbours import NEAREST, nearest_images

CLASSES = 7


def training_of(count: int) -> Dataset:
    images = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    labels = np.random.default_rng(2).integers(-1, CLASSES, count)
    info = DatasetInfo("d", "D", "", tuple(map(str, range(CLASSES))), (1, 4, 4))
    return Dataset(info, "train", images, labels)


def test_they_are_the_nearest_of_all_and_of_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 37)
    training = training_of(300)
    images = torch.cat([torch.rand(2, 1, 4, 4), training.tensors([42])[0]])
    *_, (share, found) = nearest_images(images, training, [None, None, 42])
    assert share == 1
    for image, near, itself in zip(images, found, (None, None, 42), strict=True):
        wanted = [float((training[i][0] - image).double().norm()) for i in range(300)]
        order = sorted((i for i in range(300) if i != itself), key=lambda i: wanted[i])
        assert [n.index for n in near.found[:NEAREST]] == order[:NEAREST]
        distances = [wanted[n.index] for n in near.found]
        assert [n.distance for n in near.found] == pytest.approx(distances)
        for label in range(CLASSES):
            first = next(i for i in order if training.label(i) == label)
            assert (near.of(label) or near.found[0]).index == first
        assert list(near.by_class) == sorted(near.by_class, key=lambda k: near.by_class[k].distance)
        assert -1 not in near.by_class
        assert sum(near.votes.values()) == NEAREST


def test_an_image_that_is_a_training_image_lies_at_no_distance() -> None:
    training = training_of(20)
    *_, (_, (near,)) = nearest_images(training.tensors([5])[0], training)
    assert near.found[0].index == 5
    assert near.found[0].distance == pytest.approx(0, abs=1e-4)
