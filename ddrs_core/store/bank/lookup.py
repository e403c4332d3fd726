"""The stored balls near an image: the index says which may be, their images say how near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, select

from ddrs_core.smoothing.memory.rules import Ball
from ddrs_core.store.bank.images import BankImage, unpack_image
from ddrs_core.store.bank.index import LoadedIndex, loaded_index
from ddrs_core.store.bank.settle import Near, measured
from ddrs_core.store.errors import StoreError
from ddrs_core.store.schema import ball_images, balls

_BYTES_AT_ONCE = 16 * 2**20  # of images that are unpacked
_MOST_AT_ONCE = 500  # images asked for in one query


@dataclass(frozen=True)
class BallsInDatabase:
    """The stored balls of a bank, for settlements and look-ups.

    Args:
        connection: of a transaction that holds the bank, or in which nothing was read yet.
        fingerprint: of the bank, for one who holds it.
    """

    connection: Connection
    bank_id: str
    shape: tuple[int, ...]
    fingerprint: str | None = None

    def near(self, image: BankImage, radius: float) -> Near:
        """All balls that a ball of that radius about the image may touch."""
        index = index_of(self.connection.engine, self.bank_id, self.shape)
        near = index.near(self.connection, image.projection, radius, self.fingerprint)
        size = max(1, min(_MOST_AT_ONCE, _BYTES_AT_ONCE // (8 * image.pixels.size)))
        found: Near = []
        for first in range(0, len(near), size):
            found += self._measured(near[first : first + size], image)
        return found

    def _measured(self, some: list[Ball], image: BankImage) -> Near:
        rows = self.connection.execute(images_of(self.bank_id, [ball.id for ball in some])).all()
        if len(rows) < len(some):
            raise StoreError("Images of this memory bank are missing. `memory check` says which.")
        centres = [unpack_image(row.image, self.shape) for row in rows]
        return measured(some, centres, image)

    def alpha(self, serial: int) -> float:
        """What the certificate of a ball spent."""
        chosen = select(balls.c.alpha).where(
            balls.c.bank_id == self.bank_id, balls.c.serial == serial
        )
        return float(self.connection.execute(chosen).scalar_one())


def index_of(engine: Engine, bank_id: str, shape: tuple[int, ...]) -> LoadedIndex:
    """The index of a bank that this process uses."""
    return loaded_index(engine.url.render_as_string(), bank_id, shape)


def images_of(bank_id: str, serials: Sequence[int]) -> Select[Any]:
    """Asks for the images of some balls, by serial."""
    return (
        select(ball_images.c.serial, ball_images.c.image)
        .where(ball_images.c.bank_id == bank_id, ball_images.c.serial.in_(serials))
        .order_by(ball_images.c.serial)
    )
