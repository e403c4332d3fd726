"""A timer's request that meets a run at its very end takes nothing away from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import streamlit
from packaging.requirements import Requirement
from packaging.version import Version
from streamlit import config
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import app_session, media_file_manager
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner import RerunException, ScriptRunnerEvent
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.state import SafeSessionState, SessionState

from ddrs_core.dashboard.shell import streamlit_patches
from ddrs_core.dashboard.shell.streamlit_patches import _VAIN_TICKS, patch_streamlit
from tests.coroutines import run_in_thread


class Runner:
    """Draws a page as Streamlit's own does, as far as a session can tell."""

    made: list[Runner]
    works = False  # whether its thread is there

    def __init__(self, *, initial_rerun_data: Any = None, **_: Any) -> None:
        self.requests = [initial_rerun_data]
        self.ended = False
        self.on_event = MagicMock()
        self._script_thread = MagicMock(is_alive=lambda: self.works)
        Runner.made.append(self)

    def start(self) -> None:
        pass

    def request_rerun(self, request: Any) -> bool:
        if not self.ended:
            self.requests.append(request)
        return not self.ended

    def request_stop(self) -> None:
        self.ended = True


@pytest.fixture
def play(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[AppSession], Awaitable[None]]], None]:
    """Play a scene in a session of Streamlit's, with runners whose end the scene decides."""
    monkeypatch.setattr(app_session, "ScriptRunner", Runner)
    monkeypatch.setattr(app_session.runtime, "get_instance", MagicMock())
    Runner.made = []

    def run(scene: Callable[[AppSession], Awaitable[None]]) -> None:
        async def whole() -> None:
            session = AppSession(
                script_data=ScriptData("main.py", False),
                uploaded_file_manager=MagicMock(),
                script_cache=MagicMock(),
                message_enqueued_callback=None,
                user_info={},
            )
            session.has_fragment = lambda _: True  # type: ignore[method-assign]
            await scene(session)

        run_in_thread(whole())

    assert patch_streamlit(), "this Streamlit's source differs: adapt streamlit_patches.py"
    assert patch_streamlit()  # twice is as good as once
    return run


def said(session: AppSession) -> list[ForwardMsg]:
    return [m for m in session.flush_browser_queue() if m.HasField("auto_rerun")]


def say(session: AppSession, runner: Runner) -> None:
    """The runner's thread hands a message to the event loop, as its last."""
    message = ForwardMsg()
    message.auto_rerun.interval = 0.1
    session._on_scriptrunner_event(
        runner, ScriptRunnerEvent.ENQUEUE_FORWARD_MSG, forward_msg=message
    )
    runner.ended = True


def stopped(session: AppSession) -> Runner:
    """A run that was told to stop, and is not through yet."""
    session.request_rerun(ClientState())
    (runner,) = Runner.made
    session.request_script_stop()
    runner.works = True
    return runner


def test_its_last_messages_arrive_before_the_next_run_starts(play: Any) -> None:
    async def scene(session: AppSession) -> None:
        session.request_rerun(ClientState())
        (runner,) = Runner.made
        say(session, runner)
        session.request_rerun(ClientState(fragment_id="tick"))
        assert said(session) == []  # not there yet
        await asyncio.sleep(0.01)
        assert len(said(session)) == 1
        _, following = Runner.made
        assert following.requests[0].fragment_id == "tick"

    play(scene)


def test_two_requests_start_one_run(play: Any) -> None:
    async def scene(session: AppSession) -> None:
        session.request_rerun(ClientState())
        say(session, Runner.made[0])
        session.request_rerun(ClientState(fragment_id="one"))
        session.request_rerun(ClientState(fragment_id="two"))
        await asyncio.sleep(0.01)
        assert len(said(session)) == 1
        _, following = Runner.made
        assert [r.fragment_id for r in following.requests] == ["one", "two"]

    play(scene)


def test_nothing_starts_in_a_session_that_is_over(play: Any) -> None:
    async def scene(session: AppSession) -> None:
        session.request_rerun(ClientState())
        say(session, Runner.made[0])
        session.request_rerun(ClientState(fragment_id="tick"))
        session.shutdown()
        await asyncio.sleep(0.01)
        assert len(Runner.made) == 1

    play(scene)


def test_a_session_at_rest_starts_at_once(play: Any) -> None:
    async def scene(session: AppSession) -> None:
        session.request_rerun(ClientState(fragment_id="tick"))
        assert len(Runner.made) == 1

    play(scene)


def test_a_run_that_was_told_to_stop_is_waited_for(play: Any) -> None:
    """Two threads at once would both change what the session holds."""

    async def scene(session: AppSession) -> None:
        runner = stopped(session)
        session.request_rerun(ClientState(fragment_id="tick"))
        await asyncio.sleep(0.1)
        assert len(Runner.made) == 1
        runner.works = False
        await asyncio.sleep(0.1)
        assert len(Runner.made) == 2

    play(scene)


def test_no_request_overtakes_another(play: Any) -> None:
    """Each holds the page's state as it was: an older one that comes last would undo the newer."""

    async def scene(session: AppSession) -> None:
        runner = stopped(session)
        session.request_rerun(ClientState(query_string="one"))
        await asyncio.sleep(0.005)
        runner.works = False
        session._scriptrunner = None  # its thread has ended
        session.request_rerun(ClientState(query_string="two"))
        session.request_rerun(ClientState(query_string="three"))
        await asyncio.sleep(0.1)
        asked = [r.query_string for made in Runner.made[1:] for r in made.requests]
        assert asked == ["one", "two", "three"]

    play(scene)


def test_a_timer_of_a_page_that_was_left_does_not_lead_back(play: Any) -> None:
    """Streamlit makes one request of those that wait, for the page of the newest."""

    async def scene(session: AppSession) -> None:
        session.request_rerun(ClientState(page_script_hash="compare"))
        session.request_rerun(ClientState(page_script_hash="explorer"))
        for page in ("compare", "explorer"):
            timer = ClientState(page_script_hash=page, fragment_id="part", is_auto_rerun=True)
            session.request_rerun(timer)
        session.request_rerun(ClientState(page_script_hash="compare"))  # and back by a click
        (runner,) = Runner.made
        asked = [(r.page_script_hash, r.is_auto_rerun) for r in runner.requests]
        assert asked == [
            ("compare", False),
            ("explorer", False),
            ("explorer", True),
            ("compare", False),
        ]

    play(scene)


def test_a_timer_whose_part_is_gone_gets_the_whole_page(play: Any) -> None:
    """Streamlit drops its requests, and the browser would show an old state for good."""

    def tick(session: AppSession, part: str) -> None:
        timer = ClientState(page_script_hash="explorer", fragment_id=part, is_auto_rerun=True)
        session.request_rerun(timer)

    async def scene(session: AppSession) -> None:
        session.has_fragment = lambda part: part == "there"  # type: ignore[method-assign]
        session.request_rerun(ClientState(page_script_hash="explorer"))
        (runner,) = Runner.made
        for _ in range(_VAIN_TICKS - 1):  # late ones, as a part has just gone
            tick(session, "gone")
        assert len(runner.requests) == 1
        tick(session, "there")
        tick(session, "gone")
        asked = [(r.fragment_id, r.is_auto_rerun) for r in runner.requests]
        assert asked == [(None, False), ("there", True), (None, False)]
        for _ in range(_VAIN_TICKS - 1):  # and not at every further one
            tick(session, "gone")
        assert len(runner.requests) == 3

    play(scene)


def test_a_run_refers_to_nothing_that_the_browser_may_be_throwing_away(play: Any) -> None:
    """Else it waits for a message that it no longer has, and handles none of those that follow."""

    def send(session: AppSession, *hashes: str, refer: bool = False) -> None:
        start = ForwardMsg()
        start.new_session.SetInParent()
        session._enqueue_forward_msg(start)
        for text in hashes:
            message = ForwardMsg(**{"ref_hash" if refer else "hash": text})
            message.metadata.cacheable = not refer
            session._enqueue_forward_msg(message)

    async def scene(session: AppSession) -> None:
        kept = config.get_option("global.maxCachedMessageAge")
        send(session, "only drawn at first", "drawn again", "of another tab")
        for _ in range(kept - 1):  # timers
            send(session)
        send(session, "drawn again", refer=True)
        send(session, "just drawn")
        browser_has = ["only drawn at first", "drawn again", "just drawn"]
        session.request_rerun(ClientState(cached_message_hashes=browser_has))
        (runner,) = Runner.made
        assert runner.requests[0].cached_message_hashes == {"drawn again", "just drawn"}

    play(scene)


def test_callbacks_run_to_their_end(play: Any) -> None:
    """A press that comes meanwhile is taken afterwards."""
    pressed: list[str] = []

    def another_press() -> None:
        if pressed:
            raise RerunException(RerunData())

    class State:
        def on_script_will_rerun(self, *_: Any, **__: Any) -> None:
            pressed.append("begun")
            safe["chosen"] = 1  # as a callback does
            pressed.append("done")

        def __setitem__(self, name: str, value: Any) -> None:
            pass

    play(_nothing)
    safe = SafeSessionState(State(), another_press)  # type: ignore[arg-type]
    safe.on_script_will_rerun(None)
    assert pressed == ["begun", "done"]
    with pytest.raises(RerunException):
        safe["chosen"] = 2


def test_a_widget_looks_up_its_own_key_only(play: Any) -> None:
    copies = 0

    class State(SessionState):
        @property
        def filtered_state(self) -> dict[str, Any]:
            nonlocal copies
            copies += 1
            return super().filtered_state

    play(_nothing)
    state = State()
    state["chosen"], state["empty"] = 3, None
    found = SafeSessionState(state, lambda: None).filtered_state
    assert ("chosen" in found, found["chosen"], found["empty"]) == (True, 3, None)
    assert ("absent" in found, found.get("absent")) == (False, None)
    assert copies == 0
    assert dict(found) == {"chosen": 3, "empty": None} == state.filtered_state


@pytest.fixture
def clock(play: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which files are kept, for one visitor."""
    now = [100.0]
    monkeypatch.setattr(media_file_manager, "_get_session_id", lambda: "visitor")
    monkeypatch.setattr(streamlit_patches, "time", MagicMock(monotonic=lambda: now[0]))
    play(_nothing)
    return now


def test_a_file_that_was_asked_for_outlives_the_runs_of_pages(clock: list[float]) -> None:
    manager = MediaFileManager(storage := MemoryMediaFileStorage("/media"))
    asked = manager.add_deferred(lambda: b"all rows", "text/csv", "0.1", "rows.csv")
    name = manager.execute_deferred(asked).rsplit("/", 1)[-1]
    for clock[0] in (100.0, 101.0, 159.0):  # ticks of a page
        manager.remove_orphaned_files()
        assert storage.get_file(name).content == b"all rows"
    clock[0] = 160.0
    manager.remove_orphaned_files()
    with pytest.raises(MediaFileStorageError):
        storage.get_file(name)


def test_a_download_button_works_while_its_page_is_redrawn(clock: list[float]) -> None:
    manager = MediaFileManager(MemoryMediaFileStorage("/media"))
    shown = manager.add_deferred(lambda: b"all rows", "text/csv", "0.1", "rows.csv")
    redrawn = manager.add_deferred(lambda: b"all rows", "text/csv", "0.1", "rows.csv")
    for clock[0] in (100.0, 101.0, 159.0):  # ticks of a page
        manager.remove_orphaned_files()
        assert manager.execute_deferred(shown)
    clock[0] = 160.0
    manager.remove_orphaned_files()
    with pytest.raises(MediaFileStorageError):
        manager.execute_deferred(shown)
    assert manager.execute_deferred(redrawn)
    manager.clear_session_refs("visitor")
    clock[0] = 250.0
    manager.remove_orphaned_files()
    assert manager.execute_deferred(redrawn)  # its visitor has just left
    clock[0] = 310.0
    manager.remove_orphaned_files()
    assert not manager._deferred_callables


@pytest.mark.parametrize("part", list(streamlit_patches._BUILT), ids=lambda part: part.__name__)
def test_a_streamlit_whose_source_differs_is_left_alone_and_the_log_says_so(
    part: type, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(AppSession, "_create_scriptrunner", lambda *_: None)  # not patched
    original = AppSession._create_scriptrunner, SafeSessionState.on_script_will_rerun
    monkeypatch.setitem(streamlit_patches._BUILT, part, ("def of_a_later_version",))
    assert not patch_streamlit()
    assert original == (AppSession._create_scriptrunner, SafeSessionState.on_script_will_rerun)
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert f"{part.__name__}: def of_a_later_version" in caplog.text
    assert f"The source of Streamlit {streamlit.__version__} differs" in caplog.text


def test_versions_that_were_not_tested_are_not_installed() -> None:
    """Private parts may change with every minor version of Streamlit and torch."""
    lines = (Path(__file__).resolve().parents[3] / "requirements.txt").read_text().splitlines()
    allowed = {r.name: r.specifier for line in lines if line[0] != "#" for r in [Requirement(line)]}
    for name in ("streamlit", "torch"):
        installed = Version(version(name))
        following = f"{installed.major}.{installed.minor + 2}"
        assert installed in allowed[name]
        assert following not in allowed[name]


async def _nothing(_: AppSession) -> None:
    pass
