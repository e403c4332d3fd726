"""Where batches of training images come from: memory where they fit, else decoded ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ddrs_core.data import DamagedDataError, Dataset, ImageError
from ddrs_core.quantities import counted

IN_MEMORY_BYTES = 3 << 30  # of float32 pixels; CIFAR-10 takes 0.6 GB
_AHEAD = 3  # batches that are decoded before they are needed
_THREADS = 8
_NAMED = 3  # images in a sentence
_Decoded: TypeAlias = tuple[int, Tensor]  # which image took the place, and its pixels


class ImageFeed:
    """Batches of a training split, on a device.

    An image that cannot be read or has no label is left out: the next one that can be used takes
    its place, with its own label, so that batches keep their size. :attr:`excluded` says why.

    Args:
        dataset: where images and labels come from.
        device: where batches go.
        in_memory_bytes: a split with at most so many bytes of pixels is kept on the device.
    """

    def __init__(
        self, dataset: Dataset, device: torch.device, in_memory_bytes: int = IN_MEMORY_BYTES
    ) -> None:
        self._dataset, self._device = dataset, device
        unlabelled = np.flatnonzero(dataset.labels < 0)
        self.excluded = {int(i): f"Image {i} has no label." for i in unlabelled}
        self.labels = torch.from_numpy(dataset.labels).to(device, copy=True)
        size = len(dataset) * torch.Size(dataset.info.shape).numel() * 4
        self._images = self._read_all().to(device) if size <= in_memory_bytes else None

    def sample(self, most: int) -> Tensor:
        """Up to ``most`` images [M, C, H, W], evenly spaced; all of them if they are in memory."""
        if self._images is not None:
            return self._images
        step = max(1, len(self._dataset) // most)
        return self._dataset.read(range(0, len(self._dataset), step)).images

    def batches(self, plan: Sequence[Tensor]) -> Iterator[Tensor]:
        """Images [B, C, H, W] of each tensor of indices [B] in ``plan``, in order."""
        if self._images is not None:
            for indices in plan:
                yield self._images[indices]
            return
        with ThreadPoolExecutor(_THREADS) as pool:
            waiting: deque[tuple[Tensor, list[Future[_Decoded]]]] = deque()
            for indices in plan:
                waiting.append((indices, [pool.submit(self._decode, int(i)) for i in indices]))
                if len(waiting) > _AHEAD:
                    yield self._stack(*waiting.popleft())
            while waiting:
                yield self._stack(*waiting.popleft())

    @property
    def note(self) -> str:
        """A sentence on the images that are left out, as far as they are known; else empty."""
        if not self.excluded:
            return ""
        named = [f"image {i}: {reason}" for i, reason in sorted(self.excluded.items())]
        more = f" And {len(named) - _NAMED:,} more." if len(named) > _NAMED else ""
        return (
            f"{len(named):,} of {counted(len(self._dataset), 'training image')} cannot be used; "
            f"the next one took the place of each ({' '.join(named[:_NAMED])}{more})"
        )

    def _read_all(self) -> Tensor:
        wanted = [i for i in range(len(self._dataset)) if i not in self.excluded]
        read = self._dataset.read(wanted)
        self.excluded |= read.failures
        if not self.excluded:
            return read.images
        sources = [self._usable(i) for i in range(len(self._dataset))]
        places = {index: place for place, index in enumerate(read.indices)}
        self.labels.copy_(torch.from_numpy(self._dataset.labels[sources]))
        return read.images[[places[source] for source in sources]]

    def _usable(self, index: int) -> int:
        """The image itself, or the next one that is not known to be unusable.

        Raises:
            DamagedDataError: if there is none.
        """
        for i in (*range(index, len(self._dataset)), *range(index)):
            if i not in self.excluded:
                return i
        raise DamagedDataError(f"No training image can be used. {self.note}")

    def _decode(self, index: int) -> _Decoded:
        while True:
            source = self._usable(index)
            try:
                return source, self._dataset[source][0]
            except ImageError as error:
                self.excluded[source] = str(error)

    def _stack(self, indices: Tensor, decoded: list[Future[_Decoded]]) -> Tensor:
        sources, images = zip(*(found.result() for found in decoded), strict=True)
        if self.excluded:
            labels = torch.from_numpy(self._dataset.labels[list(sources)])
            self.labels[indices] = labels.to(self._device)
        return torch.stack(images).to(self._device, non_blocking=True)
