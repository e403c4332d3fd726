"""Everybody's uploads are known by name, within limits."""

from __future__ import annotations

import pytest

from ddrs_core.store import Store, open_store, uploads


def test_names_come_back_the_most_recently_used_first(store: Store) -> None:
    for name in ("a", "b", "c", "a"):
        store.use_upload("ada", "picture", name)
    store.use_upload("ada", "model", "m")
    store.use_upload("bob", "picture", "b")
    assert store.uploads("ada", "picture") == ["a", "c", "b"]
    assert open_store(store.url).uploads("ada", "model") == ["m"]
    assert store.uploads("bob", "picture") == ["b"]
    assert store.uploads("cyd", "picture") == []


def test_an_owner_keeps_those_that_were_used_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS_OF_KIND", 3)
    for name in ("a", "b", "c", "a", "d"):
        store.use_upload("ada", "picture", name)
        store.use_upload("bob", "model", name)
    assert store.uploads("ada", "picture") == ["d", "a", "c"]
    assert store.uploads("bob", "model") == ["d", "a", "c"]


def test_all_owners_together_keep_no_more_than_the_table_may_hold(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 4)
    for number in range(6):
        store.use_upload(f"visitor {number}", "picture", "x")
    kept = [n for n in range(6) if store.uploads(f"visitor {n}", "picture")]
    assert kept == [2, 3, 4, 5]
