"""How much the noise level may differ between an image and its neighbour until a proof is lost.

Source: Súkeník, Kuvshinov, Günnemann: "Intriguing Properties of Input-Dependent Randomized
Smoothing" (ICML 2022). The class that N(x0, sigma_0^2 I) gives with probability p_A may have, under
N(x1, sigma_1^2 I), as little as the likelihood-ratio set of mass p_A leaves (Neyman and Pearson).
With different noise levels this set is a ball (sigma_1 > sigma_0) or the outside of one, so both
masses are values of the noncentral chi-square distribution; with equal ones it is a half-space.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtr, chdtri, chndtr, chndtrix, ndtr, ndtri

from ddrs_core.errors import require_count, require_number
from ddrs_core.smoothing.confidence import Floats, check_sigma

_BISECTIONS = 50
_EQUAL = 1e-5  # relative difference up to which two noise levels count as equal
_WIDEST = 100.0  # ratio of noise levels that is looked at


def worst_case_probability(
    p_a: float, ratio: ArrayLike, distance: ArrayLike, dimension: int
) -> Floats:
    """The least probability of the class at the neighbour, over all classifiers.

    Args:
        p_a: probability of the class at the image.
        ratio: sigma_1 / sigma_0, of any shape.
        distance: between image and neighbour, in units of sigma_0, of the same shape.
        dimension: of the inputs.

    Returns:
        Probabilities; above one half, the neighbour provably has the same class.

    >>> worst_case_probability(0.99, [1.0, 1.02, 1.04], 0.0, dimension=3072).round(3)
    array([0.99 , 0.775, 0.221])
    """
    require_number("p_A (probability of the class)", p_a, above=0.0, below=1.0)
    require_count("dimension", dimension, at_most=10**7)
    ratios, far = np.broadcast_arrays(
        np.asarray(ratio, dtype=np.float64), np.asarray(distance, dtype=np.float64)
    )
    for value in ratios.flat:
        check_sigma(float(value))
    larger = ratios > 1
    same = np.abs(ratios - 1) < _EQUAL
    gap = np.where(same, 1.0, np.abs(ratios**2 - 1))
    inside = np.where(larger, p_a, 1 - p_a)  # mass of the ball at the image
    at_image, at_neighbour = (far / gap) ** 2, (far * ratios / gap) ** 2
    radius = _quantile(inside, dimension, at_image)  # squared, in units of sigma_0
    mass = _cdf(radius / ratios**2, dimension, at_neighbour)
    return np.where(same, ndtr(ndtri(p_a) - far), np.where(larger, mass, 1 - mass))


def sigma_room(p_a: float, distance: ArrayLike, dimension: int) -> tuple[Floats, Floats]:
    """The smallest and the largest sigma_1 / sigma_0 at which the class is still proved.

    Args:
        p_a: probability of the class at the image, above one half.
        distance: between image and neighbour in units of sigma_0, of any shape.
        dimension: of the inputs.

    Returns:
        Ratios around 1; both 1 where the distance is at least Phi^-1(p_A), so that not even equal
        noise levels prove anything.
    """
    require_number("p_A (probability of the class)", p_a, above=0.5, below=1.0)
    wanted = np.atleast_1d(np.asarray(distance, dtype=np.float64))
    reached = wanted < ndtri(p_a)
    far = np.where(reached, wanted, 0.0)
    ends = []
    for limit in (1 / _WIDEST, _WIDEST):
        proved, lost = np.zeros_like(far), np.full_like(far, np.log(limit))
        for _ in range(_BISECTIONS):
            middle = (proved + lost) / 2
            holds = worst_case_probability(p_a, np.exp(middle), far, dimension) > 0.5
            proved, lost = np.where(holds, middle, proved), np.where(holds, lost, middle)
        ends.append(np.where(reached, np.exp(proved), 1.0).reshape(np.shape(distance)))
    return ends[0], ends[1]


def _quantile(mass: Floats, dimension: int, shift: Floats) -> Floats:
    central = shift == 0
    found = chndtrix(mass, dimension, np.where(central, 1.0, shift))
    return np.where(central, chdtri(dimension, 1 - mass), found)


def _cdf(squared: Floats, dimension: int, shift: Floats) -> Floats:
    central = shift == 0
    found = chndtr(squared, dimension, np.where(central, 1.0, shift))
    return np.where(central, chdtr(dimension, squared), found)
