"""The rows of memory banks: made, found, listed, held, read, copied and removed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from sqlalchemy import Connection, Engine, Row, RowMapping, Select, delete, insert, literal, select
from sqlalchemy import update as update_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql import ColumnElement

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import Certificate
from ddrs_core.smoothing.memory.directed_rounding import add_upward
from ddrs_core.smoothing.memory.rules import Outcome
from ddrs_core.store.bank.attempts import Attempt, find_attempt, insert_attempt
from ddrs_core.store.bank.budget import AlphaBudget
from ddrs_core.store.bank.images import Pixels, unpack_image
from ddrs_core.store.bank.index import GENESIS, unknown_bank
from ddrs_core.store.bank.lookup import images_of
from ddrs_core.store.bank.records import (
    TALLIES,
    BankKind,
    BankRecord,
    StoredBall,
    bank_record,
    check_name,
)
from ddrs_core.store.bank.settle import BankTransaction
from ddrs_core.store.database import Database
from ddrs_core.store.errors import StoreError
from ddrs_core.store.schema import ball_images, balls, banks
from ddrs_core.store.store import open_store

_PAGE = 1000  # balls read at a time


def new_bank(name: str, owner: str, kind: BankKind, budget: AlphaBudget) -> BankRecord:
    """A bank without balls, which is not stored yet.

    Raises:
        InvalidParameterError: if name, kind or budget make no sense.
    """
    return BankRecord(
        id=secrets.token_hex(8),
        name=check_name(name),
        owner=owner,
        created=0.0,
        kind=kind.check(),
        budget=budget.check(),
        settled=0,
        stored=0,
        alpha_sum=0.0,
        tallies=dict.fromkeys(TALLIES, 0),
        fingerprint=GENESIS,
    )


class BankStore(Database):
    """The part of the store that knows the memory banks."""

    reading = Database._reading
    writing = Database._writing

    @property
    def engine(self) -> Engine:
        """Of the database."""
        return self._engine

    def banks(self, owner: str | None = None) -> list[BankRecord]:
        """All banks, or those of one owner, newest first."""
        return self._selected(*_owned_by(owner))

    def bank(self, bank_id: str) -> BankRecord:
        """The bank of that id.

        Raises:
            UnknownEntryError: if there is none.
        """
        with self.reading() as connection:
            return bank_record(_find(connection, bank_id, select(banks)))

    def find(self, name_or_id: str, owner: str | None = None) -> BankRecord:
        """The bank of that id, or of that name; of any owner unless one is named.

        Raises:
            UnknownEntryError: if there is none.
            InvalidParameterError: if several owners have banks of that name.
        """
        is_meant = (banks.c.id == name_or_id) | (banks.c.name == name_or_id)
        found = self._selected(is_meant, *_owned_by(owner))
        if not found:
            raise unknown_bank(name_or_id)
        exact = [bank for bank in found if bank.id == name_or_id] or found
        if len(exact) > 1:
            raise InvalidParameterError(
                f"{len(exact)} memory banks are called {name_or_id!r}. Name one by its id: "
                f"{', '.join(bank.id for bank in exact[:8])}."
            )
        return exact[0]

    def named(self, name: str, owner: str) -> BankRecord | None:
        """The bank of that name and owner, if there is one."""
        return next(iter(self._selected(banks.c.name == name, banks.c.owner == owner)), None)

    def _selected(self, *conditions: ColumnElement[bool]) -> list[BankRecord]:
        chosen = select(banks).where(*conditions).order_by(banks.c.created.desc(), banks.c.id)
        with self.reading() as connection:
            return [bank_record(row) for row in connection.execute(chosen).mappings()]

    def create(self, bank: BankRecord) -> BankRecord:
        """Store a new bank, or find that another process has just done so."""
        try:
            with self.writing() as connection:
                self.insert_bank(connection, bank)
        except StoreError:
            found = self.named(bank.name, bank.owner)
            if found is None:
                raise
            return found
        return self.bank(bank.id)

    def insert_bank(self, connection: Connection, bank: BankRecord) -> None:
        """Store a bank, without its balls.

        Raises:
            StoreError: if its owner has another of that name.
        """
        values = {
            "id": bank.id,
            "name": bank.name,
            "owner": bank.owner,
            **asdict(bank.kind),
            "budget": bank.budget.to_dict(),
            **_standing(bank),
        }
        try:
            connection.execute(insert(banks).values(**values, created=self._now()))
        except IntegrityError:
            raise StoreError(f"There is a memory bank called {bank.name!r} already.") from None

    def held(self, connection: Connection, bank_id: str) -> tuple[BankRecord, float]:
        """Lock a bank until the transaction ends; returns it, and the time of the database.

        Raises:
            UnknownEntryError: if there is none.
        """
        chosen = select(banks, self._now().label("now")).with_for_update(of=banks)
        row = _find(connection, bank_id, chosen)
        return bank_record(row), float(row["now"])

    def save(self, connection: Connection, settling: BankTransaction) -> None:
        """Store what was settled; the bank must be held. A failure ends the whole transaction."""
        bank = settling.bank
        try:
            if settling.rows:
                connection.execute(insert(balls), settling.rows)
                connection.execute(insert(ball_images), settling.image_rows)
            connection.execute(
                update_rows(banks).where(banks.c.id == bank.id).values(_standing(bank))
            )
        except BaseException:  # a caller that continues must not commit a part of it
            transaction = connection.get_transaction()
            if transaction is not None:
                transaction.rollback()
            raise

    def attempt(self, bank_id: str, key: str) -> Attempt | None:
        """What was charged to a bank under a key."""
        with self.reading() as connection:
            return find_attempt(connection, bank_id, key)

    def charge(self, bank_id: str, attempt: Attempt) -> Attempt:
        """Charge an attempt, unless that was done before; returns it as it stands.

        Raises:
            InvalidParameterError: if the bank's budget does not allow it.
            UnknownEntryError: if there is no such bank.
        """
        with self.writing() as connection:
            bank, now = self.held(connection, bank_id)
            known = find_attempt(connection, bank_id, attempt.check().key)
            if known is not None:
                return known
            bank.budget.require(attempt.alpha, bank.turn + attempt.count - 1)
            insert_attempt(connection, bank_id, attempt, now)
            spent = bank.alpha_sum
            for _ in range(attempt.count):
                spent = add_upward(spent, attempt.alpha)
            charged = replace(bank, alpha_sum=spent, tried=bank.tried + attempt.count)
            connection.execute(
                update_rows(banks).where(banks.c.id == bank_id).values(_standing(charged))
            )
        return attempt

    def delete(self, bank_id: str) -> None:
        """Remove a bank and its balls.

        Raises:
            UnknownEntryError: if there is none.
        """
        with self.writing() as connection:
            if not connection.execute(delete(banks).where(banks.c.id == bank_id)).rowcount:
                raise unknown_bank(bank_id)

    def copy(self, bank_id: str, name: str, owner: str) -> BankRecord:
        """A copy of a bank, which is independent from then on.

        Raises:
            UnknownEntryError: if there is none.
            StoreError: if the owner has another of that name.
        """
        with self.writing() as connection:
            source, _ = self.held(connection, bank_id)
            new = replace(source, id=secrets.token_hex(8), name=check_name(name), owner=owner)
            self.insert_bank(connection, new)
            for table in (balls, ball_images):
                others = [column for column in table.c if column.name != "bank_id"]
                rows = select(literal(new.id), *others).where(table.c.bank_id == bank_id)
                names = ["bank_id", *(column.name for column in others)]
                connection.execute(insert(table).from_select(names, rows))
        return self.bank(new.id)

    def stored_balls(
        self, bank_id: str, after: int = 0, limit: int | None = None
    ) -> list[StoredBall]:
        """Balls of a bank in the order of their arrival, those of larger serial than ``after``."""
        chosen = (
            select(balls, ball_images.c.certificate)
            .join(ball_images, _SAME_BALL)
            .where(balls.c.bank_id == bank_id, balls.c.serial > after)
            .order_by(balls.c.serial)
            .limit(limit)
        )
        with self.reading() as connection:
            return [_stored_ball(row) for row in connection.execute(chosen)]

    def image(self, bank_id: str, serial: int, shape: tuple[int, ...]) -> Pixels:
        """The image [C, H, W] at the centre of a ball.

        Raises:
            UnknownEntryError: if there is no such ball.
        """
        with self.reading() as connection:
            row = connection.execute(images_of(bank_id, [serial])).first()
        if row is None:
            raise unknown_bank(f"{bank_id}, ball {serial}")
        return unpack_image(row.image, shape)

    def pages(self, connection: Connection, bank: BankRecord) -> Iterator[Sequence[Row[Any]]]:
        """All balls of a bank as it stood, with images and certificates, page by page."""
        for first in range(1, bank.stored + 1, _PAGE):
            last = min(first + _PAGE - 1, bank.stored)
            chosen = (
                select(balls, ball_images.c.image, ball_images.c.certificate)
                .outerjoin(ball_images, _SAME_BALL)
                .where(balls.c.bank_id == bank.id, balls.c.serial.between(first, last))
                .order_by(balls.c.serial)
            )
            yield connection.execute(chosen).all()


def open_banks(url: str | None = None) -> BankStore:
    """The banks of a database; None: of the usual one.

    Raises:
        StoreError: if it cannot be used.
    """
    return BankStore(open_store(url)._engine)


def list_banks(url: str | None = None, *, owner: str | None = None) -> list[BankRecord]:
    """All banks of a database, or those of one owner, newest first."""
    return open_banks(url).banks(owner)


def _owned_by(owner: str | None) -> tuple[ColumnElement[bool], ...]:
    return () if owner is None else (banks.c.owner == owner,)


_SAME_BALL = (balls.c.bank_id == ball_images.c.bank_id) & (balls.c.serial == ball_images.c.serial)


def _standing(bank: BankRecord) -> dict[str, Any]:
    """The columns that settling changes."""
    data = asdict(bank)
    names = ("settled", "stored", "alpha_sum", "tallies", "fingerprint", "tried")
    return {name: data[name] for name in names}


def _find(connection: Connection, bank_id: str, query: Select[Any]) -> RowMapping:
    row = connection.execute(query.where(banks.c.id == bank_id)).mappings().first()
    if row is None:
        raise unknown_bank(bank_id)
    return row


def _stored_ball(row: Row[Any]) -> StoredBall:
    values = {field.name: getattr(row, field.name) for field in fields(StoredBall)}
    values["outcome"] = Outcome(row.outcome)
    values["certificate"] = Certificate.from_dict(json.loads(row.certificate))
    return StoredBall(**values)
