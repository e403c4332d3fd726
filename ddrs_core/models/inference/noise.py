"""Gaussian noise that depends on (seed, image index, stage) and on nothing else.

The numbers that torch draws depend on the size of each request, so every stream is drawn in
blocks of a fixed size; whoever consumes it may cut it as they like. An image therefore meets the
same noise alone or among others, whatever the batch size.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

_BLOCK_VALUES = {"cpu": 1 << 17, "cuda": 1 << 21}  # amortises the call, stays inside the cache


def noise_generator(
    seed: int, index: int, stage: str, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The one generator of a run seed, image index and stage (such as ``"select"``)."""
    digest = hashlib.blake2b(f"{seed}/{index}/{stage}".encode(), digest_size=8).digest()
    generator = torch.Generator(device=device)
    generator.manual_seed(int.from_bytes(digest, "big") >> 1)  # 63 bits
    return generator


class NoiseStream:
    """The first ``n`` standard normal samples of one generator, handed out piece by piece.

    Args:
        generator: where the numbers come from; it is advanced by whole blocks.
        shape: shape [C, H, W] of one sample.
        n: number of samples that will be asked for in all; part of the stream's identity.
    """

    def __init__(self, generator: torch.Generator, shape: tuple[int, ...], n: int) -> None:
        self.generator = generator
        self.shape = shape
        self.left = n
        self.block = min(n, block_size(shape, generator.device.type))
        self._spare: Tensor | None = None  # drawn but not handed out yet, [block, C, H, W]
        self._used = 0

    def fill(self, out: Tensor) -> None:
        """Overwrite ``out`` [m, C, H, W] (contiguous float32) with the next m samples."""
        m, row = len(out), 0
        self.left -= m
        while row < m:
            if self._spare is not None:
                take = min(m - row, self.block - self._used)
                out[row : row + take] = self._spare[self._used : self._used + take]
                self._used += take
                if self._used == self.block:
                    self._spare = None
            elif m - row >= self.block:
                take = self.block
                out[row : row + take].normal_(generator=self.generator)
            else:
                take = 0
                self._spare = torch.empty((self.block, *out.shape[1:]), device=out.device)
                self._spare.normal_(generator=self.generator)
                self._used = 0
            row += take

    def skip(self, count: int) -> None:
        """Draw the next ``count`` samples for nobody."""
        device = self.generator.device
        scratch = torch.empty((min(count, self.block), *self.shape), device=device)
        while count > 0:
            taken = min(count, self.block)
            self.fill(scratch[:taken])
            count -= taken


def block_size(shape: tuple[int, ...], device_type: str) -> int:
    """Samples per block: a power of two from 32 to 4096, fixed by sample shape and device type."""
    values = max(1, int(torch.Size(shape).numel()))
    wanted = _BLOCK_VALUES.get(device_type, _BLOCK_VALUES["cpu"]) // values
    return max(32, min(4096, 1 << max(0, wanted.bit_length() - 1)))
