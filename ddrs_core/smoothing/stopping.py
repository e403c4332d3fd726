"""When to stop voting: as soon as more votes would not change the answer that was asked for.

The lower bound of a look proves a radius. What the last look could still prove is predicted from
the votes so far. Once both give the same answer, voting stops. The prediction costs no alpha: if
it is wrong, a certificate is smaller than it might have been, never too large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import betainccinv

from ddrs_core.errors import InvalidParameterError
from ddrs_core.parameters import Configuration, parameter
from ddrs_core.smoothing.certificate import Bound, prove_radius

TAIL_PROBABILITY = 0.01  # neglected when the radius of the last look is predicted
TABLE_RADII = tuple(k / 4 for k in range(17))  # 0 to 4 in steps of .25, as in the literature


@dataclass(frozen=True)
class StopAtRadii(Configuration):
    """Stop when it is settled which of some radii are certified.

    Radii beyond ``max_cap_share`` times what unanimous votes could prove are ignored, since they
    would need nearly all votes.
    """

    radii: tuple[float, ...] = parameter(
        TABLE_RADII, "radii to settle", "A radius to settle", low=0.0, below=1e6
    )
    max_cap_share: float = parameter(
        0.9, "radii beyond are ignored", "The share of the cap", above=0.0, high=1.0
    )

    def check(self) -> Self:
        """Raises InvalidParameterError if a number makes no sense."""
        if not self.radii:
            raise InvalidParameterError("There must be a radius to settle.")
        return super().check()

    def is_settled(self, proved: float, possible: float, cap: float) -> bool:
        """Whether no radius of interest lies between what is proved and what is possible."""
        awaited = [r for r in self.radii if r <= self.max_cap_share * cap or r <= 0]
        return not any(proved < r <= possible if r > 0 else proved <= 0 < possible for r in awaited)

    def to_text(self) -> str:
        """Such as ``radii=0,0.25 reach=0.9``."""
        return f"radii={','.join(f'{r:g}' for r in self.radii)} reach={self.max_cap_share!r}"


@dataclass(frozen=True)
class StopAtRelativeWidth(Configuration):
    """Stop when the radius is known to a relative width: proved >= (1 - width) * possible."""

    width: float = parameter(0.05, "of the radius", "The relative width", above=0.0, below=1.0)

    def is_settled(self, proved: float, possible: float, cap: float) -> bool:
        """Whether the proved radius is close to the largest possible one."""
        return possible <= 0 or proved >= (1 - self.width) * possible

    def to_text(self) -> str:
        """Such as ``width=0.05``."""
        return f"width={self.width!r}"


StopRule = StopAtRadii | StopAtRelativeWidth


def rule_to_dict(rule: StopRule) -> dict[str, Any]:
    """Plain data for JSON, with the keys of every earlier version."""
    if isinstance(rule, StopAtRadii):
        return {"radii": rule.radii, "reach": rule.max_cap_share}
    return {"width": rule.width}


def rule_from_dict(data: dict[str, Any]) -> StopRule:
    """The inverse of :func:`rule_to_dict`.

    Raises:
        TypeError: if it is something else.
    """
    if "radii" in data:
        names = {"reach": "max_cap_share"}
        radii = tuple(float(r) for r in data["radii"])
        return StopAtRadii(**{names.get(k, k): v for k, v in {**data, "radii": radii}.items()})
    return StopAtRelativeWidth(**data)


def predict_final_radius(
    counts: Sequence[int],
    candidate: int,
    sigma: float,
    n_max: int,
    alpha: float,
    bound: Bound,
    tail_probability: float = TAIL_PROBABILITY,
) -> float:
    """The radius that ``n_max`` votes will prove at most, except with ``tail_probability``.

    The share among the votes to come follows a beta distribution with Jeffreys' mean and the
    variances of the estimate and of those votes added.
    """
    n = sum(counts)
    to_come = n_max - n
    held = counts[candidate]
    best = held + _most(held, n, to_come, tail_probability)
    if bound is Bound.ONE_SIDED:
        return prove_radius([best, n_max - best], 0, sigma, alpha, bound).radius
    other = max((c for i, c in enumerate(counts) if i != candidate), default=0)
    least = min(n_max - best, other + to_come - _most(n - other, n, to_come, tail_probability))
    rest = n_max - best - least  # in classes too rare to matter
    return prove_radius([best, least, *_spread(rest, least)], 0, sigma, alpha, bound).radius


def _most(held: int, n: int, to_come: int, tail: float) -> int:
    """Votes among the ``to_come`` that are exceeded with probability ``tail`` only."""
    mean = (held + 0.5) / (n + 1.0)
    size = 1.0 / (1.0 / (n + 1.0) + 1.0 / to_come)
    share = float(betainccinv(mean * size, (1.0 - mean) * size, tail))
    return min(to_come, int(np.ceil(to_come * share)))


def _spread(votes: int, most: int) -> list[int]:
    """Votes in parts of at most ``most`` (one part where that is 0)."""
    if most <= 0:
        return [votes] if votes else []
    return [most] * (votes // most) + ([votes % most] if votes % most else [])
