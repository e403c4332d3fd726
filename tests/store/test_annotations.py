"""Notes, marks and filters are kept for each owner, within limits."""

from __future__ import annotations

import pytest

from ddrs_core.errors import InvalidParameterError
from ddrs_core.store import AnnotationKind, Store, open_store
from ddrs_core.store import annotations as module

NOTE, SEEN = AnnotationKind.NOTE, AnnotationKind.SEEN


def test_each_owner_finds_what_they_wrote_last(store: Store) -> None:
    store.annotate("ada", NOTE, "run.1", "first")
    store.annotate("ada", NOTE, "run.1", "second")
    store.annotate("ada", SEEN, "run.1", "1")
    store.annotate("bob", NOTE, "run.1", "theirs")
    assert open_store(store.url).annotations("ada", NOTE) == {"run.1": "second"}
    store.annotate("ada", NOTE, "run.1", "")
    assert store.annotations("ada", NOTE) == {}
    assert store.annotations("ada", SEEN) == {"run.1": "1"}
    assert store.annotations("bob", NOTE) == {"run.1": "theirs"}


def test_too_much_is_refused_and_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANNOTATIONS_OF_OWNER", 2)
    for name in ("a", "b", "a"):
        store.annotate("ada", NOTE, name, "x")
    with pytest.raises(InvalidParameterError, match="remove some"):
        store.annotate("ada", NOTE, "c", "x")
    with pytest.raises(InvalidParameterError, match="characters"):
        store.annotate("ada", NOTE, "a", "x" * 5_000)
    assert store.annotations("ada", NOTE) == {"a": "x", "b": "x"}
    store.annotate("bob", NOTE, "c", "x")


def test_all_owners_together_keep_what_was_changed_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANNOTATIONS", 3)
    for number in range(5):
        store.annotate(f"visitor {number}", NOTE, "x", "y")
    assert [n for n in range(5) if store.annotations(f"visitor {n}", NOTE)] == [2, 3, 4]
