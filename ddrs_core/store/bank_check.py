"""The proof that no two balls of a bank overlap, from the images that are stored.

Every ball is read, indexed or not. Pairs of different class are compared by their projections
first, those that may be close by exact bounds, and where these leave it open by rational numbers.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, select

from ddrs_core.smoothing.memory import Ball, Outcome
from ddrs_core.store.bank_images import Pixels, digest_image, unpack_image
from ddrs_core.store.bank_index import GENESIS
from ddrs_core.store.bank_pairs import ClosestPairs, Pair
from ddrs_core.store.bank_projection import margin, project
from ddrs_core.store.bank_records import BankRecord, bank_record
from ddrs_core.store.bank_settling import next_fingerprint
from ddrs_core.store.bank_store import BankStore
from ddrs_core.store.complaints import StoreError
from ddrs_core.store.tables import ball_images, banks

_SHOWN = 100  # damages that are listed


@dataclass(frozen=True)
class BankCheck:
    """What a check found."""

    bank: BankRecord
    balls: int
    tightest: Pair | None  # None: all balls are of one class
    overlaps: tuple[Pair, ...]  # the first hundred
    damaged: tuple[str, ...]  # in words; the first hundred
    measured: int  # pairs compared exactly

    @property
    def holds(self) -> bool:
        """Whether nothing is damaged and no two balls of different class overlap."""
        return not self.overlaps and not self.damaged

    def require(self) -> None:
        """Raises StoreError, in words, unless the bank is sound."""
        if self.overlaps:
            pair = self.overlaps[0]
            more = f" and {len(self.overlaps) - 1} other pairs" if len(self.overlaps) > 1 else ""
            raise StoreError(
                f"The memory bank {self.bank.name!r} is broken: balls {pair.a.id} (class "
                f"{pair.a.prediction}) and {pair.b.id} (class {pair.b.prediction}) overlap by "
                f"{-pair.gap:.3g}{more}. It has been changed by other means; use a copy or an "
                "export of it from before."
            )
        if self.damaged:
            raise StoreError(
                f"The memory bank {self.bank.name!r} is damaged: {'; '.join(self.damaged[:3])}. "
                "No two balls overlap as they are now, but it has been changed by other means."
            )


def check_bank(store: BankStore, connection: Connection, bank_id: str) -> BankCheck:
    """Read all balls of a bank and compare them.

    Raises:
        UnknownEntryError: if the bank is not there (any more).
    """
    row = connection.execute(select(banks).where(banks.c.id == bank_id)).mappings().first()
    bank = store.bank(bank_id) if row is None else bank_record(row)
    reading = _Reading(bank)
    for page in store.pages(connection, bank):
        for found in page:
            reading.take(found)
    reading.finish()

    def read_image(serial: int) -> Pixels:
        chosen = select(ball_images.c.image).where(
            ball_images.c.bank_id == bank.id, ball_images.c.serial == serial
        )
        return unpack_image(connection.execute(chosen).scalar_one(), bank.kind.shape)

    pairs = ClosestPairs(bank.kind.shape, reading.balls, reading.points, read_image)
    pairs.compare(reading.decided_by)
    return BankCheck(
        bank, len(reading.balls), pairs.tightest, tuple(pairs.overlaps),
        tuple(reading.damaged[:_SHOWN]), pairs.measured,
    )  # fmt: skip


class _Reading:
    """Takes the balls in their order and notes what is wrong with each on its own."""

    def __init__(self, bank: BankRecord) -> None:
        self.balls: list[Ball] = []
        self.points: list[NDArray[np.float32]] = []
        self.decided_by: dict[int, int] = {}
        self.damaged: list[str] = []
        self._bank = bank
        self._seen, self._indexed = 0, 0
        self._fingerprint = GENESIS
        self._margin = margin(bank.kind.shape)

    def take(self, row: Row[Any]) -> None:
        self._seen += 1
        try:
            pixels = unpack_image(row.image or b"", self._bank.kind.shape)
        except StoreError:
            self.damaged.append(f"the image of ball {row.serial} cannot be read")
            return
        point = project(pixels[None])[0]
        self._examine(row, pixels, point)
        if math.isfinite(row.radius) and row.radius >= 0:
            self.balls.append(Ball(row.serial, row.prediction, row.radius))
            self.points.append(point)
            if row.decided_by is not None:
                self.decided_by[row.serial] = row.decided_by
        else:
            self.damaged.append(f"the radius of ball {row.serial} is {row.radius}")

    def finish(self) -> None:
        bank = self._bank
        if self._seen != bank.stored:
            self.damaged.append(f"{bank.stored - self._seen} balls are missing")
        elif self._indexed != bank.indexed:
            self.damaged.append(f"{self._indexed} balls are indexed instead of {bank.indexed}")

    def _examine(self, row: Row[Any], pixels: Pixels, point: NDArray[np.float32]) -> None:
        self._indexed += row.indexed
        wrong = []
        if digest_image(pixels) != row.digest:
            wrong.append("another image")
        kept = np.frombuffer(row.projection[: 4 * len(point)], "<f4").astype(np.float64)
        if kept.shape != point.shape or np.linalg.norm(kept - point) > self._margin:
            wrong.append("a projection that is not its image's")
        if row.outcome not in set(Outcome) or row.indexed != Outcome(row.outcome).enters_index:
            wrong.append("a mark that contradicts its outcome")
        if not 0 <= row.prediction < self._bank.kind.num_classes:
            wrong.append(f"a class {row.prediction} that does not exist")
        if not _is_json(row.certificate):
            wrong.append("a certificate that cannot be read")
        expected = next_fingerprint(self._fingerprint, dict(row._mapping), row.certificate or "")
        if row.fingerprint != expected and not wrong:
            wrong.append("other numbers than when it was stored, or others before it")
        self._fingerprint = row.fingerprint
        if wrong:
            self.damaged.append(f"ball {row.serial} has {' and '.join(wrong)}")


def _is_json(text: str | None) -> bool:
    try:
        return isinstance(json.loads(text or ""), dict)
    except ValueError:
        return False
