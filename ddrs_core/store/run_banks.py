"""Which memory bank a run has settled its certificates against, and how that stood then."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from ddrs_core.store.bank.index import GENESIS
from ddrs_core.store.database import Database
from ddrs_core.store.schema import balls, banks, run_banks


@dataclass(frozen=True)
class RunBank:
    """A bank just after a run's last settlement; its name may belong to another by now."""

    bank_id: str
    settled: int
    stored: int  # balls
    fingerprint: str  # of these balls


class RunBankStore(Database):
    """The part of the store that knows the banks of the runs."""

    def run_bank(self, run_id: str, setting: int) -> RunBank | None:
        """The bank of a setting; None before its first settlement, and for runs that settled
        before this was kept."""
        columns = run_banks.c
        chosen = select(columns.bank_id, columns.settled, columns.stored, columns.fingerprint)
        with self._reading() as connection:
            row = connection.execute(
                chosen.where(columns.run_id == run_id, columns.setting == setting)
            ).first()
        return None if row is None else RunBank(*row)

    def note_bank_within(
        self, connection: Connection, run_id: str, setting: int, bank_id: str
    ) -> None:
        """Keep how a bank stands, in the transaction that has just settled and still holds it."""
        chosen = select(banks.c.settled, banks.c.stored, banks.c.fingerprint)
        row = connection.execute(chosen.where(banks.c.id == bank_id)).one()
        values = {"bank_id": bank_id, **row._mapping}
        place = (run_banks.c.run_id == run_id) & (run_banks.c.setting == setting)
        if not connection.execute(update(run_banks).where(place).values(values)).rowcount:
            connection.execute(insert(run_banks).values(run_id=run_id, setting=setting, **values))

    def holds_still(self, known: RunBank) -> bool:
        """Whether a bank has all that it had settled then, its first balls unchanged."""
        ball = select(balls.c.fingerprint).where(
            balls.c.bank_id == known.bank_id, balls.c.serial == known.stored
        )
        with self._reading() as connection:
            settled = connection.execute(
                select(banks.c.settled).where(banks.c.id == known.bank_id)
            ).scalar()
            found = GENESIS if known.stored == 0 else connection.execute(ball).scalar()
        return settled is not None and settled >= known.settled and found == known.fingerprint
