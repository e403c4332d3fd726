"""Alpha spending: the schedule of interim looks at the votes, and the alpha of each look.

A bound that holds at one look must not be used by a rule that looks several times and stops when it
likes the answer. Here the interim looks are scheduled in advance and split alpha between them, so
the Clopper-Pearson bounds at all looks hold together with probability at least 1 - alpha (union
bound), whatever the stopping rule. The largest number of samples is known, so half of alpha is
reserved for the last look, whose bound is then nearly that of a fixed number of samples.

Compare Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic
confidence sequences" (2021); Voracek, "Treatment of Statistical Estimation Problems in Randomized
Smoothing for Adversarial Robustness" (2024); ``bench adaptive`` measures what it saves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from ddrs_core.errors import InvalidParameterError
from ddrs_core.parameters import Configuration, described, parameter

_TEXT = re.compile(
    r"looks n_max=(?P<n_max>\d{1,10}) first=(?P<first>\d{1,10}) growth=(?P<growth>\d{1,4}) "
    r"last=(?P<last>[0-9.e-]{1,24})"
)
_GRAIN = 128  # looks stand at multiples of it, which suits batches


@dataclass(frozen=True)
class LookSchedule(Configuration):
    """Scheduled looks, and the division of alpha among them.

    >>> schedule = LookSchedule(n_max=10_000)
    >>> schedule.looks[0], schedule.looks[-1], schedule.spent(10_000, alpha=0.001)
    (512, 10000, 0.0005)
    >>> round(sum(schedule.spent(n, 0.001) for n in schedule.looks), 12)
    0.001
    """

    n_max: int = field(metadata=described("samples at the last look", "N", low=1, high=10**9))
    first: int = parameter(512, "samples at the first look, about", low=1, high=10**9)
    growth: int = parameter(15, "percent from one look to the next", low=1, high=1000)
    last: float = parameter(
        0.5, "share of alpha for the last look; the others have equal shares", above=0.0, below=1.0
    )

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of samples at which one looks, ascending; the last is ``n_max``."""
        return _looks(self.n_max, self.first, self.growth)

    def spent(self, n: int, alpha: float) -> float:
        """The part of ``alpha`` that the look at ``n`` samples may spend.

        Raises:
            InvalidParameterError: if there is no look at n.
        """
        looks = self.looks
        if n not in looks:
            raise InvalidParameterError(f"The schedule {self.to_text()!r} has no look at {n}.")
        if len(looks) == 1:
            return alpha
        return alpha * (self.last if n == self.n_max else (1 - self.last) / (len(looks) - 1))

    def to_text(self) -> str:
        """The schedule in one line, as certificates and logs keep it."""
        return (
            f"looks n_max={self.n_max} first={self.first} growth={self.growth} last={self.last!r}"
        )

    @classmethod
    def from_text(cls, text: str) -> LookSchedule:
        """The inverse of :meth:`to_text`.

        Raises:
            InvalidParameterError: if it is anything else.
        """
        return _from_text(text)


@lru_cache(maxsize=256)
def _from_text(text: str) -> LookSchedule:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InvalidParameterError(f"{text[:80]!r} is not a schedule of looks.")
    whole = {name: int(found[name]) for name in ("n_max", "first", "growth")}
    try:
        return LookSchedule(**whole, last=float(found["last"])).check()
    except ValueError:
        raise InvalidParameterError(f"{text[:80]!r} is not a schedule of looks.") from None


@lru_cache(maxsize=256)
def _looks(n_max: int, first: int, growth: int) -> tuple[int, ...]:
    looks = []
    n = first
    while n < n_max:
        looks.append(n)
        n = _GRAIN * -(-max(n + 1, n * (100 + growth) // 100) // _GRAIN)
    if len(looks) > 1 and (n_max - looks[-1]) * 200 < n_max * growth:
        looks.pop()  # too near to the last look to be worth its share
    return (*looks, n_max)
