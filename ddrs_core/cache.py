"""A bounded memory of computed values, safe to share between threads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class LRU(Generic[V]):
    """The most recently used values, up to a total weight of ``limit``; the newest always stays.

    Each value is computed once, however many threads ask for it at the same time; other keys are
    not held up meanwhile. A computation that raises leaves nothing behind.
    """

    def __init__(self, limit: float, weigh: Callable[[V], float] = lambda _: 1.0) -> None:
        self._limit = limit
        self._weigh = weigh
        self._lock = Lock()
        self._values: OrderedDict[Hashable, Future[V]] = OrderedDict()
        self._weights: dict[Hashable, float] = {}  # of finished values only
        self._total = 0.0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, compute: Callable[[], V]) -> V:
        """The value of ``key``, computed if it is not remembered."""
        with self._lock:
            future = self._values.get(key)
            if future is not None:
                self._values.move_to_end(key)
            else:
                mine = self._values[key] = Future()
        if future is not None:
            return future.result()
        try:
            value = compute()
        except BaseException as error:
            with self._lock:
                self._values.pop(key, None)
            mine.set_exception(error)
            raise
        mine.set_result(value)
        with self._lock:
            if self._values.get(key) is mine:
                self._weights[key] = self._weigh(value)
                self._total += self._weights[key]
                self._drop_oldest()
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._weights.clear()
            self._total = 0.0

    def _drop_oldest(self) -> None:
        while self._total > self._limit and len(self._weights) > 1:
            # Values in the making have no weight yet and are not dropped.
            key = next(key for key in self._values if key in self._weights)
            self._total -= self._weights.pop(key)
            del self._values[key]
