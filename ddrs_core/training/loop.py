"""The training loop as a generator, and the accuracies that go on a model's card."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ddrs_core.data import load_dataset
from ddrs_core.errors import MismatchError, require_count, require_number, unknown_name
from ddrs_core.models import (
    Classifier,
    ModelCard,
    NoisyForward,
    Normalization,
    build_classifier,
    noise_generator,
    spread_images,
    weights_digest,
)
from ddrs_core.models.architectures import get_architecture
from ddrs_core.models.classifier import with_card
from ddrs_core.training.config import BatchSummary, EpochSummary, TrainConfig
from ddrs_core.training.gaussian import gaussian_loss

# (classifier, images [B, C, H, W], labels [B], sigma, generator) -> loss, logits [B, K]
LossFunction = Callable[[nn.Module, Tensor, Tensor, float, torch.Generator], tuple[Tensor, Tensor]]

_MEASURED_IMAGES = 1000

METHODS: dict[str, LossFunction] = {"gaussian": gaussian_loss}


def train_steps(config: TrainConfig, device: torch.device) -> Iterator[BatchSummary | EpochSummary]:
    """Train a classifier from scratch with SGD, momentum and a cosine schedule.

    Yields:
        A summary of every batch and every epoch; the last one carries the trained classifier, in
        eval mode and frozen.

    Raises:
        DDRSError: for a name or number in the configuration that makes no sense.
    """
    if config.method not in METHODS:
        raise unknown_name("training method", config.method, METHODS)
    require_number("sigma (noise level)", config.sigma, above=0.0, below=100.0)
    require_number("lr (learning rate)", config.lr, above=0.0)
    require_count("epochs", config.epochs)
    require_number("momentum", config.momentum, above=-1e-9, below=1.0)
    require_number("weight decay", config.weight_decay, above=-1e-9)
    require_count("seed", config.seed, at_least=0, at_most=2**63 - 1)
    architecture = get_architecture(config.architecture)
    train = load_dataset(config.dataset, "train")
    require_count("batch size", config.batch_size, at_least=2, at_most=len(train))
    if architecture.shape != train.info.shape:
        raise MismatchError(
            f"Architecture {architecture.name!r} takes images of shape "
            f"{list(architecture.shape)}, but {train.info.title} has {list(train.info.shape)}."
        )
    return _train(config, device, train.tensors(), train.info.num_classes, architecture.shape)


def _train(
    config: TrainConfig,
    device: torch.device,
    data: tuple[Tensor, Tensor],
    num_classes: int,
    shape: tuple[int, int, int],
) -> Iterator[BatchSummary | EpochSummary]:
    images, labels = (t.to(device) for t in data)
    classifier = _new_classifier(config, images, num_classes, shape).to(device)
    loss_function = METHODS[config.method]
    optimizer = torch.optim.SGD(
        classifier.parameters(), config.lr, config.momentum,
        weight_decay=config.weight_decay, nesterov=config.momentum > 0,
    )  # fmt: skip
    batches = len(images) // config.batch_size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs * batches)
    order_generator = noise_generator(config.seed, 0, "train order")
    noise = noise_generator(config.seed, 0, "train noise", device)
    for epoch in range(1, config.epochs + 1):
        started, loss_sum, right = time.perf_counter(), 0.0, 0.0
        lr = float(schedule.get_last_lr()[0])
        order = torch.randperm(len(images), generator=order_generator).to(device)
        classifier.train()
        for batch in range(1, batches + 1):
            chosen = order[(batch - 1) * config.batch_size : batch * config.batch_size]
            with torch.enable_grad():
                loss, logits = loss_function(
                    classifier, images[chosen], labels[chosen], config.sigma, noise
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
            optimizer.step()
            schedule.step()
            accuracy = float((logits.argmax(1) == labels[chosen]).float().mean())
            loss_sum, right = loss_sum + float(loss.detach()), right + accuracy
            yield BatchSummary(epoch, batch, batches, float(loss.detach()), accuracy)
        done = None
        if epoch == config.epochs:
            done = classifier.eval().requires_grad_(False)
            with_card(done, digest=weights_digest(done.network))
        yield EpochSummary(
            epoch, config.epochs, loss_sum / batches, right / batches, lr,
            time.perf_counter() - started, done,
        )  # fmt: skip


def _new_classifier(
    config: TrainConfig, images: Tensor, num_classes: int, shape: tuple[int, int, int]
) -> Classifier:
    mean = tuple(round(float(v), 4) for v in images.mean(dim=(0, 2, 3)))
    std = tuple(round(float(v), 4) for v in images.std(dim=(0, 2, 3)))
    card = ModelCard(
        name=config.model_name,
        architecture=config.architecture,
        dataset=config.dataset,
        num_classes=num_classes,
        shape=shape,
        normalization=Normalization(mean, std),
        method=config.method,
        sigma=config.sigma,
        seed=config.seed,
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # leaves the GPUs' generators alone
        return build_classifier(card)


def measure_accuracy(
    classifier: Classifier,
    dataset: str,
    sigmas: tuple[float, ...],
    *,
    copies: int = 10,
    precision: str = "auto",
) -> dict[str, float]:
    """Accuracy on up to 1,000 test images, without noise (``clean``) and under noise
    (``noise 0.25``).

    Under noise it is the share of noisy copies, ``copies`` of each image, that f itself gets
    right; no vote is taken.
    """
    test = load_dataset(dataset, "test")
    chosen = spread_images(test, _MEASURED_IMAGES)
    images, labels = test.tensors(chosen)
    forward = NoisyForward(classifier, precision=precision)
    rows = torch.arange(len(labels))
    result = {}
    for sigma, count in ((0.0, 1), *((s, copies) for s in sigmas)):
        generators = [noise_generator(0, i, "accuracy", forward.device) for i in chosen]
        counts = forward.votes(images, torch.full((len(images),), sigma), count, generators)
        share = counts[rows.numpy(), labels.numpy()].sum() / (count * len(labels))
        result["clean" if sigma == 0 else f"noise {sigma:.2f}"] = round(float(share), 4)
    return result
