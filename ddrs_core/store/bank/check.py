"""The proof that no two balls of a bank overlap, from the images that are stored, and that each
certificate claims no more than its own votes prove.

Every ball is read, indexed or not. Pairs of different class are compared by their projections
first, those that may be close by exact bounds, and where these leave it open by rational numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, select

from ddrs_core.errors import InvalidParameterError
from ddrs_core.quantities import counted
from ddrs_core.smoothing import Certificate
from ddrs_core.smoothing.memory.rules import Ball, Outcome
from ddrs_core.store.bank.certificates import find_unproved, read_certificate
from ddrs_core.store.bank.images import Pixels, digest_image, unpack_image
from ddrs_core.store.bank.index import GENESIS, margin, project
from ddrs_core.store.bank.pairs import ClosestPairs, Pair
from ddrs_core.store.bank.records import BankRecord, bank_record
from ddrs_core.store.bank.rows import BankStore
from ddrs_core.store.bank.settle import next_fingerprint
from ddrs_core.store.errors import StoreError
from ddrs_core.store.schema import ball_images, banks

_SHOWN = 100  # damages that are listed
_ROUNDING = 1e-9  # of a sum of alphas


@dataclass(frozen=True)
class BankCheck:
    """What a check found."""

    bank: BankRecord
    balls: int
    tightest: Pair | None  # None: all balls are of one class
    overlaps: tuple[Pair, ...]  # the first hundred
    damaged: tuple[str, ...]  # in words; the first hundred
    unproved: tuple[str, ...]  # certificates that their votes do not prove, likewise
    measured: int  # pairs compared exactly

    @property
    def holds(self) -> bool:
        """Whether no two balls of different class overlap, nothing is damaged, and the votes of
        each certificate prove what it claims."""
        return not self.overlaps and not self.damaged and not self.unproved

    def require(self) -> None:
        """Raises StoreError unless the bank is sound."""
        if self.overlaps:
            pair = self.overlaps[0]
            others = len(self.overlaps) - 1
            more = f" and {counted(others, 'other pair')}" if others else ""
            raise StoreError(
                f"The memory bank {self.bank.name!r} is broken: balls {pair.a.id} (class "
                f"{pair.a.prediction}) and {pair.b.id} (class {pair.b.prediction}) overlap by "
                f"{-pair.gap:.3g}{more}. It has been changed by other means; use a copy or an "
                "export of it from before."
            )
        if self.damaged:
            raise StoreError(
                f"The memory bank {self.bank.name!r} is damaged: {'; '.join(self.damaged[:3])}. "
                "No two of the balls that can be read overlap, but it has been changed by other "
                "means."
            )
        if self.unproved:
            raise StoreError(
                f"The memory bank {self.bank.name!r} holds certificates that their own votes do "
                f"not prove: {'; '.join(self.unproved[:3])}. No two balls overlap, but what these "
                "promise, and what they changed, was never certified. Use another bank."
            )


def check_bank(store: BankStore, connection: Connection, bank_id: str) -> BankCheck:
    """Read all balls of a bank and compare them.

    Raises:
        UnknownEntryError: if the bank does not exist.
    """
    row = connection.execute(select(banks).where(banks.c.id == bank_id)).mappings().first()
    bank = store.bank(bank_id) if row is None else bank_record(row)
    reading = _Reading(bank)
    for page in store.pages(connection, bank):
        reading.add_page(page)
    reading.finish()

    def read_image(serial: int) -> Pixels:
        chosen = select(ball_images.c.image).where(
            ball_images.c.bank_id == bank.id, ball_images.c.serial == serial
        )
        return unpack_image(connection.execute(chosen).scalar_one(), bank.kind.shape)

    pairs = ClosestPairs(bank.kind.shape, reading.balls, reading.points, read_image)
    pairs.compare()
    return BankCheck(
        bank,
        len(reading.balls),
        pairs.tightest,
        tuple(pairs.overlaps),
        tuple(reading.damaged[:_SHOWN]),
        tuple(reading.unproved[:_SHOWN]),
        pairs.measured,
    )


class _Reading:
    """Reads the balls in their order and notes what is wrong with each on its own.

    A change in one place is one damage: it is not reported for the balls after it.
    """

    def __init__(self, bank: BankRecord) -> None:
        self.balls: list[Ball] = []
        self.points: list[NDArray[np.float32]] = []
        self.damaged: list[str] = []
        self.unproved: list[str] = []
        self._bank = bank
        self._last = 0  # serial
        self._indexed, self._unknown = 0, 0  # by outcome; balls with an unknown outcome
        self._alphas: list[float] = []
        # Fingerprints that the next ball may continue from; empty: any.
        self._before: tuple[str, ...] = (GENESIS,)
        self._margin = margin(bank.kind.shape)

    def add_page(self, page: Sequence[Row[Any]]) -> None:
        known = [_certificate(row) for row in page]
        sound = [c for c in known if isinstance(c, Certificate)]
        unproved = iter(find_unproved(sound, self._bank.kind))
        for row, certificate in zip(page, known, strict=True):
            self._expect(row.serial)
            self._add_ball(row, certificate)
            if isinstance(certificate, Certificate):
                problem = next(unproved)
                if problem:
                    self.unproved.append(f"ball {row.serial}: {problem}")

    def finish(self) -> None:
        bank = self._bank
        self._expect(bank.stored + 1)
        if abs(self._indexed - bank.indexed) > self._unknown:
            indexed = counted(self._indexed, "ball")
            self.damaged.append(f"its index has {indexed} instead of {bank.indexed}")
        spent = math.fsum(self._alphas)
        if spent > bank.alpha_sum * (1 + _ROUNDING):
            self.damaged.append(
                f"its certificates spent an alpha of {spent:.6g}, of which only "
                f"{bank.alpha_sum:.6g} is counted"
            )

    def _expect(self, serial: int) -> None:
        first, last = self._last + 1, serial - 1
        if first < serial:
            missing = f"ball {first} is" if first == last else f"balls {first} to {last} are"
            self.damaged.append(f"{missing} missing")
            self._unknown += serial - first
            self._before = ()
        self._last = serial

    def _add_ball(self, row: Row[Any], certificate: Certificate | str) -> None:
        wrong, point = [], None
        try:
            pixels = unpack_image(row.image or b"", self._bank.kind.shape)
        except StoreError:
            wrong.append("an image that cannot be read")
        else:
            point = project(pixels[None])[0]
            wrong += self._about_image(row, pixels, point)
        wrong += self._about_numbers(row, certificate)
        if not self._continues(row) and not wrong:
            wrong.append("other numbers than when it was stored, or others before it")
        if wrong:
            self.damaged.append(f"ball {row.serial} has {' and '.join(wrong)}")
        if point is not None and _is_radius(row.radius):
            self.balls.append(Ball(row.serial, row.prediction, row.radius))
            self.points.append(point)

    def _about_image(self, row: Row[Any], pixels: Pixels, point: NDArray[np.float32]) -> list[str]:
        wrong = []
        if digest_image(pixels) != row.digest:
            wrong.append("another image")
        kept = np.frombuffer(row.projection[: 4 * len(point)], "<f4").astype(np.float64)
        if kept.shape != point.shape or np.linalg.norm(kept - point) > self._margin:
            wrong.append("a projection that is not its image's")
        return wrong

    def _about_numbers(self, row: Row[Any], certificate: Certificate | str) -> list[str]:
        wrong = []
        if row.outcome in set(Outcome):
            enters = Outcome(row.outcome).enters_index
            self._indexed += enters
        else:
            enters = None
            self._unknown += 1
        if row.indexed != enters:
            wrong.append("a mark that contradicts its outcome")
        if not _is_radius(row.radius):
            wrong.append(f"a radius of {row.radius}")
        if not 0 <= row.prediction < self._bank.kind.num_classes:
            wrong.append(f"a class {row.prediction} that does not exist")
        if isinstance(certificate, str):
            wrong.append(f"a certificate that {certificate}")
            return wrong
        self._alphas.append(certificate.alpha)
        claimed = (certificate.prediction, certificate.radius, certificate.sigma, certificate.alpha)
        if (row.claimed, row.claimed_radius, row.sigma, row.alpha) != claimed:
            wrong.append("a claim that is not its certificate's")
        return wrong

    def _continues(self, row: Row[Any]) -> bool:
        """Whether the fingerprint is that of this ball after those before it."""
        before, numbers = self._before, dict(row._mapping)
        text = row.certificate or ""
        expected = [next_fingerprint(known, numbers, text) for known in before]
        # Whichever of this ball was changed, its numbers or its fingerprint: the next one continues
        # from the original.
        self._before = tuple(dict.fromkeys([row.fingerprint, *expected]))[:2]
        return not before or row.fingerprint in expected


def _certificate(row: Row[Any]) -> Certificate | str:
    """The certificate of a ball, or what is wrong with it."""
    try:
        return read_certificate(json.loads(row.certificate or ""))
    except (ValueError, RecursionError):
        return "cannot be read"
    except InvalidParameterError as error:
        return str(error)


def _is_radius(number: float) -> bool:
    return math.isfinite(number) and number >= 0
