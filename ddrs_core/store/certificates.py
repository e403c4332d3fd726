"""The certificates of the runs: stored once, never half a batch, and read as they come in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from ddrs_core.errors import DDRSError, InvalidParameterError
from ddrs_core.smoothing import Certificate
from ddrs_core.store.certificate_rows import FIELDS, from_row, to_row
from ddrs_core.store.database import Database
from ddrs_core.store.errors import AlreadyStoredError
from ddrs_core.store.records import StoredCertificate
from ddrs_core.store.run_rows import unknown_run
from ddrs_core.store.schema import certificates, runs

CertificateKey = tuple[int, int]  # setting, position


class CertificateStore(Database):
    """The part of the store that knows the certificates."""

    def add_certificates(self, run_id: str, batch: Iterable[tuple[int, int, Certificate]]) -> None:
        """Store certificates of a run, all of them or none; when this returns they are safe.

        Args:
            run_id: which run.
            batch: setting, position and certificate of each.

        Raises:
            AlreadyStoredError: if one of the keys has a certificate already.
            InvalidParameterError: if a certificate holds numbers that are none.
            UnknownEntryError: if there is no such run.
        """
        rows = _rows(run_id, batch)
        if not rows:
            return
        try:
            with self._writing() as connection:
                self._insert(connection, run_id, rows)
        except _RefusedError:
            keys = [(row["setting"], row["position"]) for row in rows]
            raise self._refused(run_id, keys) from None

    def add_certificate_within(
        self, connection: Connection, run_id: str, key: CertificateKey, certificate: Certificate
    ) -> None:
        """Store one certificate as part of a larger transaction of this database.

        Raises:
            AlreadyStoredError: if the key has a certificate; the transaction is lost then.
            UnknownEntryError: if there is no such run.
        """
        try:
            self._insert(connection, run_id, _rows(run_id, [(*key, certificate)]))
        except _RefusedError:
            raise AlreadyStoredError(
                f"Image {key[1]} of setting {key[0]} of this run has a certificate already."
            ) from None

    def certificates(
        self, run_id: str, setting: int | None = None, *, after: int = 0
    ) -> list[StoredCertificate]:
        """Certificates of a run, by position, then setting.

        To follow a run, pass the largest ``serial`` that you have as ``after``: whatever was
        stored since then comes, each exactly once, however many processes write.

        Raises:
            UnknownEntryError: if there is no such run.
        """
        chosen = (
            select(certificates)
            .where(certificates.c.run_id == run_id, certificates.c.serial > after)
            .order_by(certificates.c.position, certificates.c.setting)
        )
        if setting is not None:
            chosen = chosen.where(certificates.c.setting == setting)
        with self._reading() as connection:
            rows = connection.execute(chosen).mappings().all()
            if not rows:
                _check_run(connection, run_id)
        return [
            StoredCertificate(
                row["setting"],
                row["position"],
                row["serial"],
                from_row({name: row[name] for name in FIELDS}),
            )
            for row in rows
        ]

    def stored_keys(self, run_id: str) -> set[CertificateKey]:
        """Setting and position of every certificate of a run: what a resumed run need not do.

        Raises:
            UnknownEntryError: if there is no such run.
        """
        chosen = select(certificates.c.setting, certificates.c.position)
        with self._reading() as connection:
            rows = connection.execute(chosen.where(certificates.c.run_id == run_id)).all()
            if not rows:
                _check_run(connection, run_id)
        return {(setting, position) for setting, position in rows}

    def count(self, run_id: str) -> int:
        """Number of a run's certificates, which is also the largest ``serial``.

        Raises:
            UnknownEntryError: if there is no such run.
        """
        with self._reading() as connection:
            return _check_run(connection, run_id)

    def _insert(self, connection: Connection, run_id: str, rows: list[dict[str, Any]]) -> None:
        # Writers of one run take turns here until they commit, so serials appear in their order:
        # a reader who has seen one has missed none before it.
        numbered = connection.execute(
            update(runs)
            .where(runs.c.id == run_id)
            .values(stored=runs.c.stored + len(rows), heartbeat=self._now())
            .returning(runs.c.stored)
        ).scalar()
        if numbered is None:
            raise unknown_run(run_id)
        first = int(numbered) - len(rows) + 1
        numbers = [{**row, "serial": first + i} for i, row in enumerate(rows)]
        try:
            connection.execute(insert(certificates), numbers)
        except IntegrityError:
            raise _RefusedError from None

    def _refused(self, run_id: str, keys: Sequence[CertificateKey]) -> DDRSError:
        seen = self.stored_keys(run_id)
        for setting, position in keys:
            if (setting, position) in seen:
                return AlreadyStoredError(
                    f"Image {position} of setting {setting} of this run has a certificate already; "
                    f"nothing of this batch of {len(keys)} was stored."
                )
            seen.add((setting, position))
        return InvalidParameterError("A certificate lacks a value, so its batch is not stored.")


def _rows(run_id: str, batch: Iterable[tuple[int, int, Certificate]]) -> list[dict[str, Any]]:
    return [
        {**to_row(certificate), "run_id": run_id, "setting": setting, "position": position}
        for setting, position, certificate in batch
    ]


class _RefusedError(Exception):
    """The table refused a row."""


def _check_run(connection: Connection, run_id: str) -> int:
    """Number of certificates of a run, or the error for one that is not there."""
    stored = connection.execute(select(runs.c.stored).where(runs.c.id == run_id)).scalar()
    if stored is None:
        raise unknown_run(run_id)
    return int(stored)
