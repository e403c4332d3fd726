"""What all parts of the store have in common: transactions and the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Double, Engine, cast, extract, func, literal
from sqlalchemy.sql import ColumnElement

from ddrs_core.store.engine import check_intact, writing
from ddrs_core.store.errors import translate_db_errors
from ddrs_core.store.url import describe_url


class Database:
    """Access to one database; any number of threads may use it.

    Args:
        engine: of a database whose tables are up to date.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._title = describe_url(engine.url)

    @property
    def url(self) -> str:
        """The URL of the database, password included."""
        return self._engine.url.render_as_string(hide_password=False)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translate_db_errors(self._title), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction: all of it is kept, or nothing."""
        with translate_db_errors(self._title), writing(self._engine) as connection:
            yield connection

    def check_intact(self) -> None:
        """Look for damage before a long work begins to write, see ``engine.check_intact``.

        Raises:
            UnavailableError: if the file was damaged.
        """
        with translate_db_errors(self._title):
            check_intact(self._engine)

    def _now(self) -> ColumnElement[float]:
        """The clock that all who use the database share, in seconds since 1970."""
        if self._engine.dialect.name == "sqlite":
            return literal(time.time(), Double)
        return cast(extract("epoch", func.clock_timestamp()), Double)
