"""What a certification is expected to prove at each noise level of a radius curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddrs_core.smoothing import confidence
from ddrs_core.smoothing.budget import CertificationBudget
from ddrs_core.smoothing.certificate import Bound, Certificate, prove_radii
from ddrs_core.smoothing.confidence import Floats
from ddrs_core.smoothing.sigma.radius_curve import RadiusCurve


@dataclass(frozen=True, eq=False)
class Provable:
    """The bounds and the radius (0: none) if the N votes had the shares of the curve's; [S] each.

    With one-sided bounds ``p_b`` is ``1 - p_a``, so R = sigma/2 * (Phi^-1(p_a) - Phi^-1(p_b))
    holds for either bound. The radius never exceeds the cap.
    """

    p_a: Floats
    p_b: Floats
    radius: Floats


def provable(curve: RadiusCurve, budget: CertificationBudget) -> Provable:
    """The radius that the budget's N votes would prove at each level of the curve.

    A level where the curve's votes are unanimous counts half a vote against it, since its
    probability is not 1.
    """
    counts = np.sort(curve.counts, axis=1)
    n = counts.sum(axis=1)
    held = np.minimum(counts[:, -1], n - 0.5) / n * budget.n
    other = np.maximum(counts[:, -2], 0.5) / n * budget.n if counts.shape[1] > 1 else held - held
    alpha = budget.spent(budget.n)
    p_a, radius = prove_radii(held, other, budget.n, curve.sigmas, alpha, budget.bound)
    if budget.bound is Bound.ONE_SIDED:
        return Provable(p_a, 1 - p_a, radius)
    p_b = confidence.upper_bound(other, budget.n, alpha / budget.bound.parts)
    return Provable(p_a, np.minimum(p_b, 1 - p_a), radius)


def other_bound(made: Certificate) -> float:
    """The upper bound on every other class that the certificate's radius rests on, p_B: for
    one-sided bounds 1 - p_A."""
    if made.bound is Bound.ONE_SIDED or made.failure:
        return 1 - made.p_lower
    other = max(count for i, count in enumerate(made.counts) if i != made.candidate)
    share = made.spent / made.bound.parts
    return min(float(confidence.upper_bound(other, made.n, share)), 1 - made.p_lower)
