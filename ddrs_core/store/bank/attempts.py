"""Certificates that are charged to a bank before their votes are drawn.

Deciding whether to store a certificate after seeing it is a selection among all that were seen.
So that the sum of a bank's alphas bounds the probability that anything stored is wrong,
whatever was selected, every attempt is charged first: it stays charged if nothing is stored, if
the work is cancelled, or if the program dies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select
from sqlalchemy import update as update_rows

from ddrs_core.errors import InvalidParameterError, require_count
from ddrs_core.smoothing import Certificate
from ddrs_core.store.bank.budget import SLACK
from ddrs_core.store.errors import AlreadyStoredError, UnknownEntryError
from ddrs_core.store.schema import bank_attempts

_LONGEST_KEY = 200  # characters
_MOST_TOGETHER = 1_000


@dataclass(frozen=True)
class Attempt:
    """What was charged to a bank under one key.

    The key contains everything that determines the votes, including their noise: drawing the same
    votes once more reveals nothing new, and costs nothing.
    """

    key: str
    alpha: float  # of each certificate
    count: int = 1  # certificates
    settled: int = 0  # of them, how many have been settled

    def check(self) -> Attempt:
        """Raises InvalidParameterError if it makes no sense; alpha is the budget's business."""
        if not self.key or len(self.key) > _LONGEST_KEY:
            raise InvalidParameterError(
                f"The key of an attempt has 1 to {_LONGEST_KEY} characters, not {len(self.key)}."
            )
        require_count("The number of certificates", self.count, at_most=_MOST_TOGETHER)
        return self

    def require(self, certificates: Sequence[Certificate]) -> None:
        """Whether these may be settled now for what was charged.

        Raises:
            AlreadyStoredError: if as many as were charged have been settled already.
            InvalidParameterError: if one spent more alpha than was charged.
        """
        if self.settled + len(certificates) > self.count:
            raise AlreadyStoredError("This certificate has been stored in the bank already.")
        for certificate in certificates:
            if certificate.alpha > self.alpha * SLACK:
                raise InvalidParameterError(
                    f"The certificate spent an alpha of {certificate.alpha:g}, of which only "
                    f"{self.alpha:g} was charged to the bank."
                )


def find_attempt(connection: Connection, bank_id: str, key: str) -> Attempt | None:
    """What was charged under a key, if anything was."""
    columns = bank_attempts.c
    row = connection.execute(
        select(columns.key, columns.alpha, columns.count, columns.settled).where(
            columns.bank_id == bank_id, columns.key == key
        )
    ).first()
    return None if row is None else Attempt(*row)


def insert_attempt(connection: Connection, bank_id: str, attempt: Attempt, now: float) -> None:
    """Note an attempt; the bank must be held."""
    connection.execute(
        insert(bank_attempts).values(
            bank_id=bank_id,
            key=attempt.key,
            alpha=attempt.alpha,
            count=attempt.count,
            settled=attempt.settled,
            created=now,
        )
    )


def settle_attempt(
    connection: Connection, bank_id: str, key: str, certificates: Sequence[Certificate]
) -> None:
    """Note that certificates of an attempt are settled; the bank must be held.

    Raises:
        UnknownEntryError: if nothing was charged under that key.
        AlreadyStoredError, InvalidParameterError: if these are more than was charged, or spent
            more.
    """
    attempt = find_attempt(connection, bank_id, key)
    if attempt is None:
        raise UnknownEntryError("This certificate has not been charged to the bank.")
    attempt.require(certificates)
    connection.execute(
        update_rows(bank_attempts)
        .where(bank_attempts.c.bank_id == bank_id, bank_attempts.c.key == key)
        .values(settled=attempt.settled + len(certificates))
    )
