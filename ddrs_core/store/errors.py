"""What can go wrong with a database, as messages for users."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import Timeout
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ddrs_core.errors import DDRSError

BUSY_SECONDS = 30.0  # how long one waits for others who write
_LONGEST_REASON = 300  # characters of what the database itself says


class StoreError(DDRSError):
    """The database cannot do what was asked for."""


class UnavailableError(StoreError):
    """The database cannot be reached, read or written."""


class NewerDatabaseError(StoreError):
    """The database was made by a newer version of the program."""


class UnknownEntryError(StoreError):
    """There is no such run or log."""


class RunClaimedError(StoreError):
    """Another process works on the run."""


class AlreadyStoredError(StoreError):
    """A certificate is stored already."""


@contextmanager
def translate_db_errors(database: str) -> Iterator[None]:
    """Turn what a driver raises into a message that begins with ``database``.

    Raises:
        UnavailableError: instead of any error of SQLAlchemy, its drivers or the file system.
    """
    try:
        yield
    except (Timeout, PoolTimeoutError):
        raise UnavailableError(f"{database} {_BUSY}") from None
    except SQLAlchemyError as error:
        raise UnavailableError(f"{database} {_complaint(error)}") from None
    except OSError as error:
        raise UnavailableError(
            f"{database} cannot be used: {error.strerror or error}. {_PERMIT}"
        ) from None


_PERMIT = (
    "Permit this program to write the file and its folder, or name another database with "
    "DDRS_DATABASE_URL."
)
_BUSY = (
    f"has been kept busy by others for more than {BUSY_SECONDS:g} seconds. Try again; if that does "
    "not help, see which program holds it."
)
_FULL = "cannot grow: its disk is full. Make room; what was stored before is safe."
DAMAGED = (
    "is damaged, or is not a database. Move it away, and a new one is made; restore a copy of it "
    "if you have one."
)
_UNREACHABLE = (
    "cannot be reached. See that the server runs and that DDRS_DATABASE_URL is right. It said: "
)
_SQLITE = {  # by primary result code, see sqlite.org/rescode.html
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_READONLY: f"cannot be written. {_PERMIT}",
    sqlite3.SQLITE_CANTOPEN: f"cannot be opened. {_PERMIT}",
    sqlite3.SQLITE_PERM: f"cannot be opened. {_PERMIT}",
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_IOERR: "cannot be read or written: its disk reports an error. ",
}
_POSTGRES = {  # by SQLSTATE or its class, see the manual's appendix A
    "53100": _FULL,
    "53": "is short of memory or connections. Try again later, or allow it more.",
    "55P03": _BUSY,
    "57014": _BUSY,
    "25006": "may only be read. Name one that may be written with DDRS_DATABASE_URL.",
    "42501": "does not permit this user to do that. Grant it, or name another user.",
    "XX001": DAMAGED,
    "XX002": DAMAGED,
}


def _complaint(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    reason = " ".join(str(cause).split())[:_LONGEST_REASON]
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the rest says which kind of it
        return _SQLITE.get(code, f"reports an error: {reason}.")
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str) and (known := _POSTGRES.get(state) or _POSTGRES.get(state[:2])):
        return known
    lost = getattr(error, "connection_invalidated", False)
    if lost or (state is None and type(cause).__name__ == "OperationalError"):
        return f"{_UNREACHABLE}{reason}"
    if isinstance(state, str) and state[:2] in ("08", "28", "3D", "57"):
        return f"{_UNREACHABLE}{reason}"
    return f"reports an error: {reason}."
