"""The fast forward pass over noisy copies.

Images lie in memory channels last, batch-norm is fused into the convolutions, and the number format
is that of the model's card where the hardware has it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ddrs_core.errors import InvalidParameterError, MismatchError
from ddrs_core.models.classifier import Classifier, weights_digest
from ddrs_core.models.inference.allocator import keep_freed_memory
from ddrs_core.models.inference.bfloat16 import emulate_bfloat16
from ddrs_core.models.inference.cpu_pool import CpuPool, cpu_pool
from ddrs_core.models.inference.device import (
    Precision,
    choose_precision,
    device_info,
    without_tf32,
)
from ddrs_core.models.inference.device_memory import MemoryLimit, batch_that_fits
from ddrs_core.models.inference.execution import execution_text
from ddrs_core.models.inference.fuse_batchnorm import PlainFunction, fuse_batchnorm
from ddrs_core.models.inference.gradients import checkpointed, data_parallel_cpu
from ddrs_core.models.inference.noise import NoiseStream
from ddrs_core.models.inference.pass_cost import PassCost, measure_pass
from ddrs_core.models.inference.pixels import check_pixels
from ddrs_core.models.inference.votes import REPORT_SECONDS, VoteCounts, VoteLoop, not_a_number

T = TypeVar("T")

# input values a batch: 256 and 4,096 CIFAR images
_BATCH_VALUES = {"cpu": 3 << 18, "cuda": 3 << 22}


class NoisyForward:
    """Evaluates one network on x + sigma * eps, as fast as the device allows.

    Args:
        f: [B, C, H, W] in [0, 1] -> logits [B, K], in eval mode. Its tensors are not touched: the
            fast path works on a converted copy. It decides the device.
        num_classes: K; found out by trying when omitted.
        precision: ``fp32``, ``bf16`` or ``auto`` (the model card's, where it is native here).
        batch_size: samples a batch; chosen from the input size when omitted.

    Raises:
        InvalidParameterError: for an unknown precision or a batch size below 1.
        MismatchError: if there are fewer than two classes, or the model's card has another number.
    """

    def __init__(
        self,
        f: nn.Module | Callable[[Tensor], Tensor],
        num_classes: int | None = None,
        *,
        precision: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        f = f if isinstance(f, nn.Module) else PlainFunction(f)
        if any(module.training for module in f.modules()):
            raise InvalidParameterError(
                "The classifier is in training mode; call f.eval() first, since its answers "
                "would otherwise depend on the other images of a batch."
            )
        if batch_size is not None and batch_size < 1:
            raise InvalidParameterError(f"The batch size must be at least 1, not {batch_size}.")
        first = next((t for t in (*f.parameters(), *f.buffers())), torch.empty(0))
        card = f.card if isinstance(f, Classifier) else None
        if num_classes is not None and num_classes < 2:
            raise MismatchError(f"A classifier has at least 2 classes, not {num_classes}.")
        if card and num_classes not in (None, card.num_classes):
            raise MismatchError(
                f"{card.name} has {card.num_classes} classes, but {num_classes} were announced."
            )
        self.device = first.device
        if self.device.type == "cpu":
            keep_freed_memory()
        self._num_classes = card.num_classes if card else num_classes
        self.digest = card.digest if card else weights_digest(f)
        self.name = card.name if card else type(f).__name__
        self.shape = card.shape if card else None
        lowest: Precision = card.precision if card else "fp32"
        self.precision = choose_precision(precision, self.device, lowest)
        native = self.device.type != "cpu" or device_info("cpu").native_bf16
        self._emulates = self.precision == "bf16" and not native
        self._batch_size = batch_size
        self._limit = MemoryLimit(self.device, self.name)
        self._gradient_limit = MemoryLimit(self.device, f"a gradient of {self.name}")
        self._costs: dict[tuple[int, ...], PassCost] = {}
        self._is_module = not isinstance(f, PlainFunction)  # a stranger's function may keep state
        self._unfused: nn.Module | None = f
        self._fusing = threading.Lock()
        if self.shape is not None:
            self._fused(self.shape)

    def batch_size(self, shape: Sequence[int]) -> int:
        """Samples a batch for images [C, H, W]: 8 to 4096, or fewer where memory is short."""
        if self._batch_size is not None:
            return self._limit.capped(self._batch_size)
        wanted = _BATCH_VALUES.get(self.device.type, _BATCH_VALUES["cpu"]) // max(
            1, math.prod(shape)
        )
        most = 4096 if self.device.type == "cuda" else 1024
        wanted = max(8, min(most, 1 << max(0, wanted.bit_length() - 1)))
        return self._limit.fitting(wanted, self._together(shape) * self._image_bytes(shape))

    def pin_batch_size(self, shape: Sequence[int]) -> None:
        """Keep the present batch size, which otherwise follows the free memory: floating-point
        results depend on it. It still shrinks where memory is short."""
        self._batch_size = self.batch_size(shape)

    def execution(self, shape: Sequence[int]) -> str:
        """What decides, beside model, precision and noise, how votes for images of ``shape``
        [C, H, W] are rounded, such as ``batch=256 threads=2 torch=2.11.0 ddrs=0.1 on AMD EPYC``."""
        return execution_text(self.batch_size(shape), self.device)

    def gradient_rows(self, shape: Sequence[int], wanted: int) -> int:
        """How many of ``wanted`` images [C, H, W] are differentiated at once: all, unless memory
        is short."""
        return self._gradient_limit.fitting(wanted, self.cost(shape).saved_bytes)

    def with_gradient_memory(self, rows: int, work: Callable[[], T]) -> T:
        """``work()``, which differentiates ``rows`` images; again in smaller parts without memory.

        Raises:
            DeviceError: if memory does not suffice for the gradient of one image.
        """
        return self._gradient_limit.attempt(rows, lambda most: work())

    @property
    def weight_bytes(self) -> int:
        """Memory of the network's weights and statistics; 0 before the first image of a network
        whose shape is unknown."""
        if self._unfused is not None:
            return 0
        return sum(t.nbytes for t in (*self._network.parameters(), *self._network.buffers()))

    @property
    def memory_note(self) -> str:
        """Whether batches had to be reduced since memory ran out, in a sentence; else empty."""
        return self._limit.note or self._gradient_limit.note

    def flops(self, shape: Sequence[int]) -> float:
        """Floating-point operations of the forward pass of one image [C, H, W]; a multiplication
        and an addition count as two. 0 where unknown, as for a plain function.
        """
        return self.cost(shape).flops

    def cost(self, shape: Sequence[int]) -> PassCost:
        """Operations and memory of the forward pass of one image [C, H, W], counted once."""
        key = tuple(shape)
        if key not in self._costs:
            self._costs[key] = measure_pass(self._fused(key), key)
        return self._costs[key]

    def num_classes(self, shape: Sequence[int]) -> int:
        """Number of classes K, for images of shape [C, H, W]."""
        if self._num_classes is None:
            rows = min(8, self.batch_size(shape))
            with torch.inference_mode():
                blank = torch.zeros((rows, *shape), device=self.device)
                self._num_classes = self.logits(blank).shape[1]
        return self._num_classes

    def logits(self, x: Tensor) -> Tensor:
        """Logits [B, K] in float32 of inputs [B, C, H, W]; differentiable in ``x``.

        Images that do not fit into memory together are taken in parts.

        Raises:
            MismatchError: if the network gives anything else, or NaN where a gradient is wanted.
            DeviceError: if memory does not suffice for one image.
        """
        if torch.is_grad_enabled() and x.requires_grad:
            rows = self.gradient_rows(x.shape[1:], len(x))
            pool = self._pool()
            if pool and rows >= len(x):
                logits = data_parallel_cpu(self._evaluate, x, pool)
            else:
                logits = checkpointed(self._evaluate, x, rows)
            if logits.isnan().any():
                raise not_a_number(self.name)
            return logits
        parts = self._limit.parts(len(x), lambda start, stop: self._evaluate(x[start:stop]))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _fused(self, shape: Sequence[int]) -> nn.Module:
        """The network that is evaluated; made from the caller's for the first shape [C, H, W]."""
        with self._fusing:
            if self._unfused is not None:
                with torch.inference_mode(False):  # weights must serve gradients, whoever calls
                    network = fuse_batchnorm(self._unfused, shape).requires_grad_(False)
                    if self._emulates:
                        emulate_bfloat16(network)
                    self._network = network.to(memory_format=torch.channels_last)
                self._unfused = None
            return self._network

    def _evaluate(self, x: Tensor) -> Tensor:
        network = self._network if self._unfused is None else self._fused(x.shape[1:])
        x = x.contiguous(memory_format=torch.channels_last)
        if self.precision == "bf16":
            with torch.autocast(self.device.type, dtype=torch.bfloat16):
                return self._checked(network(x), len(x)).float()
        if self.device.type == "cuda":
            with without_tf32:
                return self._checked(network(x), len(x))
        return self._checked(network(x), len(x))

    def _checked(self, logits: Tensor, images: int) -> Tensor:
        found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if not isinstance(found, list) or len(found) != 2 or found[0] != images or found[1] < 2:
            raise MismatchError(
                f"{self.name} should give logits [B, K], for K >= 2 classes; for "
                f"B = {images} it gives {found}."
            )
        return logits

    def vote_steps(
        self,
        images: Tensor,
        sigmas: Tensor,
        n: int,
        generators: Sequence[torch.Generator] | Sequence[NoiseStream],
        report_every: float | None = REPORT_SECONDS,
        start: VoteCounts | None = None,
    ) -> Iterator[VoteCounts]:
        """Count the classes of n noisy copies of each image.

        Args:
            images: [M, C, H, W] in [0, 1].
            sigmas: noise level of each image, [M], on the same scale.
            n: copies of each image.
            generators: one for each image, on the network's device; or streams of noise, which
                a later call goes on with.
            report_every: seconds between two snapshots, None for none; the counts do not
                depend on it.
            start: counts of an earlier call with the same arguments, to be continued; its
                samples are drawn, but not evaluated again.

        Yields:
            The counts so far, about every ``report_every`` seconds; the last is complete.
        """
        self.check_images(images)
        with self._limit.explained():
            images = images.to(self.device, torch.float32)
        shape = images.shape[1:]
        size = self.batch_size(shape)
        side_by_side = len(images) * n > size and self._together(shape) > 1
        loop = VoteLoop(
            images,
            sigmas,
            n,
            generators,
            self.logits,
            self.num_classes(shape),
            size,
            self._pool() if side_by_side else None,
            self._limit,
            self.name,
        )
        return self._count(loop, report_every, start)

    def _count(
        self, loop: VoteLoop, report_every: float | None, start: VoteCounts | None
    ) -> Iterator[VoteCounts]:
        return loop.steps(report_every, start)

    def votes(
        self, images: Tensor, sigmas: Tensor, n: int, generators: Sequence[torch.Generator]
    ) -> NDArray[np.int64]:
        """The final counts [M, K] of :meth:`vote_steps`."""
        steps = self.vote_steps(images, sigmas, n, generators, report_every=None)
        return [step.counts for step in steps][-1]

    def remembered(self, sigmas: Tensor, ask: Callable[[], list[Tensor]]) -> list[Tensor]:
        """``ask()``; a :class:`~ddrs_core.models.JournaledForward` may know the answer."""
        return ask()

    def check_images(self, images: Tensor) -> None:
        """Make sure that ``images`` is [M, C, H, W] in [0, 1], and what the network takes.

        Raises:
            MismatchError: if the shape is wrong.
            InvalidParameterError: if a pixel is NaN, infinite or outside [0, 1]: sigma and radius
                would be in another unit.
        """
        if images.ndim != 4 or (self.shape and tuple(images.shape[1:]) != tuple(self.shape)):
            wanted = list(self.shape) if self.shape else ["C", "H", "W"]
            raise MismatchError(
                f"{self.name} takes images of shape {wanted}, not {list(images.shape[1:])}."
            )
        check_pixels(images)

    def _pool(self) -> CpuPool | None:
        return cpu_pool() if self._is_module and self.device.type == "cpu" else None

    def _together(self, shape: Sequence[int]) -> int:
        """How many batches are under way at once; one where memory is too short for more."""
        pool = self._pool()
        window = pool.workers + 1 if pool else 1
        fits = batch_that_fits(window, self._image_bytes(shape), self.device) >= window
        return window if fits else 1

    def _image_bytes(self, shape: Sequence[int]) -> int:
        """Memory for one image of a batch: its noise, its noisy copy, and the activations."""
        return 2 * 4 * math.prod(shape) + self.cost(shape).live_bytes
