"""Pictures of any size as images for a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from ddrs_core.data.images.preprocess import fit_picture
from tests.data.conftest import random_pixels


@pytest.mark.parametrize("size", [(300, 400), (500, 333), (224, 224), (40, 30), (257, 1000)])
def test_as_torchvision_prepares_imagenet(size: tuple[int, int]) -> None:
    """resize 256 (bilinear), crop 224: what ``ResNet50_Weights.IMAGENET1K_V1`` documents."""
    image = Image.fromarray(random_pixels(1, size[1], size[0], 3)[0])
    published = transforms.Compose(
        [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
    )
    assert torch.equal(fit_picture(image, (3, 224, 224)), published(image))


@pytest.mark.parametrize("size", [(300, 400), (32, 32), (20, 10), (33, 32)])
def test_small_images_keep_their_edges(size: tuple[int, int]) -> None:
    image = Image.fromarray(random_pixels(1, size[1], size[0], 3)[0])
    published = transforms.Compose(
        [transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor()]
    )
    assert torch.equal(fit_picture(image, (3, 32, 32)), published(image))


@pytest.mark.parametrize("size", [(1, 1), (1, 40_000), (40_000, 1), (3, 7), (1000, 999)])
@pytest.mark.parametrize("shape", [(3, 224, 224), (1, 8, 8), (3, 32, 64), (3, 300, 128)])
def test_every_size_gives_every_shape(size: tuple[int, int], shape: tuple[int, int, int]) -> None:
    tensor = fit_picture(Image.new("RGB", size, (255, 0, 51)), shape)
    assert tensor.shape == shape
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    for plane in tensor:  # one colour stays one colour
        assert float(plane.max() - plane.min()) == 0


def test_grey_and_colour() -> None:
    grey = Image.fromarray(random_pixels(1, 16, 16)[0])
    as_colour = fit_picture(grey, (3, 16, 16))
    assert torch.equal(
        as_colour, torch.from_numpy(np.array(grey) / np.float32(255)).expand(3, 16, 16)
    )
    red = fit_picture(Image.new("RGB", (16, 16), "red"), (1, 16, 16))
    assert float(red.mean()) == pytest.approx(0.299, abs=0.005)  # ITU-R 601 luma
