"""Certification logs of other programs that somebody imported."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

from sqlalchemy import Select, delete, insert, select

from ddrs_core.errors import InvalidParameterError
from ddrs_core.store.database import Database
from ddrs_core.store.errors import UnknownEntryError
from ddrs_core.store.records import LogRecord
from ddrs_core.store.schema import logs

MAX_LOG_BYTES = 50_000_000
_LONGEST_TITLE = 300  # characters
_RECORD = (logs.c.id, logs.c.owner, logs.c.title, logs.c.created, logs.c.size)


class LogStore(Database):
    """The part of the store that knows imported logs."""

    def add_log(self, content: bytes, *, title: str, owner: str = "") -> LogRecord:
        """Keep a log; one that its owner has already stays as it is.

        Raises:
            InvalidParameterError: if it is empty or too large.
        """
        if not content:
            raise InvalidParameterError(f"The log {title[:80]!r} is empty.")
        if len(content) > MAX_LOG_BYTES:
            raise InvalidParameterError(
                f"The log {title[:80]!r} has {len(content) / 1e6:.0f} MB; at most "
                f"{MAX_LOG_BYTES // 1_000_000} MB are kept."
            )
        log_id = hashlib.sha256(content).hexdigest()
        values = {
            "id": log_id,
            "owner": owner,
            "title": title[:_LONGEST_TITLE],
            "size": len(content),
            "content": zlib.compress(content),
        }
        own = select(*_RECORD).where(logs.c.id == log_id, logs.c.owner == owner)
        with self._writing() as connection:
            if connection.execute(own).first() is None:
                connection.execute(insert(logs).values(**values, created=self._now()))
            return LogRecord(**connection.execute(own).mappings().one())

    def logs(self, owner: str | None = None) -> list[LogRecord]:
        """All logs, or those of one owner, newest first."""
        chosen = select(*_RECORD).order_by(logs.c.created.desc(), logs.c.id)
        if owner is not None:
            chosen = chosen.where(logs.c.owner == owner)
        with self._reading() as connection:
            return [LogRecord(**row) for row in connection.execute(chosen).mappings()]

    def log(self, log_id: str) -> LogRecord:
        """A log, without its content; of several owners' the first one's.

        Raises:
            UnknownEntryError: if there is none.
        """
        return LogRecord(**self._first(log_id, select(*_RECORD)))

    def log_content(self, log_id: str) -> bytes:
        """The bytes that were imported.

        Raises:
            UnknownEntryError: if there is none.
        """
        return zlib.decompress(self._first(log_id, select(logs.c.content))["content"])

    def delete_log(self, log_id: str, owner: str | None = None) -> None:
        """Remove a log, for everybody or for one owner.

        Raises:
            UnknownEntryError: if there is none.
        """
        chosen = delete(logs).where(logs.c.id == log_id)
        if owner is not None:
            chosen = chosen.where(logs.c.owner == owner)
        with self._writing() as connection:
            if not connection.execute(chosen).rowcount:
                raise _unknown_log(log_id)

    def _first(self, log_id: str, query: Select[Any]) -> dict[str, Any]:
        oldest = query.where(logs.c.id == log_id).order_by(logs.c.created).limit(1)
        with self._reading() as connection:
            row = connection.execute(oldest).mappings().first()
        if row is None:
            raise _unknown_log(log_id)
        return dict(row)


def _unknown_log(log_id: str) -> UnknownEntryError:
    return UnknownEntryError(f"There is no log {str(log_id)[:16]!r} here.")
