"""Memory: how much is free, and what to do when a batch turns out not to fit.

On a GPU, and where a limit is set on the process, torch raises an error when memory runs out. On
an ordinary Linux machine the kernel ends the whole process instead, so batches are planned from
what is free, and the error is the second line of defence.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import psutil
import torch

from ddrs_core.errors import DeviceError
from ddrs_core.quantities import counted

T = TypeVar("T")

_SHARE = 0.5  # of the free memory: others, such as a second job, need some as well
_NEGLIGIBLE = 128 << 20  # bytes; less than torch itself takes, so nobody looks
_UNLIMITED = 1 << 60  # control groups without a limit say a number near 2^63
_MESSAGES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",  # of C++
    "alloc_failed",  # cuDNN and cuBLAS
    "could not create a primitive",  # oneDNN, for want of a workspace
    "could not create a memory",
)
_ENFORCED = "[enforce fail at"  # cut shorter where no memory is left for torch's own message
_CGROUPS = Path("/sys/fs/cgroup")


def free_memory(device: torch.device | str) -> int:
    """Bytes that can be allocated on ``device`` now.

    On a GPU that includes what torch's caching allocator holds but does not use. On the processor
    it is bounded by the memory limit of the container (control groups, version 1 and 2).
    """
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + max(0, unused))
    free = int(psutil.virtual_memory().available)
    for limit, usage, statistics in _limits():
        left = _left(limit, usage, statistics)
        free = free if left is None else min(free, left)
    return max(0, free)


def batch_that_fits(wanted: int, image_bytes: int, device: torch.device | str) -> int:
    """The largest power of two, or ``wanted``, of images that fit into half of the free memory.

    At least 1: whether a single image fits is found out by trying.
    """
    if wanted * image_bytes <= _NEGLIGIBLE:
        return wanted
    room = int(_SHARE * free_memory(device))
    if wanted * image_bytes <= room:
        return wanted
    return 1 << max(0, (room // image_bytes).bit_length() - 1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = str(error).lower()
    is_cut = said != "" and len(said) < len(_ENFORCED) and _ENFORCED.startswith(said)
    return isinstance(error, RuntimeError) and (is_cut or any(word in said for word in _MESSAGES))


class MemoryLimit:
    """How many images at once memory has turned out to hold; shared by threads.

    Args:
        device: where the batches are evaluated.
        name: what is evaluated, for messages.
    """

    def __init__(self, device: torch.device, name: str) -> None:
        self.device = device
        self.name = name
        self.rows: int | None = None  # None: nothing failed so far
        self.tried = 0  # the largest batch that failed
        self._lock = threading.Lock()
        self._alone = threading.RLock()

    def fitting(self, wanted: int, image_bytes: int) -> int:
        """How many images of ``image_bytes`` each, of ``wanted``, to evaluate at once.

        Raises:
            DeviceError: if a processor's memory certainly does not hold one: the kernel would end
                the process.
        """
        fits = batch_that_fits(wanted, image_bytes, self.device)
        certain = image_bytes // 2  # twice of what was counted is planned with
        if (
            fits == 1
            and self.device.type == "cpu"
            and certain > max(_NEGLIGIBLE, free_memory(self.device))
        ):
            raise DeviceError(no_memory(self.name, self.device))
        return self.capped(fits)

    def capped(self, wanted: int) -> int:
        """``wanted`` images, or as many as memory was found to hold."""
        return wanted if self.rows is None else min(wanted, self.rows)

    @property
    def note(self) -> str:
        """What happened, in a sentence; empty where memory sufficed."""
        if self.rows is None:
            return ""
        images = counted(self.rows, "image")
        return f"Memory was short: batches were reduced from {self.tried} to {images}."

    def attempt(self, rows: int, work: Callable[[int], T]) -> T:
        """``work(most)``, where ``most`` images at once are allowed; repeated with fewer of them
        as long as memory runs out. The work must be the same when it is repeated.

        Raises:
            DeviceError: if memory does not suffice for one image.
        """
        most = self.capped(rows)
        try:
            return work(most)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the handler: the error's traceback would keep the activations alive.
        with self._alone:  # threads that lack memory take turns
            while True:
                self._shrink(most)
                most = self.capped(rows)
                try:
                    return work(most)
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise

    def parts(self, rows: int, work: Callable[[int, int], T]) -> list[T]:
        """``work(start, stop)`` for consecutive parts of ``rows`` images, each as large as memory
        allows. Parts that are done are not repeated when memory runs out.

        Raises:
            DeviceError: if memory does not suffice for one image.
        """
        done: list[T] = []
        start = 0

        def some(most: int) -> None:
            nonlocal start
            while start < rows or not done:  # once where there are no rows
                stop = min(rows, start + most)
                done.append(work(start, stop))
                start = stop

        self.attempt(rows, some)
        return done

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Says in words that memory ran out, where fewer images at once would not help."""
        try:
            yield
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(no_memory(self.name, self.device)) from error

    def _shrink(self, failed: int) -> None:
        release_memory(self.device)
        with self._lock:
            if failed <= 1:
                raise DeviceError(no_memory(self.name, self.device))
            self.tried = max(self.tried, failed)
            self.rows = self.capped(failed // 2)


def release_memory(device: torch.device) -> None:
    """Give back what is held without need."""
    gc.collect()  # an error's traceback may sit in a cycle, with all activations
    if device.type == "cuda":
        torch.cuda.empty_cache()


def no_memory(name: str, device: torch.device) -> str:
    """The message for a device that does not hold what is needed."""
    place, helps = "this machine", "Close other programs or choose a smaller model."
    if device.type == "cuda":
        place = f"the GPU {device}"
        helps = "Stop other programs that use it, choose a smaller model, or the device cpu."
    free = free_memory(device) / 2**20
    return f"The memory of {place} does not suffice for {name}: {free:,.0f} MiB are free. {helps}"


def _left(limit: Path, usage: Path, statistics: Path) -> int | None:
    """Bytes below a control group's limit; None where it sets none."""
    try:
        said = limit.read_text().strip()
        if said == "max" or int(said) >= _UNLIMITED:
            return None
        return int(said) - int(usage.read_text()) + _reclaimable(statistics)
    except (OSError, ValueError):
        return None


def _reclaimable(statistics: Path) -> int:
    """The part of a group's usage that the kernel drops first: file pages not lately used."""
    try:
        lines = [line.split() for line in statistics.read_text().splitlines()]
        known = {line[0]: int(line[1]) for line in lines if len(line) == 2}
    except (OSError, ValueError):
        return 0
    return known.get("total_inactive_file", known.get("inactive_file", 0))


@lru_cache(maxsize=1)
def _limits() -> list[tuple[Path, Path, Path]]:
    """Limit, usage and statistics of this process's control groups that set a limit."""
    groups = _groups(Path("/proc/self/cgroup"), _CGROUPS)
    return [files for files in groups if _left(*files) is not None]


def _groups(listing: Path, root: Path) -> list[tuple[Path, Path, Path]]:
    """The files of the memory group that ``listing`` names, and of all groups around it.

    A container may see its own group as the root, whatever the listing says.
    """
    try:
        lines = [line.split(":", 2) for line in listing.read_text().splitlines()]
    except OSError:
        return []
    found: list[tuple[Path, Path, Path]] = []
    for line in lines:
        if len(line) != 3 or not (line[1] == "" or "memory" in line[1].split(",")):
            continue
        base, names = (
            (root, ("memory.max", "memory.current", "memory.stat"))
            if line[1] == ""
            else (
                root / "memory",
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"),
            )
        )
        own = Path(line[2].lstrip("/"))
        for group in (own, *own.parents):
            limit, usage, statistics = (base / group / name for name in names)
            if limit.is_file() and (limit, usage, statistics) not in found:
                found.append((limit, usage, statistics))
    return found
