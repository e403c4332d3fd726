"""Where batches of training images come from: memory where they fit, else decoded ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from ddrs_core.data import Dataset

IN_MEMORY_BYTES = 3 << 30  # of float32 pixels; CIFAR-10 takes 0.6 GB
_AHEAD = 3  # batches that are decoded before they are needed
_THREADS = 8


class ImageFeed:
    """Batches of a training split, on a device.

    Args:
        dataset: where images and labels come from.
        device: where batches go.
        in_memory_bytes: a split with at most so many bytes of pixels is kept on the device.
    """

    def __init__(
        self, dataset: Dataset, device: torch.device, in_memory_bytes: int = IN_MEMORY_BYTES
    ) -> None:
        self._dataset, self._device = dataset, device
        self.labels = torch.from_numpy(dataset.labels).to(device)
        size = len(dataset) * torch.Size(dataset.info.shape).numel() * 4
        self._images = dataset.tensors()[0].to(device) if size <= in_memory_bytes else None

    def sample(self, most: int) -> Tensor:
        """Up to ``most`` images [M, C, H, W], evenly spaced; all of them if they are in memory."""
        if self._images is not None:
            return self._images
        step = max(1, len(self._dataset) // most)
        return self._dataset.tensors(range(0, len(self._dataset), step))[0]

    def batches(self, plan: Sequence[Tensor]) -> Iterator[Tensor]:
        """Images [B, C, H, W] of each tensor of indices [B] in ``plan``, in order."""
        if self._images is not None:
            for indices in plan:
                yield self._images[indices]
            return
        with ThreadPoolExecutor(_THREADS) as pool:
            waiting: deque[list[Future[Tensor]]] = deque()
            for indices in plan:
                waiting.append([pool.submit(self._decode, int(i)) for i in indices])
                if len(waiting) > _AHEAD:
                    yield self._stack(waiting.popleft())
            while waiting:
                yield self._stack(waiting.popleft())

    def _decode(self, index: int) -> Tensor:
        return self._dataset[index][0]

    def _stack(self, images: list[Future[Tensor]]) -> Tensor:
        stacked = torch.stack([image.result() for image in images])
        return stacked.to(self._device, non_blocking=True)
