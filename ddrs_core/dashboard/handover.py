"""One run of a page hands over to the next without losing what it had to say.

Streamlit draws a page in a thread whose messages the event loop passes on to the browser. A
timer's request (``st.fragment(run_every=...)``) that arrives when that thread has just ended, but
before its last messages were passed on, makes Streamlit start the next thread at once, and messages
of any thread but the newest are thrown away: buttons keep a state that is gone, and timers never
start, until somebody reloads the page (a comment in ``AppSession.request_rerun`` of Streamlit 1.67
names the gap; on two overloaded cores one of 22 presses of a button met it). Here such a request
waits until the loop has passed on what is due.
"""

from __future__ import annotations

import asyncio
from typing import Any

from streamlit.runtime.app_session import AppSession, AppSessionState


def let_runs_finish_speaking() -> None:
    """Let every new run of a page wait for the last messages of the one before; once a process."""
    create = getattr(AppSession, "_create_scriptrunner", None)
    if create is None or getattr(create, "_waits", False):
        return  # another Streamlit than the one described above, or done already

    def create_in_turn(session: AppSession, request: Any) -> None:
        before = getattr(session, "_scriptrunner", None)
        if before is None:  # none runs, or it was told to stop and what it says does not matter
            create(session, request)
            return

        def now() -> None:
            if session._state is AppSessionState.SHUTDOWN_REQUESTED:
                return
            runner = session._scriptrunner  # another request may have started one meanwhile
            if runner is None or not runner.request_rerun(request):
                create(session, request)

        # A run that takes no more requests has given all its messages to the loop, in order.
        asyncio.get_running_loop().call_soon(now)

    create_in_turn._waits = True  # type: ignore[attr-defined]
    AppSession._create_scriptrunner = create_in_turn  # type: ignore[method-assign, assignment]
