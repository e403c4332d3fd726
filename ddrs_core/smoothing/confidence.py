"""Bounds on a class probability from vote counts, and the radius that they prove.

Sources: Clopper and Pearson (1934) for the bounds; Cohen et al. (2019), theorem 1 and section 3.2,
for the radii. Everything here is float64 and works elementwise on arrays. Quantiles come from
``scipy.special``: the same numbers as those of ``scipy.stats``, which takes .6 s to import.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, betainccinv, betaincinv, ndtri

from ddrs_core.errors import InvalidParameterError, require_count, require_number

Floats = NDArray[np.float64]


def lower_bound(count: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> Floats:
    """One-sided Clopper-Pearson lower bound: below p with probability at least 1 - alpha.

    Exactly 0 at count 0 and alpha^(1/n) at count n.

    >>> round(float(lower_bound(1_000, 1_000, 0.001)), 4)  # 0.001 ** (1 / 1_000)
    0.9931
    """
    k, total, level = (np.asarray(value, dtype=np.float64) for value in (count, n, alpha))
    inner = betaincinv(np.maximum(k, 1.0), total - k + 1.0, level)
    return np.where(k <= 0, 0.0, np.where(k >= total, level ** (1.0 / total), inner))


def upper_bound(count: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> Floats:
    """One-sided Clopper-Pearson upper bound: above p with probability at least 1 - alpha.

    Exactly 1 at count n and 1 - alpha^(1/n) at count 0.
    """
    k, total, level = (np.asarray(value, dtype=np.float64) for value in (count, n, alpha))
    inner = betainccinv(k + 1.0, np.maximum(total - k, 1.0), level)
    return np.where(k >= total, 1.0, np.where(k <= 0, -np.expm1(np.log(level) / total), inner))


def interval(count: ArrayLike, n: ArrayLike, alpha: float) -> tuple[Floats, Floats]:
    """Two-sided Clopper-Pearson interval that holds p with probability at least 1 - alpha."""
    return lower_bound(count, n, alpha / 2), upper_bound(count, n, alpha / 2)


def radius_one_sided(sigma: ArrayLike, p_lower: ArrayLike) -> Floats:
    """R = sigma * Phi^-1(p_lower), or 0 where p_lower <= 1/2 (Cohen et al., section 3.2.2)."""
    p = np.asarray(p_lower, dtype=np.float64)
    return np.asarray(sigma) * np.where(p > 0.5, ndtri(np.maximum(p, 0.5)), 0.0)


def radius_two_sided(sigma: ArrayLike, p_lower: ArrayLike, p_other: ArrayLike) -> Floats:
    """R = sigma/2 * (Phi^-1(pA) - Phi^-1(pB)), or 0 where pA <= pB (Cohen et al., theorem 1).

    ``p_other`` is an upper bound on every other class; it is cut to 1 - p_lower.
    """
    p_a = np.asarray(p_lower, dtype=np.float64)
    p_b = np.minimum(np.asarray(p_other, dtype=np.float64), 1.0 - p_a)
    gap = ndtri(p_a) - ndtri(p_b)
    return np.asarray(sigma) * np.where(p_a > p_b, gap / 2.0, 0.0)


def radius_cap(sigma: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> Floats:
    """The largest radius that n samples can prove: sigma * Phi^-1(alpha^(1/n)).

    >>> radius_cap(1.0, [100, 1_000, 10_000, 100_000], 0.001).round(3)
    array([1.5  , 2.463, 3.199, 3.811])
    """
    level = np.asarray(alpha, dtype=np.float64)
    return radius_one_sided(sigma, level ** (1.0 / np.asarray(n, dtype=np.float64)))


def binomial_p_value(count_a: int, count_b: int) -> float:
    """Exact two-sided p-value of "both classes are equally likely" (Cohen et al., PREDICT)."""
    return min(1.0, 2.0 * float(bdtr(min(count_a, count_b), count_a + count_b, 0.5)))


def check_budget(n0: int, n: int, alpha: float, *, parts: int = 1) -> None:
    """Make sure that sample counts and failure probability can certify anything at all.

    Args:
        n0: samples that choose the class.
        n: samples that bound its probability.
        alpha: failure probability of the certificate.
        parts: bounds among which alpha is divided: 1, or 2 for two-sided ones.

    Raises:
        InvalidParameterError: if alpha is outside (0, 1), a count is below 1, or unanimous votes
            would still leave the lower bound at or below one half.
    """
    check_alpha(alpha)
    require_count("N0 (samples for the class)", n0, at_most=10**9)
    require_count("N (samples for the bound)", n, at_most=10**9)
    share = alpha / parts
    if share ** (1.0 / n) <= 0.5:
        needed = int(np.floor(np.log(share) / np.log(0.5))) + 1
        divided = "" if parts == 1 else f", divided among {parts} bounds"
        raise InvalidParameterError(
            f"N = {n} is too small for alpha = {alpha:g}{divided}: even unanimous votes "
            f"would prove nothing. Use N >= {needed} or a larger alpha."
        )


def check_test(n: int, alpha: float) -> None:
    """Make sure that :func:`binomial_p_value` of n unanimous votes, 2 / 2^n, is at most alpha.

    Raises:
        InvalidParameterError: if it is not, or a number makes no sense by itself.
    """
    check_alpha(alpha)
    require_count("N (samples)", n, at_most=10**9)
    needed = int(np.ceil(1.0 - np.log2(alpha)))
    if n < needed:
        raise InvalidParameterError(
            f"N = {n} is too small for alpha = {alpha:g}: even unanimous votes would be an "
            f"abstention. Use N >= {needed} or a larger alpha."
        )


def check_alpha(alpha: float) -> None:
    """Raises InvalidParameterError if alpha is not strictly between 0 and 1, or below 1e-100,
    where quantiles in double precision end."""
    require_number("alpha (failure probability)", alpha, above=0.0, below=1.0)
    require_number("alpha (failure probability)", alpha, above=1e-100)


def check_sigma(sigma: float) -> float:
    """Raises InvalidParameterError unless sigma is a finite number above 0 (and at most 100)."""
    return require_number("sigma (noise level)", sigma, above=0.0, below=100.0)
