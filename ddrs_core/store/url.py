"""Where the database is: a file in the user's data folder, or what ``DDRS_DATABASE_URL`` names.

``DDRS_DATABASE_URL=postgresql://user:password@host/name`` takes a PostgreSQL server,
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


def database_url() -> str:
    """The address of the database that this process uses, password included.

    Raises:
        InvalidParameterError: if ``DDRS_DATABASE_URL`` is not the address of a database.
    """
    return default_address().render_as_string(hide_password=False)


def default_address() -> URL:
    """The same as :func:`database_url`, in parts; for the default file whatever its name."""
    named = os.environ.get(DATABASE_VARIABLE, "").strip()
    if named:
        return parse_address(named)
    return URL.create("sqlite", database=str((home() / _FILE).absolute()))


def parse_address(text: str) -> URL:
    """The parts of an address, with the driver that the program brings.

    Raises:
        InvalidParameterError: if it names neither a SQLite file nor a PostgreSQL server.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise _not_an_address() from None
    if url.drivername in _POSTGRES:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite" or url.query or url.database in (None, "", ":memory:"):
        raise _not_an_address()
    return url.set(database=str(Path(str(url.database)).expanduser().absolute()))


def database_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for a server."""
    return Path(str(url.database)) if url.drivername == "sqlite" else None


def shown_address(url: URL) -> str:
    """How a message names the database: never with a password."""
    file = database_file(url)
    if file is not None:
        return f"The database {file}"
    return f"The database {url.database or url.username or ''!r} on {url.host or 'this machine'}"


def _not_an_address() -> InvalidParameterError:  # does not repeat it: there may be a password in it
    return InvalidParameterError(
        "That is not the address of a database that can be used here. Expected "
        "sqlite:////folder/file.sqlite3 or postgresql://user:password@host/name "
        f"(from {DATABASE_VARIABLE} if it is set)."
    )
