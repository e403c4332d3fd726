"""Imported logs come back byte by byte."""

from __future__ import annotations

import hashlib
import os

import pytest

from ddrs_core.errors import InvalidParameterError
from ddrs_core.store import Store, UnknownEntryError
from ddrs_core.store import logs as logs_module


def test_a_log_comes_back(store: Store) -> None:
    content = b"idx\tlabel\r\n\0\xff" + os.urandom(1000)
    added = store.add_log(content, title="theirs\0.tsv", owner="ada")
    assert added.id == hashlib.sha256(content).hexdigest()
    assert (added.owner, added.title, added.size) == ("ada", "theirs.tsv", len(content))
    assert store.log(added.id) == added
    assert store.log_content(added.id) == content


def test_logs_are_kept_compressed(store: Store) -> None:
    content = b"0\t3\t3\t0.25\t1\t0:00:14.2\n" * 100_000
    added = store.add_log(content, title="long")
    with store._engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT length(content) FROM logs").scalar()
    assert kept is not None
    assert kept < len(content) / 20
    assert store.log_content(added.id) == content


def test_a_log_belongs_to_each_who_adds_it(store: Store) -> None:
    first = store.add_log(b"one", title="1", owner="ada")
    assert store.add_log(b"one", title="again", owner="ada") == first
    store.add_log(b"two", title="2", owner="ada")
    store.add_log(b"one", title="3", owner="bob")
    assert [log.title for log in store.logs()] == ["3", "2", "1"]
    assert [log.title for log in store.logs("ada")] == ["2", "1"]
    store.delete_log(first.id, "ada")
    assert [log.title for log in store.logs()] == ["3", "2"]
    assert store.log_content(first.id) == b"one"
    with pytest.raises(UnknownEntryError):
        store.delete_log(first.id, "ada")
    store.delete_log(first.id)
    for use in (store.log, store.log_content, store.delete_log):
        with pytest.raises(UnknownEntryError, match="There is no log"):
            use(first.id)


def test_too_much_or_nothing_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_module, "MAX_LOG_BYTES", 1_000_000)
    with pytest.raises(InvalidParameterError, match="at most 1 MB"):
        store.add_log(b"x" * 1_000_001, title="long")
    with pytest.raises(InvalidParameterError, match="empty"):
        store.add_log(b"", title="nothing")
    assert store.logs() == []
