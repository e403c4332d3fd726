"""What the first batch-norm layer stores of the images that a network was trained on.

Where a network begins with a convolution and a batch-norm, the latter's running mean and variance
are those of a linear map of the training images. With the right normalisation the same map gives
about the same mean on other images, and a variance that lacks only the share of the training
noise: V = A + sigma^2 B for each channel, where A is the variance on clean images and B that of
the noise alone. Both normalisation and training noise can thus be told from the file, without a
label.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddrs_core.models.classifier import Normalization


@dataclass(frozen=True)
class StatisticsFit:
    """How images agree with the statistics of the first batch-norm layer.

    ``mismatch`` is 0 for perfect agreement (squared differences of means in units of the standard
    deviation, and of the logarithms of the variances, averaged over channels); ``sigma`` is the
    training noise that explains the variances best, on the scale of pixels in [0, 1].
    """

    mismatch: float
    sigma: float


class _Seen(Exception):  # noqa: N818 - ends a forward pass, and is no error
    def __init__(self, inputs: Tensor) -> None:
        super().__init__()
        self.inputs = inputs


def fit_statistics(
    network: nn.Module, normalization: Normalization, images: Tensor
) -> StatisticsFit | None:
    """Compare images [M, C, H, W] in [0, 1] with the first batch-norm's running statistics.

    Returns:
        None where the network does not begin with a convolution and a batch-norm.
    """
    norm = _first_norm(network, images[:1])
    if norm is None or norm.running_mean is None or norm.running_var is None:
        return None
    mean = torch.tensor(normalization.mean).view(1, -1, 1, 1)
    std = torch.tensor(normalization.std).view(1, -1, 1, 1)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        clean = _inputs(network, norm, (images - mean) / std)
        alone = _inputs(network, norm, noise / std)
        stored_mean, stored = norm.running_mean.double(), norm.running_var.double()
        if not (stored > 0).all():
            return None
        a = _variance(clean).clamp_min(1e-12)
        b = _variance(alone).clamp_min(1e-12)
        shift = _mean(clean) - stored_mean
        sigmas = torch.cat([torch.zeros(1), torch.logspace(-2, 0.5, 251)]).double()
        spread = (a + sigmas[:, None] ** 2 * b).log() - stored.log()  # [S, channels]
        misfits = spread.square().mean(1)
        best = int(misfits.argmin())
        mismatch = float((shift.square() / stored).mean() + misfits[best])
    return StatisticsFit(mismatch, float(sigmas[best]))


def _mean(x: Tensor) -> Tensor:
    return x.double().mean(dim=(0, 2, 3))


def _variance(x: Tensor) -> Tensor:
    return x.double().var(dim=(0, 2, 3))


def _first_norm(network: nn.Module, x: Tensor) -> nn.BatchNorm2d | None:
    """The batch-norm that is called second, right after a convolution."""
    called: list[nn.Module] = []

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        called.append(module)
        if len(called) == 2:
            raise _Seen(args[0])

    leaves = [m for m in network.modules() if not any(True for _ in m.children())]
    hooks = [module.register_forward_pre_hook(note) for module in leaves]
    try:
        with torch.inference_mode():
            network(x)
    except _Seen:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    if len(called) == 2 and isinstance(called[0], nn.Conv2d):
        return called[1] if isinstance(called[1], nn.BatchNorm2d) else None
    return None


def _inputs(network: nn.Module, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """What the batch-norm is given for normalised images; the rest is not computed."""

    def stop(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        raise _Seen(args[0])

    hook = norm.register_forward_pre_hook(stop)
    try:
        network(x)
    except _Seen as seen:
        return seen.inputs
    finally:
        hook.remove()
    raise AssertionError("the first batch-norm was not reached")
