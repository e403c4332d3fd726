"""The accuracies that go on a model's card."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ddrs_core.data import load_dataset
from ddrs_core.models import Classifier, NoisyForward, noise_generator, spread_images
from ddrs_core.smoothing import Bound, CertificationBudget, SmoothedClassifier
from ddrs_core.smoothing.confidence import radius_cap

_MEASURED_IMAGES = 1000
_CERTIFIED_IMAGES = 100
_CERTIFIED_BUDGET = CertificationBudget(n0=100, n=1000, alpha=0.001, bound=Bound.ONE_SIDED)
_RADIUS_STEP = 0.25  # in l2, pixels in [0, 1]: as in published tables


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


def measure_certified(
    classifier: Classifier, dataset: str, sigma: float, *, precision: str = "auto"
) -> dict[str, Any]:
    """Certified accuracy of up to 100 test images at one sigma, from 1,000 votes each, one-sided
    at alpha = 0.001: ``accuracy`` at each of ``radii``, and the protocol. Empty where no test image
    has a label.

    The radii end where even a unanimous vote proves no more.
    """
    test = load_dataset(dataset, "test")
    read = test.read(spread_images(test, _CERTIFIED_IMAGES))
    if not read.indices:
        return {}
    forward = NoisyForward(classifier, precision=precision)
    *_, last = SmoothedClassifier(forward, classifier.card.num_classes).certify_batch(
        read.images,
        sigmas=[sigma] * len(read.images),
        budget=_CERTIFIED_BUDGET,
        indices=read.indices,
        labels=read.labels.tolist(),
    )
    reached = np.array([c.radius if c.correct else -1.0 for c in last.certificates])
    cap = float(radius_cap(sigma, _CERTIFIED_BUDGET.n, _CERTIFIED_BUDGET.alpha))
    radii = [float(r) for r in np.arange(0.0, cap, _RADIUS_STEP)]
    return {
        "images": len(reached),
        "sigma": sigma,
        "n": _CERTIFIED_BUDGET.n,
        "alpha": _CERTIFIED_BUDGET.alpha,
        "bound": str(_CERTIFIED_BUDGET.bound),
        "precision": forward.precision,
        "radii": radii,
        "accuracy": [round(float((reached >= r).mean()), 4) for r in radii],
    }
