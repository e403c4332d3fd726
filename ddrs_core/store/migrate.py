"""The version of a database's tables, and how an older one is brought up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from filelock import FileLock
from sqlalchemy import Connection, Engine, inspect, text

from ddrs_core.store.engine import check_intact, writing
from ddrs_core.store.errors import BUSY_SECONDS, NewerDatabaseError, StoreError
from ddrs_core.store.schema import metadata
from ddrs_core.store.url import database_file, describe_url

NEWEST = "0008"  # revision that tables.py describes
VERSION_TABLE = "ddrs_version"  # others who use Alembic may have tables in the same database
_ADVISORY_LOCK = 0x64647273  # "ddrs"; whoever changes tables on a PostgreSQL server holds it


def migrate(engine: Engine) -> None:
    """Make or change the tables where that is needed; one process at a time.

    Raises:
        NewerDatabaseError: if a newer version of the program made them.
        StoreError: if tables of another program have the same names.
    """
    file = database_file(engine.url)
    if file is None or file.exists():
        with engine.connect() as connection:
            if _version(connection) == NEWEST:
                return
    with _one_at_a_time(engine):
        if file is not None:
            check_intact(engine)
            _use_wal(engine)
        with writing(engine) as connection:
            if file is None:
                connection.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _ADVISORY_LOCK})
            if _version(connection) != NEWEST:
                _upgrade(connection)


@contextmanager
def _one_at_a_time(engine: Engine) -> Iterator[None]:
    file = database_file(engine.url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{file}.lock", timeout=BUSY_SECONDS) if file is not None else nullcontext()
    with lock:
        yield


def _use_wal(engine: Engine) -> None:
    """Readers never wait for a writer; the file remembers it."""
    with engine.connect() as connection:
        # Only outside of a transaction.
        connection.connection.cursor().execute("PRAGMA journal_mode=WAL")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # slow to import, and needed here alone
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "ddrs_core.store:migrations")
    config.set_main_option("path_separator", "os")
    version, place = _version(connection), describe_url(connection.engine.url)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise NewerDatabaseError(
            f"{place} was made by a newer version of this program (its tables have version "
            f"{version[:20]!r}, this one knows {NEWEST!r}). Update the program, or name another "
            "database with DDRS_DATABASE_URL."
        )
    strange = set(inspect(connection).get_table_names()) & set(metadata.tables)
    if version is None and strange:
        raise StoreError(
            f"{place} holds tables of another program that are called "
            f"{', '.join(sorted(strange))}. Name another database with DDRS_DATABASE_URL."
        )
    command.upgrade(config, "head")
