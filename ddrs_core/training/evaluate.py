"""The accuracies that go on a model's card."""

from __future__ import annotations

import torch

from ddrs_core.data import load_dataset
from ddrs_core.models import Classifier, NoisyForward, noise_generator, spread_images

_MEASURED_IMAGES = 1000


def measure_accuracy(
    classifier: Classifier,
    dataset: str,
    sigmas: tuple[float, ...],
    *,
    copies: int = 10,
    precision: str = "auto",
) -> dict[str, float]:
    """Accuracy on up to 1,000 test images, without noise (``clean``) and under noise
    (``noise 0.25``); nothing where no test image has a label.

    Under noise it is the share of noisy copies, ``copies`` of each image, that f itself gets
    right; no vote is taken.
    """
    test = load_dataset(dataset, "test")
    read = test.read(spread_images(test, _MEASURED_IMAGES))
    chosen, images, labels = read.indices, read.images, read.labels
    if not chosen:
        return {}
    forward = NoisyForward(classifier, precision=precision)
    rows = torch.arange(len(labels))
    result = {}
    for sigma, count in ((0.0, 1), *((s, copies) for s in sigmas)):
        generators = [noise_generator(0, i, "accuracy", forward.device) for i in chosen]
        counts = forward.votes(images, torch.full((len(images),), sigma), count, generators)
        share = counts[rows.numpy(), labels.numpy()].sum() / (count * len(labels))
        result["clean" if sigma == 0 else f"noise {sigma:.2f}"] = round(float(share), 4)
    return result
