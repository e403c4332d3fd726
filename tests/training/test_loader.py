"""Batches are the same whether images lie in memory or are decoded ahead."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ddrs_core.data import DamagedDataError, Dataset, attach_dataset, load_dataset
from ddrs_core.training import SigmaTraining, TrainConfig, loop, train_steps
from ddrs_core.training.loader import ImageFeed
from tests.data.conftest import encoded, random_pixels, write_parquet
from tests.data.layouts import digit_folders

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path / "home"))


def digits(folder: Path) -> Dataset:
    return load_dataset("digits", "train")


def parquet(folder: Path) -> Dataset:
    files = list(map(encoded, random_pixels(11, 8, 8, 3)))
    for split in ("train", "test"):
        path = folder / "small" / f"{split}-00000-of-00001.parquet"
        write_parquet(path, files, [0, 1] * 5 + [1])
    return load_dataset(attach_dataset(folder / "small").name, "train")


def photographs(folder: Path) -> Dataset:
    for number, part in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        there = folder / "animals" / part
        there.mkdir(parents=True)
        for i, pixels in enumerate(random_pixels(5, 40, 30, 3, seed=number)):
            (there / f"{i}.png").write_bytes(encoded(pixels))
    name = attach_dataset(folder / "animals", size=32).name
    return load_dataset(name, "train")


@pytest.fixture(params=[digits, parquet, photographs], ids=lambda f: f.__name__)
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    opened: Dataset = request.param(tmp_path)
    return opened


def plan_for(dataset: Dataset, size: int = 3, batches: int = 12) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return list(torch.randint(len(dataset), (batches, size), generator=generator))


def test_both_ways_give_the_images_that_are_asked_for(dataset: Dataset) -> None:
    plan = plan_for(dataset)
    memory, ahead = ImageFeed(dataset, CPU), ImageFeed(dataset, CPU, in_memory_bytes=0)
    assert torch.equal(memory.labels, torch.from_numpy(dataset.labels))
    assert torch.equal(ahead.labels, memory.labels)
    in_memory, decoded = list(memory.batches(plan)), list(ahead.batches(plan))
    assert len(in_memory) == len(decoded) == len(plan)
    for indices, one, other in zip(plan, in_memory, decoded, strict=True):
        assert torch.equal(one, other)
        for index, image in zip(indices.tolist(), one, strict=True):
            assert torch.equal(image, dataset[index][0])


def test_a_sample_is_evenly_spaced(dataset: Dataset) -> None:
    ahead = ImageFeed(dataset, CPU, in_memory_bytes=0)
    sample = ahead.sample(5)
    assert 5 <= len(sample) <= 7
    step = len(dataset) // 5
    assert torch.equal(sample[1], dataset[step][0])
    assert torch.equal(ahead.sample(10**6), ImageFeed(dataset, CPU).sample(5))


@dataclasses.dataclass
class Slow:
    """An image source that notes what was decoded."""

    decoded: list[int]
    length: int = 400

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        if index == 13:
            raise OSError("image 13 is damaged")
        self.decoded.append(index)
        return torch.full((1, 8, 8), index / self.length)


def slow_dataset() -> tuple[Dataset, Slow]:
    real = load_dataset("digits", "train")
    source = Slow([])
    return Dataset(real.info, "train", source, real.labels[:400]), source


def test_only_a_few_batches_are_decoded_ahead() -> None:
    dataset, source = slow_dataset()
    plan = list(torch.arange(20, 400).split(10))
    batches = ImageFeed(dataset, CPU, in_memory_bytes=0).batches(plan)
    first = next(batches)
    time.sleep(0.05)
    assert float(first[0, 0, 0, 0]) == pytest.approx(20 / 400)
    assert 10 <= len(source.decoded) <= 50
    batches.close()  # type: ignore[attr-defined]
    assert len(source.decoded) <= 50


def test_a_damaged_image_is_an_error_at_its_batch() -> None:
    dataset, _ = slow_dataset()
    batches = ImageFeed(dataset, CPU, in_memory_bytes=0).batches(list(torch.arange(40).split(5)))
    next(batches)
    next(batches)
    with pytest.raises(OSError, match="13"):
        list(batches)


@pytest.mark.slow
def test_training_is_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(
        "digits",
        "digits_cnn",
        epochs=2,
        batch_size=432,
        data_dependent=SigmaTraining(),
        augmentation="shift",
        precision="fp32",
    )

    def digest() -> str:
        *_, last = train_steps(config, CPU)
        digest: str = last.classifier.card.digest  # type: ignore[union-attr]
        return digest

    expected = digest()
    feed: Callable[..., ImageFeed] = partial(ImageFeed, in_memory_bytes=0)
    monkeypatch.setattr(loop, "ImageFeed", feed)
    assert digest() == expected


@pytest.mark.parametrize("in_memory_bytes", [0, 1 << 30])
def test_images_that_cannot_be_used_are_left_out_with_their_labels(
    tmp_path: Path, in_memory_bytes: int
) -> None:
    """Number 2 is damaged, 3 has no label, and the last one no picture: 4 and 0 step in."""
    files: list[bytes | None] = list(map(encoded, random_pixels(11, 8, 8, 3)))
    files[2], files[10] = b"broken", None
    labels = [0, 1, 0, None, 1, 0, 1, 0, 1, 0, 1]
    path = write_parquet(tmp_path / "train.parquet", files, labels)
    dataset = load_dataset(attach_dataset(path).name)
    feed = ImageFeed(dataset, CPU, in_memory_bytes=in_memory_bytes)
    (images,) = feed.batches([torch.arange(11)])
    for place, source in {1: 1, 2: 4, 3: 4, 4: 4, 10: 0}.items():
        assert torch.equal(images[place], dataset[source][0])
        assert int(feed.labels[place]) == dataset.labels[source]
    assert sorted(feed.excluded) == [2, 3, 10]
    assert "3 of 11 training images" in feed.note
    assert "image 3: Image 3 has no label." in feed.note
    assert dataset.labels[3] == -1  # the data set itself is shared


def test_nothing_but_damage_is_said(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", [encoded(random_pixels(1, 8, 8)[0])] * 3, [0] * 3)
    dataset = load_dataset(attach_dataset(path).name)
    with pytest.raises(DamagedDataError, match="No training image can be used"):
        ImageFeed(dataclasses.replace(dataset, labels=dataset.labels - 1), CPU)


def test_a_training_goes_on_without_a_damaged_image_and_says_so(tmp_path: Path) -> None:
    digit_folders(tmp_path / "mine" / "train", 3, ["2/1.png"])
    digit_folders(tmp_path / "mine" / "test", 1)
    name = attach_dataset(tmp_path / "mine", size=32).name
    config = TrainConfig(name, "cifar_resnet20", epochs=1, batch_size=15, precision="fp32")
    *_, last = train_steps(config, CPU)
    assert "2/1.png" in last.excluded  # type: ignore[union-attr]
