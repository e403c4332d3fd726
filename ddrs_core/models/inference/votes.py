"""Counting the classes of noisy copies; the one place where samples are spent.

Counts stay on the device and nothing waits for it inside the sampling loop. Batches have one of a
few fixed shapes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddrs_core.errors import MismatchError
from ddrs_core.models.inference.cpu_pool import CpuPool
from ddrs_core.models.inference.device_memory import MemoryLimit
from ddrs_core.models.inference.noise import NoiseStream
from ddrs_core.quantities import counted

REPORT_SECONDS = 0.1
_MAX_UNREPORTED = 64  # batches between two snapshots at most


@dataclass(frozen=True)
class VoteCounts:
    """Votes after ``done`` of ``total`` samples over all images."""

    counts: NDArray[np.int64]  # [M, K]
    done: int
    total: int


@dataclass(frozen=True)
class VoteLoop:
    """n noisy copies of each image, to be classified."""

    images: Tensor  # [M, C, H, W] on the network's device, float32
    sigmas: Tensor  # [M]
    n: int
    generators: Sequence[torch.Generator] | Sequence[NoiseStream]  # M of them
    logits: Callable[[Tensor], Tensor]
    num_classes: int
    batch_size: int
    pool: CpuPool | None  # evaluates several batches side by side
    limit: MemoryLimit
    name: str  # of the network, for messages

    def steps(self, report_every: float | None, start: VoteCounts | None) -> Iterator[VoteCounts]:
        """The counts so far; see :meth:`~ddrs_core.models.NoisyForward.vote_steps`."""
        m, n, pool = len(self.images), self.n, self.pool
        total = m * n
        window = pool.workers + 1 if pool else 1  # batches under way at once
        buffers = self.limit.attempt(self.batch_size, partial(self._buffers, window))
        size = len(buffers[0])
        streams = self._streams()
        device = self.images.device
        scale = self.sigmas.to(device, torch.float32).view(m, 1, 1, 1)
        # The last place counts answers that are not a number, which are no vote for any class.
        counts = torch.zeros(m * self.num_classes + 1, dtype=torch.int64, device=device)
        ones = torch.ones(size, dtype=torch.int64, device=device)
        pending: deque[tuple[int, Callable[[], Tensor]]] = deque()
        done = drawn = batch = 0
        if start is not None:
            counts[:-1].copy_(torch.from_numpy(start.counts.reshape(-1)))
            done = drawn = start.done
            for image, stream in enumerate(streams):
                stream.skip(max(0, min(n, done - image * n)))
        every, since, started = 1, 0, time.perf_counter()
        while done < total:
            while drawn < total and len(pending) < window:
                filled = min(size, total - drawn)
                buffer = buffers[batch % window]
                with torch.inference_mode(), self.limit.explained():
                    numbers = _draw(buffer, streams, drawn, filled, n)
                work = partial(self._classify, buffer, scale, filled, numbers)
                pending.append((filled, pool.start(work) if pool else work))
                drawn, batch = drawn + filled, batch + 1
            filled, votes = pending.popleft()
            with torch.inference_mode():
                counts.index_add_(0, votes(), ones[:filled])
            done += filled
            since += 1
            if report_every is not None and since >= every and done < total:
                snapshot = self._snapshot(counts)  # waits for the device
                seconds = time.perf_counter() - started
                wanted = round(since * report_every / max(seconds, 1e-9))
                every = max(1, min(_MAX_UNREPORTED, wanted))
                since, started = 0, time.perf_counter()
                yield VoteCounts(snapshot, done, total)
        yield VoteCounts(self._snapshot(counts), done, total)

    def _snapshot(self, counts: Tensor) -> NDArray[np.int64]:
        found = counts.cpu().numpy().copy()
        if found[-1]:
            raise not_a_number(self.name)
        votes: NDArray[np.int64] = found[:-1].reshape(len(self.images), -1)
        return votes

    def _streams(self) -> list[NoiseStream]:
        shape = tuple(self.images.shape[1:])
        return [
            g if isinstance(g, NoiseStream) else NoiseStream(g, shape, self.n)
            for g in self.generators
        ]

    def _buffers(self, window: int, size: int) -> list[Tensor]:
        shape, device = self.images.shape[1:], self.images.device
        return [torch.zeros((size, *shape), device=device) for _ in range(window)]

    def _classify(self, buffer: Tensor, scale: Tensor, filled: int, numbers: list[int]) -> Tensor:
        """Turn the buffer's noise into noisy copies; returns image * K + class of each [filled],
        or M * K for an answer that is not a number."""
        images, k = self.images, self.num_classes
        with torch.inference_mode():
            rows = torch.zeros(1, dtype=torch.int64, device=images.device)
            if len(images) == 1:
                buffer[:filled].mul_(scale).add_(images)
            else:
                rows = torch.tensor(numbers).to(images.device, non_blocking=True)

                def add(start: int, stop: int) -> None:
                    of = rows[start:stop]
                    factor, shift = scale[of], images[of]  # memory runs out here, not in between
                    buffer[start:stop].mul_(factor).add_(shift)

                self.limit.parts(filled, add)
            logits = self.logits(buffer[: _shape_for(filled, len(buffer))])
            if logits.shape[1:] != (k,):
                raise MismatchError(
                    f"{self.name} gives outputs of shape {list(logits.shape[1:])}, "
                    f"but outputs for {counted(k, 'class')} were announced."
                )
            best, classes = logits[:filled].max(1)  # NaN is above every number
            return torch.where(best.isnan(), len(images) * k, classes + rows * k)


def not_a_number(name: str) -> MismatchError:
    """The error of a network whose logits are NaN."""
    return MismatchError(
        f"{name} answers NaN, which is no class. Its weights may be damaged, or its training "
        "diverged."
    )


def _draw(
    buffer: Tensor, streams: Sequence[NoiseStream], start: int, filled: int, n: int
) -> list[int]:
    """Fill the buffer with the noise of samples ``start`` to ``start + filled`` of the
    image-major sequence; returns the image number of each row."""
    row, numbers = 0, []
    while row < filled:
        image, offset = divmod(start + row, n)
        take = min(filled - row, n - offset)
        streams[image].fill(buffer[row : row + take])
        numbers += [image] * take
        row += take
    return numbers


def _shape_for(filled: int, size: int) -> int:
    """The smallest of the fixed batch sizes size, size/2, size/4, ... that holds ``filled``."""
    while size % 2 == 0 and size // 2 >= max(filled, 8):
        size //= 2
    return size
