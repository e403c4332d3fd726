"""When to stop voting: as soon as more votes would not change the answer that was asked for.

The lower bound of a look proves a radius. What the last look could still prove is foretold from
the votes so far. Once both give the same answer there is no need to go on. Foretelling costs no
alpha: if it errs, a certificate is smaller than it might have been, never too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from ddrs_core.errors import InvalidParameterError, require_number
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.certificate import Bound, prove_radius
from ddrs_core.smoothing.confidence import radius_cap

TABLE_RADII = tuple(k / 4 for k in range(17))  # 0 to 4 in steps of .25, as in the literature


@dataclass(frozen=True)
class StopAtRadii:
    """Stop when it is settled which of some radii are certified.

    Radii beyond ``reach`` times what unanimous votes could prove are not waited for, since they
    would take nearly all samples.
    """

    radii: tuple[float, ...] = TABLE_RADII
    reach: float = 0.9

    def check(self) -> StopAtRadii:
        """Raises InvalidParameterError if a number makes no sense."""
        if not self.radii:
            raise InvalidParameterError("There must be a radius to settle.")
        for radius in self.radii:
            require_number("radius to settle", radius, above=-1e-12, below=1e6)
        require_number("reach", self.reach, above=0.0, below=1.0 + 1e-9)
        return self

    def is_settled(self, proved: float, possible: float, cap: float) -> bool:
        """Whether no radius of interest lies between what is proved and what is possible."""
        return not any(
            proved < r <= possible and r <= self.reach * cap if r > 0 else proved <= 0 < possible
            for r in self.radii
        )

    def to_text(self) -> str:
        """Such as ``radii=0,0.25 reach=0.9``."""
        return f"radii={','.join(f'{r:g}' for r in self.radii)} reach={self.reach!r}"


@dataclass(frozen=True)
class StopAtRelativeWidth:
    """Stop when the radius is known to a relative width: proved >= (1 - width) * possible."""

    width: float = 0.05

    def check(self) -> StopAtRelativeWidth:
        """Raises InvalidParameterError if the width makes no sense."""
        require_number("relative width", self.width, above=0.0, below=1.0)
        return self

    def is_settled(self, proved: float, possible: float, cap: float) -> bool:
        """Whether the proved radius is close to the largest possible one."""
        return possible <= 0 or proved >= (1 - self.width) * possible

    def to_text(self) -> str:
        """Such as ``width=0.05``."""
        return f"width={self.width!r}"


StopRule = StopAtRadii | StopAtRelativeWidth


def rule_from_dict(data: dict[str, Any]) -> StopRule:
    """A rule from the plain data that ``dataclasses.asdict`` makes of it.

    Raises:
        TypeError: if it is something else.
    """
    if "radii" in data:
        return StopAtRadii(**{**data, "radii": tuple(float(r) for r in data["radii"])})
    return StopAtRelativeWidth(**data)


@dataclass(frozen=True)
class FixedSamples:
    """N samples, whatever the votes: the protocol of the literature."""

    n: int = 100_000

    @property
    def n_max(self) -> int:
        """The most samples that are drawn."""
        return self.n

    @property
    def schedule(self) -> str:
        """What certificates keep: nothing."""
        return ""

    @property
    def places(self) -> tuple[int, ...]:
        """The one look."""
        return (self.n,)

    def check(self) -> FixedSamples:
        """Nothing to check beyond :func:`~ddrs_core.smoothing.confidence.check_budget`."""
        return self

    def spent(self, n: int, alpha: float) -> float:
        """All of alpha."""
        return alpha

    def to_text(self) -> str:
        """Such as ``n=100000``."""
        return f"n={self.n}"

    def stops(
        self, counts: Sequence[int], candidate: int, sigma: float, alpha: float, bound: Bound
    ) -> bool:
        """Whether all samples have been drawn."""
        return sum(counts) >= self.n


@dataclass(frozen=True)
class AdaptiveSamples:
    """As many samples as it takes, up to ``looks.n_max``."""

    looks: LookSchedule
    until: StopRule = StopAtRadii()
    doubt: float = 0.01  # probability that is neglected when the last look is foretold

    def check(self) -> AdaptiveSamples:
        """Raises InvalidParameterError if a number makes no sense."""
        self.looks.check()
        self.until.check()
        require_number("doubt", self.doubt, above=0.0, below=0.5)
        return self

    @property
    def n_max(self) -> int:
        """The most samples that are drawn."""
        return self.looks.n_max

    @property
    def schedule(self) -> str:
        """What certificates keep, and what gives their bound."""
        return self.looks.to_text()

    @property
    def places(self) -> tuple[int, ...]:
        """Numbers of samples at which the votes are looked at."""
        return self.looks.places

    def spent(self, n: int, alpha: float) -> float:
        """The part of alpha for the look at ``n`` samples."""
        return self.looks.spent(n, alpha)

    def to_text(self) -> str:
        """Schedule, rule and doubt in one line."""
        return f"{self.schedule} {self.until.to_text()} doubt={self.doubt!r}"

    def stops(
        self, counts: Sequence[int], candidate: int, sigma: float, alpha: float, bound: Bound
    ) -> bool:
        """Whether the answer is settled at this look."""
        n = sum(counts)
        if n >= self.n_max:
            return True
        proved = prove_radius(counts, candidate, sigma, self.spent(n, alpha), bound).radius
        last = self.spent(self.n_max, alpha)
        possible = predict_final_radius(
            counts, candidate, sigma, self.n_max, last, bound, self.doubt
        )
        cap = float(radius_cap(sigma, self.n_max, last / bound.parts))
        return self.until.is_settled(proved, possible, cap)


Samples = FixedSamples | AdaptiveSamples


def predict_final_radius(
    counts: Sequence[int],
    candidate: int,
    sigma: float,
    n_max: int,
    alpha: float,
    bound: Bound,
    doubt: float,
) -> float:
    """The radius that ``n_max`` samples will prove at most, but for a probability ``doubt``.

    The share among the samples to come is foretold from a beta distribution with Jeffreys' mean
    and the variance of estimation and of the coming samples together.
    """
    n = sum(counts)
    to_come = n_max - n
    held = counts[candidate]
    best = held + _most(held, n, to_come, doubt)
    if bound is Bound.ONE_SIDED:
        return prove_radius([best, n_max - best], 0, sigma, alpha, bound).radius
    other = max((c for i, c in enumerate(counts) if i != candidate), default=0)
    least = min(n_max - best, other + to_come - _most(n - other, n, to_come, doubt))
    rest = n_max - best - least  # in classes too rare to matter
    return prove_radius([best, least, *_spread(rest, least)], 0, sigma, alpha, bound).radius


def _most(held: int, n: int, to_come: int, doubt: float) -> int:
    """Votes among the ``to_come`` that are exceeded with probability ``doubt`` only."""
    mean = (held + 0.5) / (n + 1.0)
    size = 1.0 / (1.0 / (n + 1.0) + 1.0 / to_come)
    share = float(beta.isf(doubt, mean * size, (1.0 - mean) * size))
    return min(to_come, int(np.ceil(to_come * share)))


def _spread(votes: int, most: int) -> list[int]:
    """Votes in parts of at most ``most`` (one part where that is 0)."""
    if most <= 0:
        return [votes] if votes else []
    return [most] * (votes // most) + ([votes % most] if votes % most else [])
