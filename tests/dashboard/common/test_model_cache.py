"""Models are loaded once for everybody, and nobody waits for somebody else's."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ddrs_core.cache import LRU
from ddrs_core.dashboard.common import model_cache
from ddrs_core.errors import DDRSError
from ddrs_core.models import load_model


@pytest.fixture(autouse=True)
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that are loaded from now on."""
    names: list[str] = []

    def load(name: str, device: str) -> Any:
        names.append(name)
        return load_model(name, device)

    monkeypatch.setattr(model_cache, "load_model", load)
    monkeypatch.setattr(model_cache, "_HELD", LRU(model_cache._MOST_BYTES, lambda held: held[1]))
    return names


def test_many_visitors_at_once_load_a_model_once(loads: list[str]) -> None:
    with ThreadPoolExecutor(12) as visitors:
        found = list(
            visitors.map(
                lambda _: model_cache.get_forward("digits-gaussian-0.50", "cpu"), range(48)
            )
        )
    assert len({id(forward) for forward in found}) == 1
    assert loads == ["digits-gaussian-0.50"]


def test_nobody_waits_for_the_model_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = threading.Event()

    def load(name: str, device: str) -> Any:
        if name == "digits-gaussian-0.25":
            assert slow.wait(60)
        return load_model(name, device)

    monkeypatch.setattr(model_cache, "load_model", load)
    with ThreadPoolExecutor(1) as visitor:
        waiting = visitor.submit(model_cache.get_forward, "digits-gaussian-0.25", "cpu")
        assert model_cache.get_forward("digits-gaussian-0.50", "cpu").shape == (1, 8, 8)
        assert not waiting.done()
        slow.set()
        assert waiting.result(60).shape == (1, 8, 8)


def test_the_one_that_waited_longest_is_let_go(
    loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"digits-gaussian-{sigma}" for sigma in ("0.25", "0.50")] + ["digits-macer-0.25"]
    size = model_cache.get_forward(names[0], "cpu").weight_bytes
    loads.clear()
    monkeypatch.setattr(model_cache, "_HELD", LRU(2 * size, lambda held: held[1]))
    for name in (names[0], names[1], names[0], names[2], names[0], names[1]):
        model_cache.get_forward(name, "cpu")
    assert loads == [names[0], names[1], names[2], names[1]]


def test_a_model_is_held_once_and_all_of_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[weakref.ref[Any]] = []

    def load(name: str, device: str) -> Any:
        model = load_model(name, device)
        loaded.append(weakref.ref(model))
        return model

    monkeypatch.setattr(model_cache, "load_model", load)
    forward = model_cache.get_forward("cifar10-resnet20-gaussian-0.25", "cpu")
    gc.collect()
    assert [reference() for reference in loaded] == [None]
    # Of every batch-norm only the shift is left, as the bias of a convolution.
    weights = load_model("cifar10-resnet20-gaussian-0.25", "cpu").network.state_dict()
    kept = sum(t.nbytes for name, t in weights.items() if t.ndim > 1 or name.endswith("bias"))
    assert forward.weight_bytes == pytest.approx(kept, rel=0.01)
    assert model_cache._HELD._values.currsize == forward.weight_bytes


def test_a_failure_is_tried_again(loads: list[str]) -> None:
    for _ in range(2):
        with pytest.raises(DDRSError):
            model_cache.get_forward("no such model", "cpu")
    assert loads == ["no such model"] * 2
