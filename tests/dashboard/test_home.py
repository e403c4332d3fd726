"""The home page's list of what runs on this server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ddrs_core.dashboard.explorer.examples import stored_run
from ddrs_core.dashboard.home import jobs as home_jobs
from ddrs_core.dashboard.home.miniature import miniature_html
from ddrs_core.dashboard.shell.visitor import visitor
from ddrs_core.jobs import JobManager, JobRequest
from ddrs_core.runs.training.recorded import record_training
from ddrs_core.runs.worker import record_run
from ddrs_core.smoothing import round_down
from ddrs_core.store import RunProgress, RunRecord, RunState, open_store
from ddrs_core.training import recipe
from tests.dashboard.compare.test_compare import SMALL, config

NOTHING = "You have no jobs"
_LET_GO = threading.Event()  # what runs waits for it


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobManager]:
    """A visitor on a server of its own, where nothing runs yet."""
    monkeypatch.setenv("DDRS_HOME", str(tmp_path))
    own = JobManager()
    _LET_GO.clear()
    monkeypatch.setattr(home_jobs, "get_manager", lambda: own)
    st.cache_data.clear()
    yield own
    _LET_GO.set()
    own.close()


def _wait() -> Iterator[int]:
    _LET_GO.wait(60)
    yield 1


def _request(kind: str, title: str = "a job") -> JobRequest:
    return JobRequest(f"{kind}|{title}", title, kind, "nowhere", _wait, 10.0, link="x")


def _said() -> str:
    app = AppTest.from_function(_draw).run(timeout=60)
    assert not app.exception
    bars = [bar.proto.text for bar in app.get("progress")]
    return "\n".join([*bars, *(m.value for m in app.markdown), *(c.value for c in app.caption)])


def _draw() -> None:
    from ddrs_core.dashboard.home.jobs import show_jobs

    show_jobs()


def _certification(owner: str) -> RunRecord:
    return record_run(open_store(), config(*SMALL), title="digits-gaussian-0.50", owner=owner)


def _training(owner: str) -> RunRecord:
    config = recipe("digits", "digits_cnn", "gaussian", 0.5, epochs=4, name="net_a")
    return record_training(open_store(), config, owner=owner, device="cpu")


def test_a_moving_certification_run_is_listed_with_a_link(manager: JobManager) -> None:
    assert NOTHING in _said()
    run = _certification(visitor())
    said = _said()
    assert f"compare?run={run.id}" in said
    assert NOTHING not in said
    assert "Other visitors" not in said


def test_a_training_run_is_listed_with_the_time_left(manager: JobManager) -> None:
    store, run = open_store(), _training(visitor())
    store.claim(run.id)
    store.heartbeat(run.id, RunProgress("training", 2.0, 1.0, 3_599.0))
    said = _said()
    assert "training of net\\_a: running, 1 h 00 min left" in said
    assert f"training?run={run.id}" in said
    assert NOTHING not in said
    store.release(run.id, RunState.PAUSED)


@pytest.mark.parametrize("kind", ["sigma", "certify", "curve", "votes", "robustness", "new kind"])
def test_whatever_moves_is_something(manager: JobManager, kind: str) -> None:
    manager.submit(_request(kind), visitor())
    said = _said()
    assert NOTHING not in said
    assert "a job: queued" in said


def test_what_a_page_started_by_itself_is_not_kept_in_the_list(manager: JobManager) -> None:
    manager.submit(_request("curve"), visitor()).cancel()
    assert NOTHING in _said()
    manager.submit(_request("sigma"), visitor()).cancel()
    said = _said()
    assert NOTHING not in said
    assert "a job: cancelled" in said
    assert "Nothing of yours is running" in said


def test_others_are_counted_by_all_that_moves(manager: JobManager) -> None:
    manager.submit(_request("sigma"), "somebody")
    assert "Other visitors have 1 unfinished job on this server" in _said()
    manager.submit(_request("sigma", "that has ended"), "somebody").cancel()
    left = manager.submit(_request("sigma", "whose visitor has left"), "somebody")
    left.last_seen -= 3_600.0  # it stands still
    _certification("somebody else")
    st.cache_data.clear()
    _training("a third")
    ended = _training("a")
    open_store().claim(ended.id)
    open_store().release(ended.id, RunState.FINISHED)
    said = _said()
    assert "Other visitors have 3 unfinished jobs on this server" in said
    assert NOTHING in said


def test_the_moving_picture_shows_the_numbers_of_its_certificates() -> None:
    run = stored_run("gains-most")
    html = miniature_html()
    for frame in (run.at_start[-1], run.at_answer[-1]):
        certificate = frame.certificate
        assert certificate is not None
        assert certificate.recompute_radius() == pytest.approx(certificate.radius)
        assert f"<b>{round_down(certificate.radius)}</b>" in html
        assert f"{certificate.bound} bound, N = {certificate.n:,}" in html
    assert html.count("<path") == 4
