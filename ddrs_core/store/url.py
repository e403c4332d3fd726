"""Where the database is: a file in the user's data folder, or what ``DDRS_DATABASE_URL`` names.

``DDRS_DATABASE_URL=postgresql://user:password@host/name`` names a PostgreSQL server,
``sqlite:////folder/file.sqlite3`` another file.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ddrs_core.errors import InvalidParameterError
from ddrs_core.paths import home

DATABASE_VARIABLE = "DDRS_DATABASE_URL"
_FILE = "ddrs.sqlite3"
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


def default_url() -> URL:
    """The URL of the database that this process uses, for the default file whatever its name.

    Raises:
        InvalidParameterError: if ``DDRS_DATABASE_URL`` is not the address of a database.
    """
    named = os.environ.get(DATABASE_VARIABLE, "").strip()
    if named:
        return parse_url(named)
    return URL.create("sqlite", database=str((home() / _FILE).absolute()))


def parse_url(text: str) -> URL:
    """The parts of a URL, with the driver that the program installs.

    Raises:
        InvalidParameterError: if it names neither a SQLite file nor a PostgreSQL server.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise _not_a_url() from None
    if url.drivername in _POSTGRES:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite" or url.query or url.database in (None, "", ":memory:"):
        raise _not_a_url()
    return url.set(database=str(Path(str(url.database)).expanduser().absolute()))


def database_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for a server."""
    return Path(str(url.database)) if url.drivername == "sqlite" else None


def describe_url(url: URL) -> str:
    """The database as the subject of a message: never with its password."""
    file = database_file(url)
    if file is not None:
        return f"The database {file}"
    return f"The database {url.database or url.username or ''!r} on {url.host or 'this machine'}"


def _not_a_url() -> InvalidParameterError:  # not repeated: it may hold a password
    return InvalidParameterError(
        "That is not the address of a database that can be used here. Expected "
        "sqlite:////folder/file.sqlite3 or postgresql://user:password@host/name "
        f"(from {DATABASE_VARIABLE} if it is set)."
    )
