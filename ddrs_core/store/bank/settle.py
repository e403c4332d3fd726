"""Settles certificates one after the other; new balls are stored together at the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ddrs_core.errors import InvalidParameterError
from ddrs_core.smoothing import Certificate
from ddrs_core.smoothing.memory.directed_rounding import add_upward
from ddrs_core.smoothing.memory.distance import Distance, distances
from ddrs_core.smoothing.memory.rules import Ball, Settlement, settle
from ddrs_core.store.bank.images import BankImage, unpack_image
from ddrs_core.store.bank.index import BankIndex
from ddrs_core.store.bank.records import BankRecord, check_certificate, settled_certificate, tally
from ddrs_core.store.certificate_rows import to_row

Near = list[tuple[Ball, Distance]]


class StoredBalls(Protocol):
    """The balls that are stored already."""

    def near(self, image: BankImage, radius: float) -> Near:
        """All that a ball of that radius about the image may touch, with their distances."""

    def alpha(self, serial: int) -> float:
        """What the certificate of a ball spent."""


class NoBalls:
    """Those of a new bank."""

    def near(self, image: BankImage, radius: float) -> Near:
        """None."""
        return []

    def alpha(self, serial: int) -> float:
        """There is no such ball."""
        raise KeyError(serial)


class BankTransaction:
    """Settles against the balls that are stored, and those that it has settled itself.

    Args:
        bank: its present state; the caller holds its lock.
        stored: its balls.
        now: seconds since 1970.
        charged: whether the alphas were charged to the bank before, see attempts.py.

    Attributes:
        bank: its state once ``rows`` and ``image_rows`` are stored.
    """

    def __init__(
        self, bank: BankRecord, stored: StoredBalls, now: float = 0.0, *, charged: bool = False
    ) -> None:
        self.bank = replace(bank, tallies=dict(bank.tallies))
        self.rows: list[dict[str, Any]] = []
        self.image_rows: list[dict[str, Any]] = []
        self._stored, self._now, self._charged = stored, now, charged
        self._index = BankIndex(bank.kind.shape)
        self._first = bank.stored + 1  # serial of the first new ball

    def settle(self, image: BankImage, certificate: Certificate) -> Settlement:
        """Settle one more.

        Raises:
            MismatchError: if the certificate belongs to another model.
            InvalidParameterError: if a number of it makes no sense, or it spent too much alpha.
        """
        bank = self.bank
        check_certificate(certificate, bank.kind)
        if not self._charged:
            bank.budget.require(certificate.alpha, bank.turn)
        text = certificate_text(certificate)
        prediction, radius = int(certificate.prediction), float(certificate.radius)
        settlement = settle(prediction, radius, self._near(image, radius))
        serial = bank.stored + 1 if settlement.is_stored else None
        result = replace(
            settlement,
            serial=serial,
            certificate=settled_certificate(certificate, settlement),
            alpha=certificate.alpha + self._alpha_of(settlement.by),
        )
        self._count(settlement, certificate)
        if serial is not None:
            self._record(serial, settlement, image, certificate, text)
        return result

    def _near(self, image: BankImage, radius: float) -> Near:
        new = self._index.near(image.projection, radius)
        found = self._stored.near(image, radius)
        if new:
            shape = self.bank.kind.shape
            packed = [self.image_rows[ball.id - self._first]["image"] for ball in new]
            found = found + measured(new, [unpack_image(p, shape) for p in packed], image)
        return found

    def _alpha_of(self, ball: Ball | None) -> float:
        if ball is None:
            return 0.0
        if ball.id >= self._first:
            return float(self.rows[ball.id - self._first]["alpha"])
        return self._stored.alpha(ball.id)

    def _count(self, settlement: Settlement, certificate: Certificate) -> None:
        bank, name = self.bank, tally(settlement)
        spent = add_upward(bank.alpha_sum, certificate.alpha)
        self.bank = replace(
            bank,
            settled=bank.settled + 1,
            tried=bank.tried - self._charged,
            alpha_sum=bank.alpha_sum if self._charged else spent,
            tallies={**bank.tallies, name: bank.tallies[name] + 1},
        )

    def _record(
        self,
        serial: int,
        settlement: Settlement,
        image: BankImage,
        certificate: Certificate,
        text: str,
    ) -> None:
        bank = self.bank
        row: dict[str, Any] = {
            "bank_id": bank.id,
            "serial": serial,
            "indexed": settlement.enters_index,
            "prediction": settlement.prediction,
            "radius": settlement.radius,
            "projection": image.projection.astype("<f4").tobytes(),
            "outcome": settlement.outcome.value,
            "claimed": settlement.claimed,
            "claimed_radius": settlement.claimed_radius,
            "decided_by": None if settlement.by is None else settlement.by.id,
            "sigma": float(certificate.sigma),
            "alpha": float(certificate.alpha),
            "digest": image.digest,
            "created": self._now,
        }
        row["fingerprint"] = next_fingerprint(bank.fingerprint, row, text)
        self.rows.append(row)
        self.image_rows.append(
            {"bank_id": bank.id, "serial": serial, "image": image.packed, "certificate": text}
        )
        if settlement.enters_index:
            ball = Ball(serial, settlement.prediction, settlement.radius)
            self._index.add([ball], [image.projection])
        self.bank = replace(bank, stored=serial, fingerprint=row["fingerprint"])


def measured(balls: Sequence[Ball], centres: Sequence[Any], image: BankImage) -> Near:
    """Balls with the exact bounds of their distances from an image."""
    if not balls:
        return []
    return list(zip(balls, distances(centres, image.pixels), strict=True))


def certificate_text(certificate: Certificate) -> str:
    """A certificate as JSON, complete.

    Raises:
        InvalidParameterError: if it holds numbers that cannot be stored.
    """
    to_row(certificate)  # for its messages
    try:
        return json.dumps(
            certificate.to_dict(), allow_nan=False, separators=(",", ":"), default=_plain
        )
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(f"The certificate cannot be stored: {error}.") from None


def _plain(number: Any) -> Any:
    """A number of NumPy as one of Python."""
    if isinstance(number, np.generic):
        return number.item()
    raise TypeError(f"{type(number).__name__} is not a number")


def next_fingerprint(before: str, row: Mapping[str, Any], certificate: str) -> str:
    """The fingerprint of a bank after one more ball: what was stored, in which order."""
    parts = (
        before,
        row["serial"],
        row["outcome"],
        row["prediction"],
        float(row["radius"]).hex(),
        row["claimed"],
        float(row["claimed_radius"]).hex(),
        row["digest"],
        certificate,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
