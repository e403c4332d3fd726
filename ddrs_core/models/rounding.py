"""Weights in half precision, so that files are half as large."""

from __future__ import annotations

import torch

from ddrs_core.models.classifier import Classifier, weights_digest, with_card


def round_weights(classifier: Classifier) -> None:
    """Round every matrix and filter of the network to what half precision can hold, in place.

    Biases and batch statistics, which are few, stay as they are. What does not fit into half
    precision's range stays too.
    """
    with torch.no_grad():
        for tensor in classifier.network.state_dict().values():
            rounded = tensor.half().float()
            if tensor.is_floating_point() and tensor.ndim > 1 and rounded.isfinite().all():
                tensor.copy_(rounded)
    with_card(classifier, digest=weights_digest(classifier.network))
