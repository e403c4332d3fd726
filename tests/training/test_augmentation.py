"""Augmentation moves pixels about and makes none up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ddrs_core.training.augmentation import AUGMENTATIONS, flip, flip_and_shift, keep, shift

ROWS = 600


@pytest.fixture(scope="module")
def photos() -> Tensor:
    """Random images [B, 3, 16, 24]: an eighth is 2 rows and 3 columns."""
    return torch.rand((ROWS, 3, 16, 24), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def chance() -> Tensor:
    return torch.rand((ROWS, 3), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shapes_stay_and_the_input_too(name: str, photos: Tensor, chance: Tensor) -> None:
    kept = photos.clone(), chance.clone()
    out = AUGMENTATIONS[name](photos, chance)
    assert (out.shape, out.dtype) == (photos.shape, photos.dtype)
    assert torch.equal(photos, kept[0])
    assert torch.equal(chance, kept[1])
    assert torch.equal(out, AUGMENTATIONS[name](photos, chance))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_value_is_one_of_the_image_s_own(name: str, photos: Tensor, chance: Tensor) -> None:
    out = AUGMENTATIONS[name](photos, chance)
    for before, after in zip(photos[:20], out[:20], strict=True):
        for channel in range(3):
            assert set(after[channel].flatten().tolist()) <= set(before[channel].flatten().tolist())


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_image_s_share_of_chance_decides_alone(
    name: str, photos: Tensor, chance: Tensor
) -> None:
    """So that several processes can share a batch."""
    whole = AUGMENTATIONS[name](photos, chance)
    halves = [AUGMENTATIONS[name](p, c) for p, c in zip(photos.chunk(2), chance.chunk(2))]  # noqa: B905
    assert torch.equal(whole, torch.cat(halves))


def test_none_is_none(photos: Tensor, chance: Tensor) -> None:
    assert torch.equal(keep(photos, chance), photos)


def test_half_of_the_images_are_mirrored_and_twice_is_never(photos: Tensor, chance: Tensor) -> None:
    out = flip(photos, chance)
    mirrored = (out == photos.flip(3)).flatten(1).all(1)
    same = (out == photos).flatten(1).all(1)
    assert bool((mirrored ^ same).all())
    assert 0.4 < float(mirrored.float().mean()) < 0.6
    assert torch.equal(flip(out, chance), photos)


def offsets(photos: Tensor, out: Tensor, most: tuple[int, int]) -> list[tuple[int, int]]:
    """By how much each image was moved, found by trying; its border is mirrored as in numpy."""
    found = []
    (high, wide), (height, width) = most, photos.shape[2:]
    for before, after in zip(photos.numpy(), out.numpy(), strict=True):
        padded = np.pad(before, ((0, 0), (high, high), (wide, wide)), mode="reflect")
        fitting = [
            (y - high, x - wide)
            for y in range(2 * high + 1)
            for x in range(2 * wide + 1)
            if np.array_equal(padded[:, y : y + height, x : x + width], after)
        ]
        assert len(fitting) == 1
        found += fitting
    return found


def test_a_shift_moves_by_up_to_an_eighth_and_mirrors_the_border(
    photos: Tensor, chance: Tensor
) -> None:
    found = offsets(photos, shift(photos, chance), (2, 3))
    for axis, most in ((0, 2), (1, 3)):
        shares = np.bincount([o[axis] + most for o in found], minlength=2 * most + 1) / ROWS
        expected = 1 / (2 * most + 1)
        assert shares == pytest.approx([expected] * (2 * most + 1), abs=0.07)  # uniform
    rows, columns = np.array(found).T
    assert abs(float(np.corrcoef(rows, columns)[0, 1])) < 0.15


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (32, 32), (7, 7)])
def test_chance_in_the_middle_moves_nothing(size: tuple[int, int]) -> None:
    images = torch.rand((4, 1, *size))
    assert torch.equal(shift(images, torch.full((4, 3), 0.5)), images)


def test_the_extremes_of_chance_stay_inside() -> None:
    images = torch.rand((2, 1, 8, 8))
    extremes = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])  # 1.0 cannot be drawn, but near
    assert offsets(images, shift(images, extremes), (1, 1)) == [(-1, -1), (1, 1)]


def test_both_together(photos: Tensor, chance: Tensor) -> None:
    assert torch.equal(flip_and_shift(photos, chance), flip(shift(photos, chance), chance))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_distribution_of_pixels_stays(name: str, chance: Tensor) -> None:
    """A ramp towards a bright border, whose mean padding with zeros would lower by 9 %."""
    ramp = (torch.arange(24.0) / 23).expand(ROWS, 3, 16, 24)
    out = AUGMENTATIONS[name](ramp, chance)
    assert float(out.mean()) == pytest.approx(float(ramp.mean()), rel=0.02)
    assert float(out.std()) == pytest.approx(float(ramp.std()), rel=0.05)
