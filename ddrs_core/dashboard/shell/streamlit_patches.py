"""Patches of Streamlit: runs of a session never overlap, and callbacks are never interrupted.

Streamlit draws a page in a thread whose messages the event loop passes on to the browser. As of
version 1.67 eight things go wrong there on a busy server, which is corrected here:

- A timer's request (``st.fragment(run_every=...)``) that arrives when that thread has just ended,
  but before its last messages were passed on, makes Streamlit start the next thread at once, and
  messages of any thread but the newest are thrown away: buttons keep a state that is gone, and
  timers never start, until somebody reloads the page. (A comment in ``AppSession.request_rerun``
  names the gap; on two overloaded cores one of 22 presses of a button met it.)
- After a lost connection a second thread may start beside the first, and both change what the
  session holds. That, and the first, is mended by letting a new run wait for the one before.
- A press that arrives while the callbacks of another one run cuts them off wherever they next touch
  the session's state, and they are never finished. Here callbacks, which draw nothing, run to
  their end.
- A timer's request that arrives while the visitor's way to another page still waits takes its
  place, and the visitor stays where they were: the click, or Back or Forward, is lost. Here timers
  of a page that has been left are not heard.
- A browser whose timer belongs to a part that the last run of the page did not draw asks in vain,
  since Streamlit drops such a request, and shows an old state for good. Here the page is drawn
  again when a timer has asked so several times.
- A run refers to large messages that the browser said it had when it asked. The browser throws away
  at the end of each run of the page what that many runs, timers included, have not used. When a
  run cuts another one off after a long job, that is what the second refers to; the browser then
  handles no message any more, and the page stands still. Here a run refers only to what was used
  lately.
- A file that a press of a download button has made is deleted at the end of the second run of
  anybody's page, timers included, which may be before the browser has fetched it: the download is
  cancelled. What makes it goes with the run that redraws the button, and a press on the former one
  fails. Here both are kept for a minute.
- Every field and select box copies all that the session holds to look one key up. With thirty
  visitors that was a third of the time in which pages were drawn. Here the one key is looked up.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping
from inspect import getsource
from math import inf
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import streamlit
from streamlit import config
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.media_file_manager import MediaFileManager, MediaFileMetadata
from streamlit.runtime.scriptrunner import ScriptRunner
from streamlit.runtime.state import SafeSessionState

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.02
_FILE_SECONDS = 60.0
_VAIN_TICKS = 5  # of one timer; when a part has just gone, some are still on their way


# What is relied on: parts of Streamlit's source that are private and may change with any version.
_BUILT = {
    AppSession: (
        "def _create_scriptrunner",
        "self._scriptrunner",
        "self._event_loop",
        "self._state",
        "def handle_backmsg_exception",
        "client_state.page_script_hash",
        "if fragment_id and not self.has_fragment(fragment_id)",
        "client_state.is_auto_rerun",
        "def _enqueue_forward_msg",
        "frozenset(client_state.cached_message_hashes)",
    ),
    ScriptRunner: ("self._script_thread", "def request_rerun"),
    MediaFileManager: (
        "if file.is_marked_for_delete:",
        "file.mark_for_delete()",
        "def _remove_orphaned_deferred_callables",
        "self._files_by_session_and_coord.values()",
        "self._deferred_callables[file_id]",
        "self._drop_deferred_id(file_id)",
    ),
    MediaFileMetadata: ("def is_marked_for_delete", "def mark_for_delete"),
    SafeSessionState: (
        "def on_script_will_rerun",
        '"_yield_callback"',
        "def filtered_state",
        "self._state.filtered_state",
        "self._lock",
    ),
}


def patch_streamlit() -> bool:
    """Apply the patches, for the life of this process.

    A Streamlit whose source differs is left as it is, and a warning in the log says so.

    Returns:
        Whether the patches are applied.
    """
    if hasattr(AppSession._create_scriptrunner, "_waits"):
        return True
    missing = [
        f"{part.__name__}: {text}"
        for part, texts in _BUILT.items()
        for text in texts
        if text not in getsource(part)
    ]
    if missing:
        _LOG.warning(
            "The source of Streamlit %s differs from what this program patches (%s), so faults on "
            "a busy server remain: a click may be lost now and then, or a page may stop "
            "updating until it is reloaded. Install a version that requirements.txt "
            "allows.",
            streamlit.__version__,
            "; ".join(missing),
        )
        return False
    _let_runs_wait()
    _let_callbacks_end()
    _answer_timers_of_lost_parts()
    _ignore_timers_of_left_pages()
    _refer_to_recent_messages()
    _keep_files_for_a_minute()
    SafeSessionState.filtered_state = property(_State)  # type: ignore[method-assign, assignment]
    return True


def _let_runs_wait() -> None:
    create = AppSession._create_scriptrunner
    waiting: WeakKeyDictionary[AppSession, deque[Any]] = WeakKeyDictionary()

    def create_in_turn(session: AppSession, request: Any) -> None:
        requests = waiting.setdefault(session, deque())
        if session._scriptrunner is None and not requests:
            create(session, request)
            return
        requests.append(request)  # the page's state as it was then: none may overtake another
        if len(requests) == 1:
            # A run that accepts no more requests has passed all its messages to the loop, in order.
            session._event_loop.call_soon_threadsafe(go_on, session)

    def go_on(session: AppSession) -> None:
        requests = waiting[session]
        while requests and session._state is not AppSessionState.SHUTDOWN_REQUESTED:
            runner = session._scriptrunner
            if runner is None or not runner.request_rerun(requests[0]):
                if runner is not None and _works(runner):
                    session._event_loop.call_later(_LOOK_SECONDS, go_on, session)
                    return
                try:
                    create(session, requests[0])
                except Exception as error:  # as Streamlit itself does with any request
                    session.handle_backmsg_exception(error)
            requests.popleft()
        requests.clear()

    create_in_turn._waits = True  # type: ignore[attr-defined]
    AppSession._create_scriptrunner = create_in_turn  # type: ignore[method-assign, assignment]


def _works(runner: Any) -> bool:
    thread = runner._script_thread
    return thread is not None and thread.is_alive()


def _let_callbacks_end() -> None:
    apply = SafeSessionState.on_script_will_rerun

    def apply_whole(state: SafeSessionState, *args: Any, **options: Any) -> None:
        interrupt = state._yield_callback
        object.__setattr__(state, "_yield_callback", lambda: None)
        try:
            apply(state, *args, **options)
        finally:
            object.__setattr__(state, "_yield_callback", interrupt)

    SafeSessionState.on_script_will_rerun = apply_whole  # type: ignore[method-assign, assignment]


def _answer_timers_of_lost_parts() -> None:
    request = AppSession.request_rerun
    vain: WeakKeyDictionary[AppSession, dict[str, int]] = WeakKeyDictionary()  # ticks by timer

    def request_rerun(session: AppSession, client_state: Any) -> None:
        if client_state is not None:
            ticks = vain.setdefault(session, {})
            part = client_state.fragment_id
            if not part:
                ticks.clear()
            elif client_state.is_auto_rerun and not session.has_fragment(part):
                ticks[part] = ticks.get(part, 0) + 1
                if ticks[part] >= _VAIN_TICKS:
                    ticks.clear()
                    client_state.fragment_id, client_state.is_auto_rerun = "", False
        request(session, client_state)

    AppSession.request_rerun = request_rerun  # type: ignore[method-assign, assignment]


def _ignore_timers_of_left_pages() -> None:
    request = AppSession.request_rerun
    pages: WeakKeyDictionary[AppSession, str] = WeakKeyDictionary()  # that was asked for last

    def request_rerun(session: AppSession, client_state: Any) -> None:
        if client_state is not None:
            page = client_state.page_script_hash
            if not client_state.is_auto_rerun:
                pages[session] = page
            elif page and pages.get(session, "") not in ("", page):
                return
        request(session, client_state)

    AppSession.request_rerun = request_rerun  # type: ignore[method-assign, assignment]


def _refer_to_recent_messages() -> None:
    request, enqueue = AppSession.request_rerun, AppSession._enqueue_forward_msg
    sent: WeakKeyDictionary[AppSession, _SentMessages] = WeakKeyDictionary()

    def request_rerun(session: AppSession, client_state: Any) -> None:
        if client_state is not None and session in sent:
            hashes = client_state.cached_message_hashes
            hashes[:] = [kept for kept in hashes if kept in sent[session].runs]
        request(session, client_state)

    def enqueue_and_note(session: AppSession, message: Any) -> None:
        sent.setdefault(session, _SentMessages()).note(message)
        enqueue(session, message)

    AppSession.request_rerun = request_rerun  # type: ignore[method-assign, assignment]
    AppSession._enqueue_forward_msg = enqueue_and_note  # type: ignore[method-assign, assignment]


def _keep_files_for_a_minute() -> None:
    due: WeakKeyDictionary[MediaFileMetadata, float] = WeakKeyDictionary()

    def mark_for_delete(file: MediaFileMetadata) -> None:
        due.setdefault(file, time.monotonic() + _FILE_SECONDS)

    def is_due(file: MediaFileMetadata) -> bool:
        return time.monotonic() >= due.get(file, inf)

    MediaFileMetadata.mark_for_delete = mark_for_delete  # type: ignore[method-assign, assignment]
    MediaFileMetadata.is_marked_for_delete = property(is_due)  # type: ignore[method-assign, assignment]

    ends: WeakKeyDictionary[MediaFileManager, dict[str, float]] = WeakKeyDictionary()

    def remove_orphaned(manager: MediaFileManager) -> None:
        """What makes a file when its button is pressed: the page may have just been redrawn."""
        used = {i for files in manager._files_by_session_and_coord.values() for i in files.values()}
        unused = set(manager._deferred_callables) - used
        now, before = time.monotonic(), ends.get(manager, {})
        ends[manager] = after = {i: before.get(i, now + _FILE_SECONDS) for i in unused}
        for file_id in [i for i, end in after.items() if now >= end]:
            manager._drop_deferred_id(file_id)
            del after[file_id]

    MediaFileManager._remove_orphaned_deferred_callables = remove_orphaned  # type: ignore[method-assign, assignment]


class _SentMessages:
    """Which run of a session has last used a large message, for half as long as browsers keep it.

    The other half is for the runs that end while a request is on its way or waits.
    """

    def __init__(self) -> None:
        self.runs: dict[str, int] = {}  # by hash
        self._run = 0

    def note(self, message: Any) -> None:
        """A message goes to the browser."""
        if message.HasField("new_session"):
            self._run += 1
            oldest = self._run - int(config.get_option("global.maxCachedMessageAge")) // 2
            self.runs = {text: run for text, run in self.runs.items() if run > oldest}
        elif message.HasField("ref_hash") or message.metadata.cacheable:
            self.runs[message.ref_hash or message.hash] = self._run


class _State(Mapping[str, Any]):
    """What a session holds, looked up key by key; only who wants all of it copies all of it."""

    def __init__(self, state: SafeSessionState) -> None:
        self._lock, self._state = state._lock, state._state

    def __getitem__(self, key: str) -> Any:
        with self._lock:
            return self._state[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def _all(self) -> dict[str, Any]:
        with self._lock:
            return self._state.filtered_state


class QuietDisconnects:
    """ASGI middleware: an error about a connection whose browser has left ends with it.

    Streamlit goes on reading from a connection that it could not send on, takes the error of newer
    versions of Starlette for a broken protocol, and logs a traceback whenever somebody closes a
    tab at the wrong moment.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        has_left = False

        async def receive_and_note() -> Message:
            nonlocal has_left
            message = await receive()
            has_left = has_left or message["type"] == "websocket.disconnect"
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal has_left
            try:
                await send(message)
            except OSError:
                has_left = True
                raise

        try:
            await self.app(scope, receive_and_note, send_and_note)
        except RuntimeError:
            if not has_left:
                raise
