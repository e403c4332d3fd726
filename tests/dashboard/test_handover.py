"""A timer's request that meets a run at its very end takes nothing away from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import app_session
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner import ScriptRunnerEvent

from ddrs_core.dashboard.handover import let_runs_finish_speaking


class Runner:
    """Draws a page as Streamlit's own does, as far as a session can tell."""

    made: list[Runner]

    def __init__(self, *, initial_rerun_data: Any = None, **_: Any) -> None:
        self.requests = [initial_rerun_data]
        self.ended = False
        self.on_event = MagicMock()
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
    original = AppSession._create_scriptrunner
    Runner.made = []

    def run(scene: Callable[[AppSession], Awaitable[None]]) -> None:
        async def whole() -> None:
            session = AppSession(
                script_data=ScriptData("main.py", False), uploaded_file_manager=MagicMock(),
                script_cache=MagicMock(), message_enqueued_callback=None, user_info={},
            )  # fmt: skip
            session.has_fragment = lambda _: True  # type: ignore[method-assign]
            await scene(session)

        asyncio.run(whole())

    let_runs_finish_speaking()
    let_runs_finish_speaking()  # twice is as good as once
    yield run
    AppSession._create_scriptrunner = original  # type: ignore[method-assign]


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
