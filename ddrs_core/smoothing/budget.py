"""What a certification may spend: votes, failure probability, and the seed of its noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, TypedDict, Unpack

from ddrs_core.parameters import Configuration, parameter
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.certificate import Bound, prove_radius
from ddrs_core.smoothing.confidence import check_budget, radius_cap
from ddrs_core.smoothing.stopping import TAIL_PROBABILITY, StopRule, predict_final_radius

_BOUNDS = tuple(bound.value for bound in Bound)


class BudgetNumbers(TypedDict, total=False):
    """The fields of a :class:`CertificationBudget` as keyword arguments."""

    n0: int
    n: int
    alpha: float
    bound: Bound | str
    stop: StopRule | None
    seed: int


@dataclass(frozen=True)
class CertificationBudget(Configuration):
    """N0 votes choose a class; N fresh ones, or fewer with a stopping rule, bound its probability.

    ``alpha`` is the probability of a wrong certificate. With ``stop``, votes end as soon as that
    is settled. The seed and the index of an image determine its noise.
    """

    n0: int = parameter(
        100, "votes that choose the class; they are not used again", "Samples N0", step=100
    )
    n: int = parameter(
        100_000,
        "votes that bound the probability of the class; where sampling is adaptive, the most of "
        "them",
        "Samples N",
        step=10_000,
    )
    alpha: float = parameter(
        0.001,
        "probability, at most, that a certificate is wrong",
        "Failure probability alpha",
        step=0.001,
    )
    bound: Bound = parameter(
        Bound.TWO_SIDED,
        "two-sided: a lower bound on the probability of the class and an upper bound on that of "
        "the runner-up, alpha/2 each, which proves more where several classes share the rest; "
        "one-sided: the lower bound alone, the protocol of the literature",
        choices=_BOUNDS,
    )
    stop: StopRule | None = None
    seed: int = parameter(0, "same seed, machine and batch size: same votes")

    @classmethod
    def of(cls, budget: Self | None = None, **numbers: Unpack[BudgetNumbers]) -> Self:
        """``budget``, or the default one, with some numbers replaced."""
        found = replace(budget or cls(), **numbers)  # type: ignore[arg-type]  # converted below
        return replace(found, bound=Bound(found.bound))

    def check(self) -> Self:
        """Raises InvalidParameterError if a number makes no sense."""
        check_budget(self.n0, self.n, self.alpha, parts=self.bound.parts)
        return super().check()

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of votes at which the rule is asked, ascending; the last is N."""
        return (self.n,) if self.stop is None else LookSchedule(self.n).looks

    @property
    def schedule(self) -> str:
        """The schedule that certificates record; empty for a number of votes fixed in advance."""
        return "" if self.stop is None else LookSchedule(self.n).to_text()

    @property
    def stopping_text(self) -> str:
        """Schedule and rule as logs record them; empty for a number of votes fixed in advance."""
        if self.stop is None:
            return ""
        return f"{self.schedule} {self.stop.to_text()} doubt={TAIL_PROBABILITY!r}"

    def spent(self, n: int) -> float:
        """The part of alpha that the bound after ``n`` votes uses."""
        return self.alpha if self.stop is None else LookSchedule(self.n).spent(n, self.alpha)

    def stops(self, counts: Sequence[int], candidate: int, sigma: float) -> bool:
        """Whether voting ends with these counts [K], taken at one of :attr:`looks`."""
        n = sum(counts)
        if self.stop is None or n >= self.n:
            return n >= self.n
        proved = prove_radius(counts, candidate, sigma, self.spent(n), self.bound).radius
        last = self.spent(self.n)
        possible = predict_final_radius(counts, candidate, sigma, self.n, last, self.bound)
        cap = float(radius_cap(sigma, self.n, last / self.bound.parts))
        return self.stop.is_settled(proved, possible, cap)
