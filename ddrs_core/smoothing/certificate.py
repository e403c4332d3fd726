"""What a certification yields: the complete certificate, and how sure one may be of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddrs_core.errors import NamedEnum
from ddrs_core.smoothing import confidence
from ddrs_core.smoothing.alpha_spending import LookSchedule
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.grade import Grade

ABSTAIN = -1


class Bound(NamedEnum, kind="bound"):
    """Which bounds prove the radius.

    It is chosen before the votes are drawn: the better of two certificates, taken afterwards, would
    spend alpha twice.
    """

    TWO_SIDED = "two-sided"  # lower bound on p_A and upper bound on p_B, at alpha/2 each
    ONE_SIDED = "one-sided"  # lower bound on p_A at alpha; the protocol of the literature

    @property
    def parts(self) -> int:
        """Number of bounds among which alpha is divided."""
        return 1 if self is Bound.ONE_SIDED else 2


@dataclass(frozen=True)
class Certificate:
    """Class and certified l2 radius of one input, with all that is needed to recompute them.

    ``prediction`` is ``ABSTAIN`` (-1) and ``radius`` 0 where nothing could be certified. The
    radius is in units of pixels in [0, 1]; ``counts`` [K] are the votes of the n samples;
    ``p_lower`` bounds the probability of the class that the n0 samples chose (``candidate``).
    ``schedule`` is empty for a number of samples that was fixed in advance; otherwise it is the
    text of the :class:`~ddrs_core.smoothing.alpha_spending.LookSchedule` that says which part of
    alpha the look at n samples may spend. ``execution`` says what else decides how the network
    rounds: batch size, threads, versions and device, see
    :meth:`~ddrs_core.models.NoisyForward.execution`.

    ``clean`` is the class that the network gives to the image without noise, which proves nothing
    (None: not recorded).

    ``failure`` says why an image could not be certified at all, such as a file that is cut off:
    then no vote was drawn (``n`` is 0), and the image counts as not certified, but it did not
    abstain.
    """

    dataset: str | None
    index: int | None
    label: int | None
    prediction: int
    radius: float
    sigma: float
    grade: Grade
    counts: tuple[int, ...]
    n0: int
    n: int
    alpha: float
    bound: Bound
    p_lower: float
    seed: int
    precision: str
    model: str  # digest of the weights
    seconds: float
    candidate: int = ABSTAIN
    schedule: str = ""
    failure: str = ""
    execution: str = field(default="", compare=False)
    clean: int | None = field(default=None, compare=False)

    @property
    def abstained(self) -> bool:
        """Whether votes were drawn and proved no class."""
        return self.prediction == ABSTAIN and not self.failure

    @property
    def correct(self) -> bool | None:
        """Whether the class is the label; None without a label."""
        return None if self.label is None else self.prediction == self.label

    @property
    def radius_cap(self) -> float:
        """The largest radius that unanimous votes would have proved."""
        if self.failure:
            return 0.0
        return float(confidence.radius_cap(self.sigma, self.n, self.spent / self.bound.parts))

    @property
    def spent(self) -> float:
        """The part of alpha that the bound at this look uses: all of it if n was fixed."""
        if not self.schedule:
            return self.alpha
        return LookSchedule.from_text(self.schedule).spent(self.n, self.alpha)

    def recompute_radius(self) -> float:
        """The radius, from counts and schedule alone."""
        if self.failure:
            return 0.0
        return prove_radius(self.counts, self.candidate, self.sigma, self.spent, self.bound).radius

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "grade": self.grade.value, "bound": self.bound.value}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Certificate:
        """Rebuild a certificate from :meth:`to_dict` data."""
        changed = {
            "grade": Grade(data["grade"]),
            "bound": Bound(data["bound"]),
            "counts": tuple(data["counts"]),
        }
        return cls(**{**data, **changed})


@dataclass(frozen=True)
class Proof:
    """The bounds that some counts give, and the radius that they prove (0: none)."""

    p_lower: float
    radius: float


def prove_radius(
    counts: Sequence[int], candidate: int, sigma: float, alpha: float, bound: Bound
) -> Proof:
    """Certified radius of class ``candidate`` from its votes; spends ``alpha`` once.

    With two-sided bounds, p_B is bounded for the most frequent class other than the candidate.
    The upper bound grows with the count, so it is the largest over all other classes and needs no
    union bound.

    >>> proof = prove_radius([3, 997], candidate=1, sigma=0.25, alpha=0.001, bound=Bound.ONE_SIDED)
    >>> round_down(proof.radius)
    '0.556'
    """
    other = max((c for i, c in enumerate(counts) if i != candidate), default=0)
    found = prove_radii(counts[candidate], other, sum(counts), sigma, alpha, bound)
    return Proof(*(float(value) for value in found))


def prove_radii(
    held: ArrayLike,
    other: ArrayLike,
    n: ArrayLike,
    sigma: ArrayLike,
    alpha: ArrayLike,
    bound: Bound,
) -> tuple[Floats, Floats]:
    """The same, elementwise, for the votes of many inputs.

    Args:
        held: votes of the candidate [M].
        other: the most votes of any other class [M].
        n: all votes [M].
        sigma: noise levels [M].
        alpha: what each bound, or pair of bounds, may spend [M].
        bound: of all of them.

    Returns:
        Lower bounds on p_A and radii (0: nothing is proved), [M] each.
    """
    share = np.asarray(alpha, dtype=np.float64) / bound.parts
    p_lower = confidence.lower_bound(held, n, share)
    if bound is Bound.ONE_SIDED:
        return p_lower, confidence.radius_one_sided(sigma, p_lower)
    p_other = confidence.upper_bound(other, n, share)
    radius = confidence.radius_two_sided(sigma, p_lower, p_other)
    cap = confidence.radius_cap(sigma, n, share)  # rounding must not exceed it
    return p_lower, np.minimum(radius, cap)


def possible_radii(
    held: ArrayLike,
    other: ArrayLike,
    n: ArrayLike,
    sigma: ArrayLike,
    alpha: ArrayLike,
    bound: Bound,
) -> Floats:
    """The largest radii that the votes of :func:`prove_radii` leave possible: the same bounds from
    the other side. The true radius is smaller with probability at least 1 - alpha."""
    share = np.asarray(alpha, dtype=np.float64) / bound.parts
    p_upper = confidence.upper_bound(held, n, share)
    if bound is Bound.ONE_SIDED:
        return confidence.radius_one_sided(sigma, p_upper)
    return confidence.radius_two_sided(sigma, p_upper, confidence.lower_bound(other, n, share))


def most_of_others(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each class the most votes of any other one, [..., K] to [..., K]; K is 2 or more.

    >>> most_of_others(np.array([5, 9, 2])).tolist()
    [9, 5, 9]
    """
    ordered = np.sort(votes, axis=-1)
    most, next_most = ordered[..., -1:], ordered[..., -2:-1]
    return np.where(votes == most, next_most, most)


def round_down(value: float, digits: int = 3) -> str:
    """Print a radius rounded *down*, so that the printed number is proved as well.

    >>> round_down(0.4999), round_down(0.3)
    ('0.499', '0.300')
    """
    return str(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR))
