"""How much alpha the certificates of a bank may spend, and what that makes of all together.

A bank of N certificates is wrong somewhere with probability at most the sum of their alphas, and
that sum also bounds the expected number of wrong ones. Abstentions count, and so does what was
certified and then not stored: an attempt spends its alpha whatever comes of it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ddrs_core.errors import InvalidParameterError, NamedEnum, require_count, require_number
from ddrs_core.quantities import counted

SLACK = 1 + 1e-9  # an alpha that was printed and read again is the same


class BudgetKind(NamedEnum, kind="alpha budget"):
    """Which alpha each certificate may have."""

    SUM = "sum"  # whatever it has; the sum grows with the bank
    TOTAL = "total"  # the same share of a total, for a number of certificates planned
    DECAYING = "decaying"  # 6 alpha / (pi i)^2 for the i-th: however many, never above the total


@dataclass(frozen=True)
class AlphaBudget:
    """What the certificates of a bank may spend.

    Args:
        kind: which alpha each may have.
        total: of all together; for ``TOTAL`` and ``DECAYING``.
        planned: number of certificates; for ``TOTAL``.
    """

    kind: BudgetKind = BudgetKind.SUM
    total: float | None = None
    planned: int | None = None

    def check(self) -> AlphaBudget:
        """Raises InvalidParameterError if the numbers make no sense."""
        if (self.total is None) != (self.kind is BudgetKind.SUM):
            raise InvalidParameterError(
                "A total alpha belongs to the budgets 'total' and 'decaying', and only to them."
            )
        if (self.planned is None) != (self.kind is not BudgetKind.TOTAL):
            raise InvalidParameterError(
                "A planned number of certificates belongs to the budget 'total', and only to it."
            )
        if self.total is not None:
            require_number("The total alpha", self.total, above=0, below=1)
        if self.planned is not None:
            require_count("The planned number of certificates", self.planned)
        return self

    def allowance(self, turn: int) -> float | None:
        """The largest alpha of the certificate that is settled as number ``turn`` (1, 2, ...).

        None: any; 0: none, the plan is fulfilled.
        """
        if self.total is None:
            return None
        if self.planned is not None:
            return self.total / self.planned if turn <= self.planned else 0.0
        return 6 * self.total / (math.pi * turn) ** 2

    def require(self, alpha: float, turn: int) -> None:
        """Raises InvalidParameterError if a certificate spent more than it may."""
        require_number("alpha", alpha, above=0, below=1)
        allowed = self.allowance(turn)
        if allowed is None or alpha <= allowed * SLACK:
            return
        if allowed == 0:
            raise InvalidParameterError(
                f"The {counted(self.planned or 0, 'certificate')} that this memory bank was "
                "planned for have been settled or tried. Make another bank for more."
            )
        raise InvalidParameterError(
            f"Certificate {turn:,} of this memory bank may spend an alpha of at most {allowed!r}, "
            f"not {alpha:g}. Certify it again with that alpha."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> AlphaBudget:
        """The inverse of :meth:`to_dict`; raises InvalidParameterError for something else."""
        try:
            kind, total, planned = BudgetKind(data["kind"]), data["total"], data["planned"]
        except (KeyError, TypeError):
            raise InvalidParameterError("The alpha budget cannot be read.") from None
        return cls(kind, total, planned).check()


@dataclass(frozen=True)
class BankConfidence:
    """What is known of all the certificates of a bank together.

    ``alpha_sum`` is also the largest possible expectation of the number of wrong balls.
    """

    settled: int  # certificates and abstentions
    alpha_sum: float  # of these, and of those that were tried
    next_alpha: float | None  # what the next certificate may spend; None: any, 0: no more come
    tried: int = 0  # certificates that were charged and not settled

    @property
    def failure(self) -> float:
        """The probability that any certificate is wrong is at most this."""
        return min(1.0, self.alpha_sum)

    @property
    def expected_wrong(self) -> float:
        """The expected number of wrong balls is at most this."""
        return self.alpha_sum
