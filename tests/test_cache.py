"""The bounded memory: bounded, single-flight, and forgetting failures."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddrs_core.cache import LRU


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 6))
def test_the_most_recent_stay(keys: list[int], limit: int) -> None:
    lru: LRU[int] = LRU(limit)
    recent: list[int] = []
    for key in keys:
        computed: list[int] = []
        assert lru.get(key, lambda k=key, c=computed: c.append(k) or k * k) == key * key
        assert bool(computed) == (key not in recent)
        recent = [*(k for k in recent if k != key), key][-limit:]
        assert len(lru) == len(recent)


def test_heavy_values_push_out_more_but_the_newest_stays() -> None:
    lru: LRU[int] = LRU(10, float)
    for weight in (4, 5, 7):
        lru.get(weight, lambda w=weight: w)
    assert len(lru) == 1
    lru.get("heavy", lambda: 1000)
    assert len(lru) == 1
    assert lru.get("heavy", lambda: pytest.fail("computed again")) == 1000


def test_a_failure_is_not_remembered() -> None:
    lru: LRU[int] = LRU(3)
    with pytest.raises(ZeroDivisionError):
        lru.get("a", lambda: 1 // 0)
    assert lru.get("a", lambda: 7) == 7


def test_one_computes_while_others_wait() -> None:
    lru: LRU[int] = LRU(3)
    started, go = threading.Event(), threading.Event()
    computed: list[int] = []

    def slow() -> int:
        computed.append(1)
        started.set()
        assert go.wait(10)
        return 5

    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(lru.get("slow", slow))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    assert lru.get("other", lambda: 1) == 1  # is not held up
    go.set()
    for thread in threads:
        thread.join(10)
    assert answers == [5] * 6
    assert len(computed) == 1
