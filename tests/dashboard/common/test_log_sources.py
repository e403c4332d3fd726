"""A log that names neither data set nor model can be told them, and then its images open."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddrs_core.dashboard.common.log_sources import LogSource, source_of, tell_source
from ddrs_core.dashboard.common.result_images import explorer_query
from ddrs_core.dashboard.common.result_sources import find_set, log_results
from ddrs_core.data import load_dataset
from ddrs_core.errors import MismatchError
from ddrs_core.store import LogRecord, open_store

HEAD = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogRecord:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    labels = load_dataset("digits").labels
    rows = "".join(f"{i}\t{labels[i]}\t{labels[i]}\t0.3\t1\t1\n" for i in range(5))
    return open_store().add_log((HEAD + rows).encode(), title="theirs", owner="ada")


def test_what_is_told_leads_to_the_images(log: LogRecord) -> None:
    told = LogSource("digits", "digits-gaussian-0.50")
    assert source_of(log) == LogSource()
    tell_source(log.id, "ada", told, log_results(log))
    found = find_set(f"log.{log.id}")
    assert found is not None
    assert (found.dataset, found.model, found.training) == (*told, "gaussian")
    query = explorer_query(found, 3)
    assert query is not None
    assert (query["dataset"], query["model"], query["image"]) == (*told, "3")
    tell_source(log.id, "ada", LogSource(), log_results(log))
    assert source_of(log) == LogSource()


def test_a_data_set_with_other_labels_is_refused(log: LogRecord) -> None:
    content = (HEAD + "0\t9\t9\t0.3\t1\t1\n100000\t1\t1\t0.3\t1\t1\n").encode()
    other = open_store().add_log(content, title="others", owner="ada")
    with pytest.raises(MismatchError, match="2 of its 2 images"):
        tell_source(other.id, "ada", LogSource("digits"), log_results(other))
    assert source_of(other) == LogSource()
