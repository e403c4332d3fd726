"""A page whose browser hears of everything late: ticks arrive while the whole page is drawn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlparse

from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, at_rest, button, start_server

_DELAY_SECONDS = 0.2
_SCRIPT = """
import time
from types import SimpleNamespace
import streamlit as st
from ddrs_core.dashboard.shell.polling import Watch
from ddrs_core.dashboard.shell.streamlit_patches import patch_streamlit

class Job:
    id, end = "job", 0.0
    def touch(self): pass
    @property
    def state(self): return SimpleNamespace(is_moving=time.monotonic() < self.end)

patch_streamlit()
job = st.session_state.setdefault("job", Job())
if st.button("Go"):
    job.end = time.monotonic() + 0.7
time.sleep(0.15)  # a whole page takes longer than a tick
Watch(job).draw(lambda: st.write("moving" if job.state.is_moving else "at rest"))
st.header("What follows")
st.write("The end.")
"""


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float
) -> None:
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        while data := await reader.read(65536):
            chunks.put_nowait((loop.time() + delay, data))
        chunks.put_nowait((0.0, b""))

    reading = asyncio.create_task(read())
    while (chunk := await chunks.get())[1]:
        await asyncio.sleep(max(0.0, chunk[0] - loop.time()))
        writer.write(chunk[1])
        await writer.drain()
    writer.close()
    await reading


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def slow_connection(port: int) -> Iterator[int]:
    """The port of a relay that passes a server's answers on late."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        with suppress(asyncio.CancelledError):  # asyncio would log it
            await asyncio.gather(
                _pass_on(reader, to_server, 0.0),
                _pass_on(from_server, writer, _DELAY_SECONDS),
                return_exceptions=True,  # the browser has left
            )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    started = asyncio.start_server(relay, "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(started, loop).result(20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


def test_a_late_tick_overwrites_nothing(page: Page, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(_SCRIPT)
    process, url = start_server(tmp_path, {"PYTHONPATH": str(ROOT)}, root=tmp_path)
    try:
        with slow_connection(urlparse(url).port or 0) as port:
            page.goto(f"http://127.0.0.1:{port}")
            for _ in range(4):
                expect(page.get_by_text("at rest")).to_be_visible()
                at_rest(page)
                button(page, "Go").click()
                expect(page.get_by_text("moving")).to_be_visible()
                expect(page.get_by_text("at rest")).to_be_visible()
                page.wait_for_timeout(600)  # the late tick
                at_rest(page)
                expect(page.get_by_role("heading", name="What follows")).to_be_visible(timeout=1)
                expect(page.get_by_text("The end.")).to_be_visible(timeout=1)
            page.goto("about:blank")
    finally:
        process.terminate()
        process.wait(20)
