"""A visitor of the dashboard without a browser: the websocket messages that a browser would send.

A page's script runs on the server; here is who asks for the runs, ticks its timers, presses its
buttons, and reads what it shows. Thirty of these cost less than one browser.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.request
import uuid
from collections.abc import Iterator
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import parse_qsl

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

_WIDGETS = ("number_input", "selectbox", "slider", "checkbox", "text_input", "multiselect", "radio")
_FAST_SECONDS = 1.0  # timers that are quicker follow a job; slower ones are heartbeats
_TRIES_SECONDS = 60.0


def receive_cookies(server: str, page: str = "") -> str:
    """The cookies that the server gives along with a page, as the header that returns them."""
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with opener.open(f"{server}/{page}", timeout=_TRIES_SECONDS) as answer:
        answer.read()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


class Tab:
    """A page that is open in a tab.

    Args:
        server: such as ``http://127.0.0.1:8501``.
        page: its path.
        query: of its address, without the question mark.
        cookies: who visits, see :func:`receive_cookies`; empty: somebody who refuses cookies.
    """

    def __init__(self, server: str, page: str, query: str = "", cookies: str = "") -> None:
        self.server, self.page, self.query, self.cookies = server, page, query, cookies
        self.timers: dict[str, float] = {}  # seconds by the fragment that they run
        self.failures: list[str] = []  # of the connection and the protocol
        self._connection: ClientConnection
        self._reader: asyncio.Task[None]
        self._finished = asyncio.Event()
        self.kept_runs = 0  # of the page, whose messages the server takes for known
        self._script = ""  # hash of the page's script
        self._run = 0  # number of runs so far, fragments included
        self._shown: dict[tuple[int, ...], tuple[int, Element]] = {}  # by place; of which run
        self._widgets: dict[str, WidgetState] = {}
        self._new_timers: dict[str, float] = {}
        self._messages: dict[str, ForwardMsg] = {}  # that the server need not send again
        self._session = ""  # its id
        self._targets: asyncio.Queue[FileURLs] = asyncio.Queue()  # where to put files

    async def open(self) -> float:
        """Connect, and wait until the page has been drawn; the seconds that it took."""
        started = time.perf_counter()
        address = self.server.replace("http", "ws", 1) + "/_stcore/stream"
        headers = {"Cookie": self.cookies} if self.cookies else {}
        self._connection = await connect(
            address,
            subprotocols=["streamlit"],
            additional_headers=headers,  # type: ignore[list-item]
            origin=self.server,
            max_size=None,
            ping_interval=None,
            open_timeout=_TRIES_SECONDS,  # type: ignore[arg-type]
            proxy=None,
        )
        self._reader = asyncio.create_task(self._read())
        await self.rerun()
        return time.perf_counter() - started

    async def close(self) -> None:
        """Close the tab."""
        self._reader.cancel()
        await self._connection.close()

    async def rerun(self, *pressed: WidgetState, fragment: str = "") -> float:
        """Ask for a run of the page, or of one fragment by its timer; the seconds that it took.

        Args:
            pressed: what was pressed or entered.
            fragment: whose timer has run out.

        Raises:
            TimeoutError: if the run does not end.
        """
        message = BackMsg()
        run = message.rerun_script
        run.query_string, run.page_name, run.page_script_hash = self.query, self.page, self._script
        run.fragment_id, run.is_auto_rerun = fragment, bool(fragment)
        run.cached_message_hashes.extend(self._messages)
        run.widget_states.widgets.extend(self._widgets.values())
        run.widget_states.widgets.extend(pressed)
        run.context_info.timezone, run.context_info.locale = "UTC", "en"
        run.context_info.url = f"{self.server}/{self.page}"
        self._finished.clear()
        started = time.perf_counter()
        await self._connection.send(message.SerializeToString())
        await asyncio.wait_for(self._finished.wait(), _TRIES_SECONDS)
        return time.perf_counter() - started

    async def tick(self) -> float:
        """Let every timer that follows a job run out once; the seconds of the slowest run."""
        slowest = 0.0
        for fragment in [f for f, every in self.timers.items() if every < _FAST_SECONDS]:
            if fragment in self.timers:  # else a run of the page has stopped it meanwhile
                slowest = max(slowest, await self.rerun(fragment=fragment))
        return slowest

    async def press(self, label: str) -> float:
        """Press a button; the seconds that the page took to answer."""
        buttons = [e.button for e in self.shown("button") if e.button.label == label]
        if not buttons:
            raise LookupError(f"The page shows no button {label!r}, but {self.errors}.")
        return await self.rerun(WidgetState(id=buttons[0].id, trigger_value=True))

    async def enter(self, label: str, value: float | str) -> float:
        """Enter a number or a text into the field whose label begins so, or choose one of its
        options; the seconds until the answer."""
        kinds = (
            ("number_input",)
            if not isinstance(value, str)
            else ("text_input", "selectbox", "radio")
        )
        shown = [getattr(e, kind) for kind in kinds for e in self.shown(kind)]
        fields = [field for field in shown if field.label.startswith(label)]
        if not fields:
            raise LookupError(f"The page shows no field {label!r}, but {self.errors}.")
        state = WidgetState(id=fields[0].id)
        setattr(state, "string_value" if isinstance(value, str) else "double_value", value)
        self._widgets[fields[0].id] = state
        return await self.rerun()

    async def watch(self, seconds: float = 120.0) -> None:
        """Follow what the page follows to its end.

        Raises:
            TimeoutError: if it does not end.
        """
        deadline = time.monotonic() + seconds
        while self.is_moving:
            if time.monotonic() > deadline:
                raise TimeoutError("The job did not end.")
            await self.tick()
            await asyncio.sleep(0.05)

    def value(self, label: str) -> Any:
        """What the field shows whose label begins so."""
        for kind in _WIDGETS:
            for element in self.shown(kind):
                widget = getattr(element, kind)
                if widget.label.startswith(label) and widget.id in self._widgets:
                    state = self._widgets[widget.id]
                    return getattr(state, str(state.WhichOneof("value")))
        raise LookupError(f"The page shows no field {label!r}, but {self.errors}.")

    def options(self, label: str) -> list[str]:
        """What the list offers whose label begins so."""
        (found,) = (
            e.selectbox for e in self.shown("selectbox") if e.selectbox.label.startswith(label)
        )
        return list(found.options)

    async def upload(self, name: str, data: bytes) -> float:
        """Put a file into the page's first uploader, in place of the one before; the seconds until
        the answer."""
        uploader = self.shown("file_uploader")[0].file_uploader
        message = BackMsg()
        wanted = message.file_urls_request
        wanted.request_id, wanted.session_id = str(uuid.uuid4()), self._session
        wanted.file_names.append(name)
        await self._connection.send(message.SerializeToString())
        target = await asyncio.wait_for(self._targets.get(), _TRIES_SECONDS)
        await asyncio.to_thread(self._put, target.upload_url, name, data)
        state = WidgetState(id=uploader.id)
        state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(data), file_id=target.file_id, file_urls=target
        )
        self._widgets[uploader.id] = state
        return await self.rerun()

    def _put(self, address: str, name: str, data: bytes) -> None:
        boundary = uuid.uuid4().hex
        head = (
            f"--{boundary}\r\nContent-Disposition: form-data; "
            f"name={json.dumps(name)}; filename={json.dumps(name)}\r\n"
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        forgery = receive_cookies(self.server, "_stcore/health")  # proves that no other site asks
        token = forgery.partition("_streamlit_xsrf=")[2].partition(";")[0]
        cookies = "; ".join(filter(None, (self.cookies, forgery)))
        headers = {"Content-Type": kind, "Cookie": cookies, "X-Xsrftoken": token}
        request = urllib.request.Request(self.server + address, body, headers, method="PUT")
        urllib.request.urlopen(request, timeout=_TRIES_SECONDS).close()

    def find(self, pattern: str) -> re.Match[str] | None:
        """Where a regular expression is found first in anything that the page shows."""
        found = (re.search(pattern, str(element)) for _, element in self._shown.values())
        return next(filter(None, found), None)

    def says(self, pattern: str) -> bool:
        """Whether a regular expression is found in anything that the page shows."""
        return self.find(pattern) is not None

    def alerts(self, words: str = "") -> list[str]:
        """The messages in boxes, those that contain these words; without Markdown's escapes."""
        bodies = [re.sub(r"\\(.)", r"\1", element.alert.body) for element in self.shown("alert")]
        return [body for body in bodies if words in body]

    def shown(self, kind: str) -> list[Element]:
        """Elements of a kind that the page shows."""
        return [e for _, e in self._shown.values() if e.WhichOneof("type") == kind]

    @property
    def errors(self) -> list[str]:
        """What a visitor would see in red, and what went wrong between here and the server."""
        boxes = [e.alert for e in self.shown("alert")]
        said = [box.body for box in boxes if box.format == Alert.ERROR]
        said += [f"{e.exception.type}: {e.exception.message}" for e in self.shown("exception")]
        return said + self.failures

    @property
    def address(self) -> dict[str, str]:
        """What the address says after the question mark."""
        return dict(parse_qsl(self.query))

    @property
    def is_moving(self) -> bool:
        """Whether the page follows a job."""
        return any(every < _FAST_SECONDS for every in self.timers.values())

    async def _read(self) -> None:
        try:
            async for data in self._connection:
                assert isinstance(data, bytes)
                self._take(ForwardMsg.FromString(data))
        except Exception as error:  # whatever it was, tests look for it
            self.failures.append(repr(error))
        self.failures.append("The server closed the connection.")
        self._finished.set()

    def _take(self, message: ForwardMsg) -> None:
        if message.WhichOneof("type") == "ref_hash":
            message = self._messages[message.ref_hash]
        elif message.metadata.cacheable:
            self._messages[message.hash] = message
        kind = message.WhichOneof("type")
        if kind == "delta":
            self._draw(message)
        elif kind == "file_urls_response":
            for target in message.file_urls_response.file_urls:
                self._targets.put_nowait(target)
        elif kind == "new_session":
            self._session = message.new_session.initialize.session_id
            self._new_timers, self._run = {}, self._run + 1
            self.kept_runs = message.new_session.config.max_cached_message_age
        elif kind == "auto_rerun":
            timer = message.auto_rerun
            self.timers[timer.fragment_id] = self._new_timers[timer.fragment_id] = timer.interval
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self.timers.pop(fragment, None)
        elif kind == "navigation":
            self._script = message.navigation.page_script_hash
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "script_finished":
            if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                self.timers = dict(self._new_timers)
                self._shown = {k: v for k, v in self._shown.items() if v[0] == self._run}
            if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                self._finished.set()

    def _draw(self, message: ForwardMsg) -> None:
        place = tuple(message.metadata.delta_path)
        if message.delta.WhichOneof("type") != "new_element":
            self._shown.pop(place, None)
            return
        element = message.delta.new_element
        self._shown[place] = (self._run, element)
        kind = element.WhichOneof("type")
        if kind in _WIDGETS:
            widget = getattr(element, kind)
            if widget.id not in self._widgets or widget.set_value:
                state = WidgetState(id=widget.id)
                for name, value in _value(kind, widget):
                    if isinstance(value, list):
                        getattr(state, name).data.extend(value)
                    else:
                        setattr(state, name, value)
                    self._widgets[widget.id] = state


def _value(kind: str, widget: Any) -> Iterator[tuple[str, Any]]:
    """The value that the server gave to a widget and where a message carries it; else nothing."""
    given = widget.set_value
    if kind == "number_input" and widget.HasField("value" if given else "default"):
        yield "double_value", widget.value if given else widget.default
    elif kind == "selectbox" and given:
        yield "string_value", widget.raw_value
    elif kind == "selectbox" and widget.HasField("default") and widget.options:
        yield "string_value", widget.options[widget.default]
    elif kind == "radio" and given:
        yield "string_value", widget.raw_value
    elif kind == "radio" and widget.HasField("default"):
        yield "string_value", widget.options[widget.default]
    elif kind == "slider":
        yield "double_array_value", list(widget.value if given else widget.default)
    elif kind == "checkbox":
        yield "bool_value", widget.value if given else widget.default
    elif kind == "text_input" and (given or widget.HasField("default")):
        yield "string_value", widget.value if given else widget.default
    elif kind == "multiselect" and given:
        yield "string_array_value", list(widget.raw_values)
    elif kind == "multiselect":
        yield "string_array_value", [widget.options[i] for i in widget.default]


async def open_tab(server: str, page: str, query: str = "") -> Tab:
    """A page in a tab of somebody who has not been there before; it must show no error."""
    tab = Tab(server, page, query, await asyncio.to_thread(receive_cookies, server))
    await tab.open()
    assert tab.errors == []
    return tab
