"""The command that kills runs, with as few kills as show that it works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.kill_runs import FileRun, Size, kill_runs


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_file_run_and_a_recorded_run_survive_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))  # restored afterwards
    said: list[str] = []
    assert kill_runs(2, tmp_path, size=Size(2, 200, 20), say=said.append) >= 2
    assert {line.split(" run")[0] for line in said} == {"file", "recorded"}


def test_what_is_lost_doubled_or_changed_would_be_noticed(tmp_path: Path) -> None:
    run = FileRun(tmp_path, "digits", Size())
    log = tmp_path / "a.tsv"
    log.write_text("idx\tpredict\ttime\n0\t3\t1.5\n1\t4\t1.5\n2\t")
    assert list(run.found()) == [("a.tsv", "0"), ("a.tsv", "1")]
    log.write_text("idx\tpredict\ttime\n0\t3\t1.5\n0\t3\t1.5\n")
    with pytest.raises(AssertionError, match="doubled"):
        run.found()
    (tmp_path / "a.tsv.unfinished").touch()
    with pytest.raises(AssertionError, match="left behind"):
        run.check_finished()
