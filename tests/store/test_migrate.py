"""Opening a database: new, old, made by others, by ten at once, or not to be used at all."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

import ddrs_core
from ddrs_core.store import RunState, Store, StoreError, UnavailableError, WorkerProcess, open_store
from ddrs_core.store import engine as engines
from ddrs_core.store import migrate as schema
from ddrs_core.store import (
    store as store_module,
)
from ddrs_core.store.errors import NewerDatabaseError
from ddrs_core.store.schema import metadata
from ddrs_core.store.url import parse_url
from tests.store.conftest import certificate, new_database

FORK = multiprocessing.get_context("fork")


def forget(url: str) -> None:
    """Make this process as one that has not opened the database."""
    opened = open_store(url)
    opened._engine.dispose()
    engines._engines.pop(opened._engine.url)
    store_module._ready.discard(opened._engine)


def new_run(store: Store) -> str:
    return store.create_run(title="x", config={}, settings=[{}], total=9).id


def test_the_migrations_lead_to_the_tables_as_they_are(store: Store) -> None:
    with store._engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_the_newest_version_is_the_one_that_is_looked_for() -> None:
    folder = Path(schema.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == schema.NEWEST


def test_opening_again_changes_nothing(url: str) -> None:
    run_id = new_run(open_store(url))
    for _ in range(3):
        forget(url)
        assert [run.id for run in open_store(url).runs()] == [run_id]


def test_an_older_database_is_brought_up_to_date_and_keeps_what_it_holds(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
    config = Config()
    config.set_main_option("script_location", "ddrs_core.store:migrations")
    config.set_main_option("path_separator", "os")
    row = {"content": zlib.compress(b"a log"), "size": 5, "created": 1.0}
    with engines.writing(engines.engine_for(parse_url(url))) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        columns = "id, owner, title, created, size, content"
        values = "'x', 'ada', 'theirs', :created, :size, :content"
        connection.execute(text(f"INSERT INTO logs ({columns}) VALUES ({values})"), row)
    store = open_store(url)
    assert store.log_content("x") == b"a log"
    store.use_upload("ada", "picture", "a")
    assert store.uploads("ada", "picture") == ["a"]


def test_an_interrupted_first_opening_leaves_nothing_behind(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create_and_die(connection: object) -> None:
        original(connection)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    original = schema._upgrade
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_upgrade", create_and_die)
        with pytest.raises(KeyboardInterrupt):
            open_store(url)
    with engines.engine_for(parse_url(url)).connect() as connection:
        assert inspect(connection).get_table_names() == []
    new_run(open_store(url))


def _open_and_write(url: str, go: object, said: object) -> None:
    go.wait()  # type: ignore[attr-defined]
    try:
        said.put(new_run(open_store(url)))  # type: ignore[attr-defined]
    except BaseException as error:
        said.put(repr(error))  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(2))
def test_ten_processes_may_open_a_fresh_database_at_once(url: str, attempt: int) -> None:
    go, said = FORK.Event(), FORK.Queue()
    processes = [FORK.Process(target=_open_and_write, args=(url, go, said)) for _ in range(10)]
    for process in processes:
        process.start()
    go.set()
    answers = [said.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert {run.id for run in open_store(url).runs()} == set(answers)
    assert len(set(answers)) == 10


def test_a_forked_process_uses_a_store_of_its_parent(store: Store) -> None:
    run_id = new_run(store)
    store.add_certificates(run_id, [(0, 0, certificate())])

    def write(position: int) -> None:
        store.add_certificates(run_id, [(0, position, certificate())])

    children = [FORK.Process(target=write, args=(position,)) for position in (1, 2, 3)]
    for child in children:
        child.start()
    store.add_certificates(run_id, [(0, 4, certificate())])
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    store.add_certificates(run_id, [(0, 5, certificate())])
    assert [c.position for c in store.certificates(run_id)] == [0, 1, 2, 3, 4, 5]


def test_opening_is_quick_when_nothing_is_to_be_done(url: str) -> None:
    open_store(url)
    times = []
    for _ in range(5):
        forget(url)
        started = time.process_time()
        open_store(url)
        times.append(time.process_time() - started)
    assert min(times) < 0.05


@pytest.mark.slow
def test_nothing_is_imported_for_tables_that_are_up_to_date(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite3"
    open_store(url)
    code = (
        "import sys; from ddrs_core.store import open_store; open_store(sys.argv[1]); "
        "sys.exit('alembic' in sys.modules)"
    )
    root = Path(ddrs_core.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code, url], cwd=root, check=False).returncode == 0


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    with open_store(url)._engine.begin() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    for _ in range(2):  # the second time as well
        forget_unopened(url)
        with pytest.raises(NewerDatabaseError, match=r"newer version.*'9999'.*Update"):
            open_store(url)


def forget_unopened(url: str) -> None:
    engine = engines._engines.pop(parse_url(url))
    engine.dispose()
    store_module._ready.discard(engine)


def test_tables_of_other_programs_are_left_alone(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE runs (mine INTEGER)"))
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
    with pytest.raises(StoreError, match="another program that are called runs"):
        open_store(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE runs"))
    new_run(open_store(url))
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert found == "theirs"
    engine.dispose()


# What can be wrong with a file.


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite3").touch()
    new_run(open_store(f"sqlite:///{tmp_path}/x.sqlite3"))


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    content = b"not a database, but somebody's notes. " * 200
    (tmp_path / "x.sqlite3").write_bytes(content)
    with pytest.raises(UnavailableError, match=r"x\.sqlite3 is damaged, or is not a database"):
        open_store(f"sqlite:///{tmp_path}/x.sqlite3")
    assert (tmp_path / "x.sqlite3").read_bytes() == content


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    url = f"sqlite:///{path}"
    run_id = new_run(open_store(url))
    open_store(url).add_certificates(run_id, [(0, i, certificate(i)) for i in range(500)])
    forget(url)  # the last connection puts everything into the file
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 64] = os.urandom(64)  # the head of every page but the first
    path.write_bytes(content)
    with pytest.raises(UnavailableError, match="damaged"):
        open_store(url).certificates(run_id)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_partly_overwritten_file_is_not_written_on(tmp_path: Path, place: float) -> None:
    """Neither a new run nor one that goes on changes a byte of it."""
    path = tmp_path / "x.sqlite3"
    url = f"sqlite:///{path}"
    run_id = new_run(open_store(url))
    open_store(url).add_certificates(run_id, [(0, i, certificate(i)) for i in range(500)])
    forget(url)
    whole = path.read_bytes()
    content = bytearray(whole)
    at = 4096 * int(place * len(content) / 4096)
    content[at : at + 4096] = b"a page of another file.." * 170 + bytes(16)
    path.write_bytes(content)
    store = open_store(url)
    for use in (lambda: store.claim(run_id), lambda: new_run(store)):
        with pytest.raises(UnavailableError, match=r"x\.sqlite3 is damaged"):
            use()
    forget(url)
    assert path.read_bytes() == content
    path.write_bytes(whole)
    assert open_store(url).claim(run_id).stored == 500


def test_looking_for_damage_costs_little(tmp_path: Path) -> None:
    """About a second for a gigabyte on a quiet machine; here for 10,000 certificates."""
    store = open_store(f"sqlite:///{tmp_path}/x.sqlite3")
    store.add_certificates(new_run(store), [(0, i, certificate(i)) for i in range(10_000)])
    started = time.process_time()
    store.check_intact()
    assert time.process_time() - started < 0.5


def test_a_removed_file_is_made_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite3"
    new_run(open_store(url))
    for path in tmp_path.iterdir():
        path.unlink()
    run_id = new_run(open_store(url))
    assert [run.id for run in open_store(url).runs()] == [run_id]


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root may write anywhere; others keep their own name, and permissions count for them."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_written_is_said_so() -> None:
    folder = Path(f"/tmp/ddrs-ro-{os.getpid()}")  # pytest's own are closed to others
    folder.mkdir(mode=0o555)
    try:
        with as_somebody_else(), pytest.raises(UnavailableError, match=r"Permit this program"):
            open_store(f"sqlite:///{folder}/x.sqlite3")
        with as_somebody_else(), pytest.raises(UnavailableError, match=r"Permit this program"):
            open_store(f"sqlite:///{folder}/inner/x.sqlite3")
        assert list(folder.iterdir()) == []
    finally:
        folder.rmdir()


def test_a_file_that_may_only_be_read_is_said_so() -> None:
    folder = Path(f"/tmp/ddrs-ro-{os.getpid()}")
    folder.mkdir(mode=0o755)
    path = folder / "x.sqlite3"
    url = f"sqlite:///{path}"
    try:
        run_id = new_run(open_store(url))
        forget(url)
        path.chmod(0o444)
        folder.chmod(0o555)
        with as_somebody_else(), pytest.raises(UnavailableError, match="Permit this program"):
            open_store(url).add_certificates(run_id, [(0, 0, certificate())])
    finally:
        folder.chmod(0o755)
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


def test_a_folder_cannot_be_a_database(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite3").mkdir()
    with pytest.raises(UnavailableError, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path}/x.sqlite3")
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=r"Not a directory|File exists"):
        open_store(f"sqlite:///{tmp_path}/file/x.sqlite3")


def test_a_full_disk_is_said_so_and_loses_nothing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/x.sqlite3")
    run_id = new_run(store)
    store.add_certificates(run_id, [(0, 0, certificate())])
    with store._engine.connect() as connection:  # the only one in the pool
        connection.exec_driver_sql("PRAGMA max_page_count=1")  # the least possible: what it has
    many = [(0, i, certificate(i)) for i in range(1, 1000)]
    with pytest.raises(UnavailableError, match="disk is full"):
        store.add_certificates(run_id, many)
    assert store.count(run_id) == len(store.certificates(run_id)) == 1


def test_who_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.2)
    store = open_store(f"sqlite:///{tmp_path}/x.sqlite3")
    run_id = new_run(store)
    other = sqlite3.connect(tmp_path / "x.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="kept busy by others"):
        store.add_certificates(run_id, [(0, 0, certificate())])
    assert store.run(run_id).stored == 0  # reading goes on meanwhile
    other.execute("ROLLBACK")
    store.add_certificates(run_id, [(0, 0, certificate())])
    other.close()


def test_a_lock_on_a_server_is_not_waited_for_forever(
    postgres: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.2)
    store = open_store(new_database(postgres))
    run_id = new_run(store)
    with store._engine.begin() as other:
        other.execute(text("SELECT * FROM runs FOR UPDATE"))
        with pytest.raises(UnavailableError, match="kept busy by others"):
            store.add_certificates(run_id, [(0, 0, certificate())])
    store.add_certificates(run_id, [(0, 0, certificate())])


# What can be wrong with a server.


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:secret@127.0.0.1:1/x",
        "postgresql://me:secret@/x?host=/nonexistent",
        "postgresql://me:secret@nowhere.invalid/x",
    ],
)
def test_a_server_that_is_not_there_is_said_so(address: str) -> None:
    with pytest.raises(UnavailableError, match="cannot be reached") as refused:
        open_store(address)
    assert "secret" not in str(refused.value)


def test_a_database_that_is_not_on_the_server_is_said_so(postgres: Path) -> None:
    with pytest.raises(UnavailableError, match=r"cannot be reached.*nothing_here"):
        open_store(f"postgresql://ddrs@/nothing_here?host={postgres}")


def test_a_lost_connection_is_made_again(postgres: Path) -> None:
    store = open_store(new_database(postgres))
    run_id = new_run(store)
    store.claim(run_id, WorkerProcess.current())
    with open_store(new_database(postgres))._engine.connect() as other:
        other.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": store._engine.url.database},
        )
    assert store.run(run_id).state is RunState.WAITING
