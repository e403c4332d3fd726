"""Downloads from a server of our own: resumed, checked, and safe between processes."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ddrs_core import download as module
from ddrs_core.download import DownloadError, download

CONTENT = np.random.default_rng(0).bytes(1_500_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """Serves ``content``; how badly is set by the tests."""

    content: bytes = CONTENT
    ranges: bool = True  # whether it can resume
    break_after: list[int] = field(default_factory=list)  # bytes, for one answer after the other
    status: int = 200
    seen: list[str | None] = field(default_factory=list)  # the Range of every request
    url: str = ""
    chunk_delay: float = 0.0

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.seen.append(wanted)
        if self.status != 200:
            request.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if not self.ranges:
            start = 0
        if start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            last = len(self.content) - 1
            request.send_header("Content-Range", f"bytes {start}-{last}/{len(self.content)}")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        sent = body[: self.break_after.pop(0)] if self.break_after else body
        for at in range(0, len(sent), 2**16):
            request.wfile.write(sent[at : at + 2**16])
            time.sleep(self.chunk_delay)


@pytest.fixture
def server() -> Iterator[Server]:
    serving = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the client was killed
                serving.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        serving.url = f"http://127.0.0.1:{listening.server_port}/file"
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield serving
        listening.shutdown()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)


def test_a_file_arrives(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    steps = list(download(server.url, target, digest=MD5))
    assert target.read_bytes() == CONTENT
    assert not list(target.parent.glob("*.part"))
    loading = [step for step in steps if step.stage == "downloading"]
    assert [step.done for step in loading] == sorted(step.done for step in loading)
    assert (loading[0].done, loading[-1].done) == (0, len(CONTENT))
    assert all(step.total == len(CONTENT) for step in loading)
    assert steps[-1].stage == "checking"
    assert list(download(server.url, target, digest=MD5)) == []  # it is there
    assert len(server.seen) == 1


def test_interruptions_are_resumed(server: Server, tmp_path: Path) -> None:
    server.break_after = [400_000, 0, 500_000]
    list(download(server.url, tmp_path / "file", digest=MD5))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.seen == [None, "bytes=400000-", "bytes=400000-", "bytes=900000-"]


def test_a_server_that_cannot_resume_starts_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.break_after = [1_000_000]
    list(download(server.url, tmp_path / "file", digest=MD5))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert len(server.seen) == 2


def test_giving_up_keeps_what_has_arrived(server: Server, tmp_path: Path) -> None:
    server.break_after = [400_000] + [0] * 10
    with pytest.raises(DownloadError, match=r"What has arrived \(400,000 bytes\) is kept"):
        list(download(server.url, tmp_path / "file", digest=MD5))
    server.break_after = []
    list(download(server.url, tmp_path / "file", digest=MD5))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.seen[-1] == "bytes=400000-"


def test_a_closed_generator_can_be_resumed(server: Server, tmp_path: Path) -> None:
    steps = download(server.url, tmp_path / "file", digest=MD5)
    for step in steps:
        if step.done > 500_000:
            break
    steps.close()
    assert not (tmp_path / "file").exists()
    list(download(server.url, tmp_path / "file", digest=MD5))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.seen[-1] != "bytes=0-"


def test_all_had_arrived_before_the_check(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    list(download(server.url, tmp_path / "file", digest=MD5))
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT + b"x")
    list(download(server.url, tmp_path / "file", digest=MD5))
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_wrong_digest_removes_the_file(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(DownloadError, match=f"not the expected file.*{MD5}.*removed"):
        list(download(server.url, tmp_path / "file", digest=MD5))
    assert [path.name for path in tmp_path.iterdir()] == ["file.lock"]
    server.content = CONTENT
    list(download(server.url, tmp_path / "file", digest=MD5))
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (500, 3), (503, 3)])
def test_the_servers_refusal_is_said(
    server: Server, tmp_path: Path, status: int, requests: int
) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=f"{server.url} .*answers {status}"):
        list(download(server.url, tmp_path / "file", digest=MD5))
    assert len(server.seen) == requests


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/file", "http://no-such-host.invalid/file"])
def test_no_network_is_said(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match=f"{url} could not be fetched"):
        list(download(url, tmp_path / "file", digest=MD5))


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="DDRS_HOME"):
        list(download(server.url, tmp_path / "file" / "file", digest=MD5))


def test_several_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    server.chunk_delay = 0.01
    with ThreadPoolExecutor(4) as pool:
        every = list(
            pool.map(lambda _: list(download(server.url, tmp_path / "f", digest=MD5)), range(4))
        )
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert len(server.seen) == 1
    assert sum(any(step.stage == "waiting" for step in steps) for steps in every) == 3


def test_a_killed_process_leaves_a_part_to_resume(server: Server, tmp_path: Path) -> None:
    server.chunk_delay = 0.05
    code = (
        "from pathlib import Path; from ddrs_core.download import download; "
        f"list(download({server.url!r}, Path({str(tmp_path / 'file')!r}), digest={MD5!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    part = tmp_path / "file.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait(10)
    assert not (tmp_path / "file").exists()
    arrived = part.stat().st_size
    assert CONTENT.startswith(part.read_bytes())
    server.chunk_delay = 0
    list(download(server.url, tmp_path / "file", digest=MD5))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.seen[-1] == f"bytes={arrived}-"
