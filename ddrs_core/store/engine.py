"""Connections: one pool for each database and process, that threads share and forks do not."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import Pool

from ddrs_core.store.errors import BUSY_SECONDS, DAMAGED, UnavailableError
from ddrs_core.store.url import database_file, describe_url

_CONNECT_SECONDS = 5  # until a server counts as out of reach
_BEGIN = "ddrs_begin"  # how a transaction of a connection begins

_engines: dict[URL, Engine] = {}
_lock = threading.Lock()
_inherited: list[Pool] = []  # of the parent process; see _forget


def engine_for(url: URL) -> Engine:
    """The engine of a database in this process."""
    with _lock:
        if url not in _engines:
            _engines[url] = _create(url)
        return _engines[url]


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write: all of it is kept, or nothing."""
    options = {_BEGIN: "BEGIN IMMEDIATE"}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def check_intact(engine: Engine) -> None:
    """Read a SQLite file from end to end (a second for a gigabyte), before anything is written
    into one that was partly overwritten; a server looks after its own pages.

    Raises:
        UnavailableError: if it is damaged.
        SQLAlchemyError: if so much is damaged that SQLite gives up.
    """
    if database_file(engine.url) is None:
        return
    with engine.connect() as connection:
        said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if said != "ok":
        raise UnavailableError(f"{describe_url(engine.url)} {DAMAGED}")


def _create(url: URL) -> Engine:
    is_file = database_file(url) is not None
    for_server = {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "ddrs",
        "options": f"-c lock_timeout={int(BUSY_SECONDS * 1000)}",
    }
    engine = create_engine(
        url,
        pool_pre_ping=not is_file,
        pool_size=5,
        max_overflow=15,
        json_serializer=partial(json.dumps, allow_nan=False),  # NaN is not JSON
        pool_timeout=BUSY_SECONDS,
        connect_args={"timeout": BUSY_SECONDS} if is_file else for_server,
    )
    if is_file:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, tables included
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")  # a commit outlives a power cut, too


def _begin_sqlite(connection: Connection) -> None:
    # One that will write says so at once: a reader that turns into a writer may have to give up.
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _forget() -> None:
    """In a forked child: leave the parent's connections alone, unused and unclosed."""
    global _lock
    _lock = threading.Lock()  # another thread may have held it
    for engine in _engines.values():
        _inherited.append(engine.pool)
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
