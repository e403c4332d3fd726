"""A bounded memory of computed values, safe to share between threads."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Condition
from typing import Any, Generic, TypeVar

from cachetools import LRUCache, cached

V = TypeVar("V")


class LRU(Generic[V]):
    """The most recently used values, up to a total weight of ``limit``; the newest always stays.

    Each value is computed once, however many threads ask for it at the same time; other keys are
    not held up meanwhile. A computation that raises leaves nothing behind.
    """

    def __init__(self, limit: float, weigh: Callable[[V], float] = lambda _: 1.0) -> None:
        self._values: Any = LRUCache(limit, getsizeof=lambda value: min(weigh(value), limit))
        self._get = cached(self._values, key=lambda key, _: key, condition=Condition())(
            lambda _, compute: compute()
        )

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, compute: Callable[[], V]) -> V:
        """The value of ``key``, computed if it is not stored."""
        value: V = self._get(key, compute)
        return value
