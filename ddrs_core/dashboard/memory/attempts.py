"""What the memory page certifies is charged to the visitor's copy of the bank before it is drawn.

Each copy draws votes with its own noise, so that nothing that was seen elsewhere, or with a copy
that was given up, tells which certificates are worth storing here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ddrs_core.dashboard.common.banks import BankContext
from ddrs_core.store import Attempt, BankRecord, MemoryBank

ALPHA = 0.001  # of a certificate, where the bank's budget allows as much


@dataclass(frozen=True)
class Charged:
    """What was charged to a bank, and the seed of the bank's own noise."""

    attempt: Attempt
    seed: int

    @property
    def identity(self) -> str:
        """In the keys of jobs; what was charged to another bank is something else."""
        return f"{self.attempt.key}|{self.attempt.alpha!r}|{self.seed}"


def find_charged(bank: MemoryBank, what: str) -> Charged | None:
    """What was charged to a bank for certifying something.

    Args:
        bank: which is looked at.
        what: is certified, and how, in all detail but alpha and noise.
    """
    attempt = bank.attempt(_key(what))
    return None if attempt is None else Charged(attempt, _seed(bank))


def charge(context: BankContext, what: str, count: int = 1) -> Charged:
    """Charge certificates to the visitor's copy of a bank; the same ones are charged once.

    Raises:
        DDRSError: if the bank's budget is used up, or another tab has just used a part of it.
    """
    bank = context.own_bank()
    return Charged(
        bank.charge(_key(what), next_alpha(bank.record(), count), count=count), _seed(bank)
    )


def next_alpha(record: BankRecord, count: int = 1) -> float:
    """The alpha of each of the next certificates."""
    return min(ALPHA, record.budget.allowance(record.turn + count - 1) or ALPHA)


def _key(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def _seed(bank: MemoryBank) -> int:
    """Never 0, which is the seed of what is not charged."""
    return 1 + int(bank.id[:7], 16)
